from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hafailover.config import advice
from tests.unit.config.conftest import PARTS

if TYPE_CHECKING:
    from tests.unit.config.conftest import Made

CLOUD = '[cloud]\nregion = "ap-guangzhou"\n'
GROUP = '[[group]]\nname = "vip"\naddresses = ["10.0.1.100"]\n'
CHECK = '[[group.check]]\nname = "c"\ntype = "tcp"\naddress = "a:1"\n'
WITNESS = '[[node]]\nname = "w"\naddress = "10.0.1.9:7694"\nrole = "witness"\n'
QUORUM = 'guards = ["quorum"]\n'
METADATA = "the metadata service (http://metadata.tencentyun.com)"


def node(name: str, address: str, more: str = "") -> str:
    return f'[[node]]\nname = "{name}"\naddress = "{address}:1"\neni = "eni-0000000{address[-1]}"\n{more}\n'


def check(name: str, weight: int) -> str:
    return f'[[group.check]]\nname = "{name}"\ntype = "tcp"\naddress = "a:1"\nweight = {weight}\n'


def warned(made: Made, **parts: str) -> list[str]:
    said = advice.warnings(made(**{"cloud": CLOUD, "check": CHECK, **parts}))
    assert all(problem.file == "f.toml" for problem in said)
    return [f"{problem.key}: {problem.message}" for problem in said]


def test_a_sound_configuration_has_no_warnings(made: Made) -> None:
    assert warned(made) == []


@pytest.mark.parametrize(
    ("parts", "warning"),
    [
        ({"cloud": ""}, f"cloud.region: not given: asked of {METADATA} at the start"),
        (
            {"nodes": node("a", "10.0.0.1") + '[[node]]\nname = "b"\naddress = "10.0.0.2:1"\n'},
            'node "b".eni: not given: the cloud is asked for it when the daemon starts, and must answer then',
        ),
        ({"nodes": node("a", "10.0.0.1")}, "node: only one node may become master: nothing can take over from it"),
        (
            {"group": GROUP + "guards = []\n"},
            (
                'group "vip".guards: empty: a cut heartbeat path alone makes another node take the addresses'
                " from a master that serves"
            ),
        ),
        (
            {"group": GROUP + 'routes = ["default via 10.0.1.1 src 10.0.1.100 metric 5"]\n'},
            (
                'group "vip".routes: "default via 10.0.1.1 src 10.0.1.100 metric 5": the calls to the cloud leave'
                " from 10.0.1.100 too: once that is moved away and no peer is heard, this node cannot ask; better"
                " a table and a rule"
            ),
        ),
        (
            {"check": ""},
            'group "vip".check: none: a service that fails while its host and daemon live is not noticed',
        ),
        (
            {"group": GROUP + 'preempt_delay = "1s"\n'},
            'group "vip".preempt_delay: has no effect with preempt = false',
        ),
        (
            {"group": GROUP + 'isolation_timeout = "9s"\n'},
            'group "vip".isolation_timeout: has no effect with on_isolation = "hold"',
        ),
        (
            {"group": GROUP + "vip_port = 80\nguards = ['cloud']\n"},
            'group "vip".vip_port: has no effect without the guard "vip"',
        ),
        (
            {"group": GROUP + "preempt = true\n", "nodes": node("a", "10.0.0.1") + node("b", "10.0.0.2")},
            (
                'group "vip".preempt: the highest priority belongs to several nodes:'
                ' the first of them in the file ("a") always takes the mastership back'
            ),
        ),
        (
            {"check": CHECK + 'timeout = "500ms"\n'},
            'group "vip".check "c".timeout: as long as the interval: a service that hangs is asked without a pause',
        ),
        (
            {"check": check("c", -5)},
            (
                'group "vip".check "c".weight: can never cause a failover: preempt = false,'
                " so a master that works is kept"
            ),
        ),
        (
            {"check": check("c", -10), "group": GROUP + "preempt = true\n"},
            (
                'group "vip".check "c".weight: can never cause a failover: "web-a" leads "web-b" by 10,'
                " so the checks that fail must weigh 11 or more together"
            ),
        ),
        (
            {"check": check("c", -1), "group": GROUP + "preempt = true\npriorities = { web-b = 102 }\n"},
            (
                'group "vip".check "c".weight: can never cause a failover: "web-b" leads "web-a" by 2,'
                " so the checks that fail must weigh 2 or more together"
            ),
        ),
        (
            {"group": GROUP + "preempt = true\npriorities = { web-b = 100 }\n"},
            (
                'group "vip".preempt: the highest priority belongs to several nodes: the first of them in the file'
                ' ("web-a") always takes the mastership back'
            ),
        ),
        (
            {"group": GROUP + 'handover = "strict"\n'},
            (
                'group "vip".handover: "strict" without the hook notify.backup: only the address is taken from the'
                " old master before the new one claims, its service runs on"
            ),
        ),
        (
            {"group": GROUP + 'fence = "stop-instance"\n'},
            (
                'group "vip".fence: the key or role needs the permission cvm:StopInstances on every member: without'
                " it, and until the cloud confirms that the old master is off, nobody takes over from it"
            ),
        ),
        (
            {"nodes": PARTS["nodes"] + WITNESS},
            'node "w".role: has no effect: a witness is asked by the guard "quorum", and no group has it',
        ),
        (
            {"nodes": PARTS["nodes"] + WITNESS + 'eni = "eni-wwwwwwww"\n', "group": GROUP + QUORUM},
            'node "w".eni: has no effect: a witness never has an address',
        ),
        (
            {"nodes": PARTS["nodes"] + WITNESS + 'interface = "eth0"\n', "group": GROUP + QUORUM},
            'node "w".interface: has no effect: a witness never has an address',
        ),
        (
            {
                "nodes": node("a", "10.0.0.1") + WITNESS + WITNESS.replace('"w"', '"v"').replace(".9:", ".8:"),
                "group": GROUP + QUORUM,
            },
            "node: only one node may become master: nothing can take over from it",
        ),
    ],
)
def test_what_cannot_work_is_told(made: Made, parts: dict[str, str], warning: str) -> None:
    assert warned(made, **parts) == [warning]


