from __future__ import annotations

from dataclasses import replace

from hafailover.config.model import Group
from hafailover.errors import Problem
from hafailover.provision.report import (
    as_json,
    done_text,
    explained,
    interrupted,
    line_for_file,
    plan_text,
    step_text,
)
from hafailover.provision.steps import Assign, Attach, Create, Done, Place, Plan
from tests.unit.provision.test_provision_plan import CONFIG

AT = Place("web-a", "eni-aaaaaaaa", "ins-aaaaaaaa")
ASSIGN = Assign(AT, ("10.0.1.100", "10.0.1.101"))
ATTACH = Attach(AT, "eni-cccccccc")
CREATE = Create(AT, "hafailover web vip", "vpc-1", "subnet-1", ("sg-2", "sg-1"), 3)


def test_a_plan_to_agree_to() -> None:
    plan = Plan(AT, ("x on y",), (ASSIGN, ATTACH), (), ("not\nsure",))
    assert plan_text(CONFIG, plan).splitlines() == [
        "cluster web: things are made for web-a (ins-aaaaaaaa, eni-aaaaaaaa), of the highest priority",
        "  there     x on y",
        "  note      not?sure",
        "  to do     assign 10.0.1.100, 10.0.1.101 to eni-aaaaaaaa of web-a",
        "  to do     attach eni-cccccccc to ins-aaaaaaaa of web-a",
        "  by        vpc:AssignPrivateIpAddresses, vpc:AttachNetworkInterface",
        "  (rights of an operator: those of the daemons, which `hafailover policy` prints, need not suffice)",
    ]


def test_a_plan_that_is_forbidden_or_empty() -> None:
    problem = Problem("file", "--new-eni", "no")
    assert plan_text(CONFIG, Plan(None, problems=(problem,))) == (
        "cluster web\n  forbidden --new-eni: no\nnothing is done\n"
    )
    assert plan_text(CONFIG, Plan(AT)).endswith("\nnothing to do\n")


def test_a_creation_in_words() -> None:
    place = "ins-aaaaaaaa of web-a"
    assert step_text(CREATE) == (
        f'create the ENI "hafailover web vip" in subnet-1 of vpc-1, with 3 addresses and sg-2, sg-1, '
        f"and attach it to {place}"
    )
    least = step_text(replace(CREATE, security_groups=(), addresses=1))
    assert "with 1 address and the default security group, and" in least


def test_the_end_of_a_step() -> None:
    assert done_text(Done(ATTACH)) == "done: attach eni-cccccccc to ins-aaaaaaaa of web-a\n"
    assert done_text(Done(CREATE, eni="eni-dddddddd")).endswith(" of web-a: eni-dddddddd\n")
    assert done_text(Done(ATTACH, "why")) == "failed: attach eni-cccccccc to ins-aaaaaaaa of web-a: why\n"
    assert done_text(Done(ATTACH, "why", left="still there")).endswith(": why\nstill there\n")


def test_a_code_in_words() -> None:
    assert explained("InvalidParameterValue", "CreateNetworkInterface", "bad\x1b") == (
        "CreateNetworkInterface: InvalidParameterValue: bad?"
    )
    assert explained("LimitExceeded") == "LimitExceeded (there is no room for it, or no free address)"
    assert explained("ResourceInUse").endswith("(somebody else has it, or the cloud is at work on it)")
    assert explained("UnauthorizedOperation", "X").startswith("X: UnauthorizedOperation (the CAM policy")
    assert explained("ClientTimeout").endswith("run this again, which looks first)")


def test_an_interrupted_run_names_what_it_leaves() -> None:
    assert (
        interrupted("eni-1")
        == "interrupted: eni-1 was created; run this again, which goes on with it, or delete it\n"
    )
    assert interrupted("").startswith("interrupted: what was begun may still be done; run this again")


def test_the_line_names_the_enis_that_there_are_once_each() -> None:
    group = Group("vip", enis=("eni-1", "eni-2", "eni-3"))
    assert line_for_file(group, ("eni-3", "eni-1"), "eni-4") == 'enis = ["eni-1", "eni-3", "eni-4"]'
    assert line_for_file(group, ("eni-1",), "eni-1") == 'enis = ["eni-1"]'


def test_json_of_each_end() -> None:
    plan = Plan(AT, steps=(ASSIGN, ATTACH))
    planned = as_json(plan, None, "")
    assert (planned["ok"], planned["confirmed"]) == (False, False)
    assert [step["state"] for step in planned["steps"]] == ["planned", "planned"]
    failed = as_json(plan, (Done(ASSIGN, "why", left="rest"),), "")
    assert (failed["ok"], failed["confirmed"]) == (False, True)
    assert [(step["state"], step["error"], step["left"]) for step in failed["steps"]] == [
        ("failed", "why", "rest"),
        ("not tried", "", ""),
    ]
    done = as_json(plan, (Done(ASSIGN), Done(ATTACH)), "line")
    assert (done["ok"], done["line"]) == (True, "line")
    assert done["node"] == {"node": "web-a", "eni": "eni-aaaaaaaa", "instance": "ins-aaaaaaaa"}
    assert as_json(Plan(AT), (), "")["ok"]
    forbidden = as_json(Plan(None, problems=(Problem("file", "key", "no"),)), None, "")
    assert (forbidden["ok"], forbidden["node"]) == (False, None)
    assert forbidden["problems"] == [{"file": "file", "key": "key", "message": "no"}]
