"""Whole files, as people write them: each loads once its blanks are filled in, and no line is passed over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.reference import keepalived
from hafailover.keepalived import command, mapping
from hafailover.keepalived.remarks import Remarks
from tests.unit.keepalived.files import SAMPLES, Made, filled_in, problems

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hafailover.keepalived.parser import Statement

EACH = sorted([path.name] for path in SAMPLES.glob("*.conf"))
PAIRS = [["haproxy-a.conf", "haproxy-b.conf"]]
_WHOLE = (
    "virtual_routes",
    "virtual_rules",
    "virtual_server",
    "notification_email",
    "auth_hmac",
    "bfd_instance",
    "track_bfd",
)


def load(*names: str) -> Made:
    remarks = Remarks()
    views = command.read([str(SAMPLES / name) for name in names], [])
    return Made(mapping.make(views, remarks), remarks)


def lines(statements: list[Statement]) -> Iterator[Statement]:
    for statement in statements:
        yield statement
        if statement.keyword not in _WHOLE and statement.keyword != "unicast_peer":
            yield from lines(statement.inner)


@pytest.mark.parametrize("names", EACH + PAIRS)
def test_the_result_loads_once_its_blanks_are_filled_in(names: list[str]) -> None:
    assert problems(filled_in(load(*names).draft)) == []


@pytest.mark.parametrize("names", EACH + PAIRS)
def test_something_is_said_of_every_line(names: list[str]) -> None:
    places = load(*names).remarks.places
    views = command.read([str(SAMPLES / name) for name in names], [])
    silent = {str(each.place) for view in views for each in lines(view.statements) if each.place not in places}
    assert silent == set()


def test_a_pair_of_load_balancers() -> None:
    made = load("haproxy-a.conf", "haproxy-b.conf")
    assert [(node.name, node.host, node.priority) for node in made.draft.nodes] == [
        ("lb-a", "10.0.1.17", 101),
        ("lb-b", "10.0.1.16", 100),
    ]
    assert made.group.checks["haproxy"].keys["type"] == "process"
    assert not any(said.startswith("to be filled in") for said in made.said("unicast_peer"))


def test_the_vendors_recipe() -> None:
    made = load("vendor-recipe.conf")
    assert (made.draft.interval_ms, made.draft.dead_interval_ms) == (5000, 15_000)
    assert made.group.preempt is False
    assert list(made.group.checks) == ["interface-eth0", "checkself"]
    for hook in ("notify_master", "notify_backup", "notify_fault", "notify_stop"):
        [said] = made.said(hook)
        assert "take out of the program what does" in said


def test_one_file_for_both_nodes() -> None:
    made = load("one-for-both.conf")
    assert [(node.name, node.host, node.priority) for node in made.draft.nodes] == [
        ("web-a", "10.0.1.17", 150),
        ("web-b", "10.0.1.16", 140),
    ]
    assert made.group.checks["nginx"].keys["fall"] == 3


def test_a_sync_group_with_routes() -> None:
    made = load("sync-group.conf")
    assert made.group.addresses == ["10.0.1.100", "10.0.1.101", "10.0.2.100"]
    assert (made.group.preempt, made.group.preempt_delay_ms) == (True, 60_000)
    assert made.group.notify == {
        "notify": ("/usr/local/sbin/vrrp-notify",),
        "master": ("/usr/local/sbin/to-master",),
    }
    assert len(made.draft.nodes) == 2
    assert made.group.routes == ["192.168.8.0/24 via 10.0.1.1"]
    assert made.group.rules == ["from 10.0.1.100/32 table 100"]


def test_active_active() -> None:
    made = load("active-active.conf")
    assert [group.name for group in made.draft.groups] == ["VI_1", "VI_2"]
    assert [(group.priorities, group.preempt) for group in made.draft.groups] == [
        ({}, True),
        ({"active-active": 90}, True),
    ]
    assert "carried over: priorities of its group" in made.said("priority")


def test_processes() -> None:
    made = load("track-process.conf")
    assert list(made.group.checks) == ["nginx", "server"]
    assert made.group.checks["server"].keys["reverse"] is True
    assert len(made.draft.nodes) == 3


def test_files_and_scripts_that_only_look() -> None:
    types = {name: check.keys["type"] for name, check in load("track-file.conf").group.checks.items()}
    assert types == {
        "drain": "script",
        "load": "script",
        "down": "file",
        "ready": "file",
        "port": "tcp",
        "unit": "systemd",
        "piped": "script",
    }


def test_a_director() -> None:
    made = load("lvs.conf")
    assert made.said("virtual_server")[0].startswith("not carried over: balancing has no counterpart")
    assert [node.host for node in made.draft.nodes] == ["", ""]


def test_a_control_plane() -> None:
    made = load("kube-api.conf")
    assert made.group.addresses == ["10.0.1.50"]
    assert made.said("use_vmac") == ["no meaning in a VPC: a VPC knows only the MAC address of the ENI"]


def test_ipv6() -> None:
    made = load("ipv6.conf")
    assert made.group.addresses == ["2001:db8:1::100", "2001:db8:1::101"]
    assert 'address = "[2001:db8:1::17]:7694"' in filled_in(made.draft)
    assert made.said("made_up_keyword")[0].startswith("not known")


def test_scripts_alone() -> None:
    made = load("aws-style.conf")
    assert made.group.addresses == []
    assert made.said("notify_fifo")[0].startswith("not carried over")
    assert made.said("include") == ["not carried over: there is no such file"]


def test_included_files() -> None:
    made = load("included-main.conf")
    assert (made.group.name, made.group.addresses) == ("my-vip", ["10.0.1.100"])
    assert made.draft.nodes[0].name == "web-one"


def test_repeated_instances() -> None:
    made = load("repeated.conf")
    assert [(node.name, node.host, node.priority) for node in made.draft.nodes] == [
        ("high", "10.0.9.17", 130),
        ("low", "10.0.9.16", 120),
    ]
    assert [(group.name, group.addresses) for group in made.draft.groups] == [
        ("VI_1", ["10.0.1.101", "10.0.1.102", "10.0.1.103"]),
        ("VI_2", ["10.0.2.101", "10.0.2.102", "10.0.2.103"]),
    ]


def test_what_the_benchmarks_run_keepalived_with(tmp_path: Path) -> None:
    cloud = keepalived.Cloud("http://127.0.0.1", "ap-x", "id", "key")
    names = []
    for name, own, peer, priority in (
        ("web-a", "10.0.1.17", "10.0.1.16", 100),
        ("web-b", "10.0.1.16", "10.0.1.17", 90),
    ):
        directory = tmp_path / name
        directory.mkdir()
        side = keepalived.Side(name, own, peer, "eni-a", "eni-b", priority)
        keepalived.prepare(side, cloud, "10.0.1.100", 80, directory)
        names.append(str(directory / "keepalived.conf"))
    made = load(*names)
    assert [(node.name, node.host, node.priority) for node in made.draft.nodes] == [
        ("web-a", "10.0.1.17", 100),
        ("web-b", "10.0.1.16", 90),
    ]
    assert (made.draft.interval_ms, made.draft.dead_interval_ms) == (100, 300)
    assert made.group.preempt is False
    assert problems(filled_in(made.draft)) == []