@pytest.mark.parametrize(
    "parts",
    [
        {"group": GROUP + 'preempt = true\npreempt_delay = "1s"\n'},
        {"group": GROUP + 'on_isolation = "demote"\nisolation_timeout = "9s"\n'},
        {"group": GROUP + "vip_port = 80\n"},
        {"group": GROUP + QUORUM, "nodes": PARTS["nodes"] + WITNESS},
        {"group": GROUP + 'handover = "strict"\n', "notify": '[group.notify]\nbackup = "/a"\n'},
        {"group": GROUP + "preempt = true\n", "check": check("c", -11)},
        {"group": GROUP + "preempt = true\n", "check": check("c", 11)},
        {"group": GROUP + "preempt = true\npriorities = { web-b = 101 }\n", "check": check("c", -2)},
        {"group": GROUP + "preempt = true\n", "check": check("c", -5) + check("d", 6)},
        {"group": GROUP + 'routes = ["default src 10.0.1.100 table 9", "10.0.0.0/8 src 10.0.1.100"]\n'},
        {"group": GROUP + 'routes = ["default via 10.0.1.1 metric 5"]\n'},
    ],
)
def test_what_can_work_is_not_told(made: Made, parts: dict[str, str]) -> None:
    assert warned(made, **parts) == []


def test_a_tie_is_enough_where_the_second_comes_first_in_the_file(made: Made) -> None:
    nodes = node("b", "10.0.0.2", "priority = 90") + node("a", "10.0.0.1")
    assert warned(made, nodes=nodes, group=GROUP + "preempt = true\n", check=check("c", -10)) == []


def test_of_several_weights_only_the_one_that_never_counts_is_told(made: Made) -> None:
    checks = check("small", -1) + check("large", -20)
    (only,) = warned(made, group=GROUP + "preempt = true\n", check=checks)
    assert only.startswith('group "vip".check "small".weight: can never cause a failover: "web-a" leads')


def test_a_lone_node_is_told_once_and_not_for_each_weight(made: Made) -> None:
    said = warned(made, nodes=node("a", "10.0.0.1"), group=GROUP + "preempt = true\n", check=check("c", -5))
    assert said == ["node: only one node may become master: nothing can take over from it"]


@given(st.integers(1, 20), st.lists(st.integers(1, 20), max_size=6), st.integers(0, 60))
def test_a_weight_decides_if_some_subset_does(weight: int, others: list[int], least: int) -> None:
    subsets = [sum(o for i, o in enumerate(others) if mask >> i & 1) for mask in range(1 << len(others))]
    expected = any(loss < least <= loss + weight for loss in subsets)
    assert advice._decides(weight, others, least) == expected


@pytest.mark.parametrize(
    "keys",
    [
        'type = "process"',
        'type = "systemd"\nunit = "a"',
        'type = "file"\npath = "/a"',
        'type = "interface"\ninterface = "a"',
    ],
)
@pytest.mark.parametrize("more", ["", "reverse = true\n"])
def test_a_weight_is_judged_whatever_the_check_looks_at(made: Made, keys: str, more: str) -> None:
    text = f'[[group.check]]\nname = "c"\nweight = 5\n{keys}\n{more}'
    (only,) = warned(made, group=GROUP + "preempt = true\n", check=text)
    assert only.startswith('group "vip".check "c".weight: can never cause a failover: "web-a" leads "web-b" by 10')
