"""What becomes of what: one small configuration for each rule."""

from __future__ import annotations

import pytest

from hafailover.election.tracking import Tracking
from hafailover.election.values import CheckState
from hafailover.errors import KeepalivedError
from hafailover.keepalived import numbers
from hafailover.keepalived.draft import toml
from hafailover.keepalived.keywords import PATTERNS, TABLE, said_of
from hafailover.keepalived.remarks import Verdict
from tests.unit.keepalived.files import filled_in, instance, make, problems

KEPT = {"interval": "1s", "timeout": "1s", "rise": 1, "fall": 1}
WATCHED = {"type": "process", "interval": "500ms", "timeout": "300ms", "rise": 1, "fall": 1}


def script(more: str = "", text: str = "/bin/a", track: str = "c") -> str:
    return instance(f"track_script {{ {track} }}", f'vrrp_script c {{\n script "{text}"\n {more}\n}}')


def keys(text: str, name: str = "c") -> dict[str, object]:
    made = make(text)
    assert problems(filled_in(made.draft)) == []
    return dict(made.group.checks[name].keys)


# -- numbers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "taken", "expected"),
    [
        ("VI_1", (), "VI_1"),
        ("my vip/2", (), "my-vip-2"),
        ("-..x", (), "x"),
        ("äö", (), "unnamed"),
        ("x" * 70, (), "x" * 63),
        ("x", ("x", "x-2"), "x-3"),
        ("y" * 63, ("y" * 63,), "y" * 61 + "-2"),
    ],
)
def test_names(text: str, taken: tuple[str, ...], expected: str) -> None:
    assert numbers.name(text, taken) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("priority high", 'k.conf:9: priority: "high" is not a whole number'),
        ("advert_int 1s", 'k.conf:9: advert_int: "1s" is not a time in seconds'),
        ("advert_int", 'k.conf:9: advert_int: "" is not a time in seconds'),
        ("virtual_ipaddress { vip1 }", 'k.conf:9: "vip1" is not an IP address'),
        ("track_interface { eth0 weight }", 'k.conf:9: eth0: "" is not a whole number'),
    ],
)
def test_what_is_no_number_names_file_and_line(line: str, message: str) -> None:
    with pytest.raises(KeepalivedError) as caught:
        make(instance(line))
    assert str(caught.value) == message


# -- heartbeats --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "interval_ms", "dead_ms"),
    [
        ("", 1000, 3000),
        ("advert_int 0.25\n down_timer_adverts 5", 250, 1250),
        ("advert_int .1\n down_timer_adverts 1", 100, 300),
        ("advert_int 0.001", 10, 30),
        ("advert_int 255", 10_000, 30_000),
        ("advert_int 10.\n down_timer_adverts 100", 10_000, 300_000),
    ],
)
def test_heartbeats(lines: str, interval_ms: int, dead_ms: int) -> None:
    made = make(instance(lines))
    assert (made.draft.interval_ms, made.draft.dead_interval_ms) == (interval_ms, dead_ms)
    assert problems(filled_in(made.draft)) == []
    assert all(said.startswith("carried") for said in made.said("advert_int")) is (
        interval_ms not in (10, 10_000) or "10." in lines
    )


def test_the_default_for_lost_adverts_is_global() -> None:
    made = make("global_defs { vrrp_down_timer_adverts 4 }" + instance())
    assert made.draft.dead_interval_ms == 4000


# -- groups ------------------------------------------------------------------------------------------------------


def test_an_instance_without_an_address_or_a_peer_has_blanks() -> None:
    made = make("vrrp_instance a { }")
    text = toml(made.draft, ["k.conf"])
    assert (
        text.count('"FILL IN"') == 6
    )  # the remark at the top, two addresses and two ENIs of nodes, one of the group
    assert made.said("vrrp_instance") == [
        'to be filled in: the heartbeat address of node "k" (unicast_src_ip is not given)',
        "to be filled in: the other node: there is no unicast_peer, and a VPC carries no multicast",
        'carried over: group "a"',
        'to be filled in: the addresses that move with group "a"',
    ]
    assert len(problems(text)) == 5
    assert problems(filled_in(made.draft)) == []


def test_addresses_in_all_their_forms() -> None:
    block = "10.0.1.5/24 dev eth0 label eth0:1 scope global brd +\n 10.0.1.6 dev eth1\n fd00::0:5"
    made = make(instance(f"virtual_ipaddress_excluded {{\n {block}\n}}"))
    assert made.group.addresses == ["10.0.1.100", "10.0.1.5", "10.0.1.6", "fd00::5"]
    assert made.said("10.0.1.5/24") == ["carried over: set as a single address, without prefix, label and scope"]
    assert made.said("10.0.1.6") == ["changed: goes to the interface of the node's ENI and not to eth1"]


def test_more_addresses_than_a_group_can_have() -> None:
    block = "\n".join(f"10.0.2.{number}" for number in range(64))
    made = make(instance(f"virtual_ipaddress {{\n{block}\n}}"))
    assert len(made.group.addresses) == 64
    assert made.said("10.0.2.63") == ["not carried over: a group has 64 addresses at most; make another group"]


def test_more_groups_than_a_file_can_have() -> None:
    text = "\n".join(f"vrrp_instance i{number} {{ }}" for number in range(501))
    with pytest.raises(KeepalivedError, match=r"k.conf:501: there are more than 500 groups"):
        make(text)


def test_a_sync_group_is_one_group() -> None:
    one = "vrrp_instance {0} {{ virtual_router_id {1}\n virtual_ipaddress {{ 10.0.1.{1} }} }}\n"
    made = make(
        "vrrp_sync_group both { group { a b nobody } }\nvrrp_sync_group none { group { a } }\n"
        + one.format("a", 1)
        + one.format("b", 2)
        + one.format("c", 3)
    )
    assert [(group.name, group.addresses) for group in made.draft.groups] == [
        ("both", ["10.0.1.1", "10.0.1.2"]),
        ("c", ["10.0.1.3"]),
    ]


def test_a_sync_group_may_name_its_instances_without_group() -> None:
    made = make("vrrp_sync_group g {\n vip\n nobody\n smtp_alert\n}\nvrrp_sync_group h { vip }" + instance())
    assert made.group.name == "g"
    assert made.said("vip") == ["carried over"]
    assert made.said("vrrp_sync_group")[1].startswith("not carried over: none of its instances")


@pytest.mark.parametrize(
    ("lines", "preempt", "delay_ms"),
    [
        ("", True, 0),
        ("nopreempt", False, 0),
        ("preempt\n preempt_delay 1.5", True, 1500),
        ("preempt_delay 5000", True, 3_600_000),
        ("state MASTER\n nopreempt", False, 0),
    ],
)
def test_preemption(lines: str, preempt: bool, delay_ms: int) -> None:  # noqa: FBT001 - a table
    made = make(instance(lines))
    assert (made.group.preempt, made.group.preempt_delay_ms) == (preempt, delay_ms)
    assert problems(filled_in(made.draft)) == []


def test_the_delay_after_the_start_is_the_longer_one() -> None:
    made = make("global_defs {\n vrrp_startup_delay 5.5\n vrrp_delay_after_boot 20\n}" + instance())
    assert made.group.startup_delay_ms == 20_000
    assert 'startup_delay = "20s"' in filled_in(made.draft)


def test_preemption_is_that_of_the_node_that_would_take_over() -> None:
    first = "state BACKUP\n nopreempt\n priority 90"
    made = make(
        instance(first),
        instance("state MASTER\n priority 120").replace(".17", ".x").replace(".16", ".17").replace(".x", ".16"),
    )
    assert made.group.preempt
    assert made.said("nopreempt") == ["carried over: has no effect on this node"]


# -- nodes -------------------------------------------------------------------------------------------------------


def other(text: str) -> str:
    """Return the other node's side of an instance."""
    return text.replace("10.0.1.17", "10.0.1.x").replace("10.0.1.16", "10.0.1.17").replace("10.0.1.x", "10.0.1.16")


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        (("web-a", "web-b"), ["web-a", "web-b"]),
        (("LVS_DEVEL", "LVS_DEVEL"), ["a", "b"]),
        (("", "web-b"), ["a", "b"]),
    ],
)
def test_nodes_are_called_as_the_files_say(ids: tuple[str, str], names: list[str]) -> None:
    first, second = (f"global_defs {{ router_id '{router_id}' }}" if router_id else "" for router_id in ids)
    made = make(instance(rest=first), other(instance(rest=second)))
    assert [node.name for node in made.draft.nodes] == names
    assert [node.host for node in made.draft.nodes] == ["10.0.1.17", "10.0.1.16"]


def test_a_node_that_does_not_say_its_address_is_the_one_that_others_name() -> None:
    second = other(instance()).replace("unicast_src_ip 10.0.1.16", "")
    made = make(instance(), second)
    assert [node.host for node in made.draft.nodes] == ["10.0.1.17", "10.0.1.16"]


def test_a_node_of_which_nobody_says_the_address_has_a_blank_and_no_peer_is_invented() -> None:
    nobody = "vrrp_instance vip { virtual_router_id 51\n virtual_ipaddress { 10.0.1.100 } }"
    made = make(instance().replace("unicast_peer { 10.0.1.16 }", "unicast_peer { 10.0.1.16 10.0.1.15 }"), nobody)
    assert [(node.host, node.name) for node in made.draft.nodes] == [("10.0.1.17", "a"), ("", "b")]


@pytest.mark.parametrize(
    ("state", "priority", "guess"),
    [("MASTER", 100, 90), ("BACKUP", 100, 110), ("MASTER", 5, 1), ("BACKUP", 250, 255)],
)
def test_the_priority_of_a_peer_is_a_guess(state: str, priority: int, guess: int) -> None:
    made = make(instance(f"state {state}\n priority {priority}"))
    assert [node.priority for node in made.draft.nodes] == [priority, guess]
    [said] = made.said("unicast_peer")
    assert said.startswith("to be filled in: the name and priority of the node at 10.0.1.16")


def test_a_priority_that_no_node_can_have_is_cut() -> None:
    assert make(instance("priority 300")).draft.nodes[0].priority == 255


def test_a_second_heartbeat_address_is_not_used() -> None:
    more = (
        "vrrp_instance b { priority 90\n interface eth1\n unicast_src_ip 10.0.2.17\n unicast_peer { 10.0.2.16 } }"
    )
    made = make(instance(rest=more))
    assert [node.host for node in made.draft.nodes] == ["10.0.1.17", "10.0.1.16"]
    assert "changed: heartbeats are sent from 10.0.1.17 only, once for all groups" in made.said("unicast_peer")
    assert 'changed: a node has one ENI that takes addresses, here that of "eth0"' in made.said("interface")
    [first, second] = made.said("priority")
    assert first == 'carried over: node "k"'
    assert second == "carried over: priorities of its group"
    assert [group.priorities for group in made.draft.groups] == [{}, {"k": 90, "node-b": 100}]


def test_nodes_that_differ_are_told_apart() -> None:
    second = other(
        instance(
            "virtual_ipaddress { 10.0.1.101 }\n track_interface { eth9 }\n notify /bin/x", "vrrp_instance z { }"
        )
    )
    made = make(instance(), second)
    assert set(made.said("vrrp_instance")) >= {
        'to be filled in: the nodes differ in the addresses of group "vip": 10.0.1.101',
        'changed: the nodes differ in what group "vip" tracks; that of the first file counts',
        'changed: the nodes differ in the hooks of group "vip"; those of the first file count',
        "not carried over: the first file has no such group",
    }
    assert (made.group.addresses, made.group.checks, made.group.notify) == (["10.0.1.100"], {}, {})


def test_the_same_group_is_found_by_its_id_when_names_differ() -> None:
    second = other(instance("nopreempt\n priority 200")).replace("vrrp_instance vip", "vrrp_instance VI_9")
    made = make(instance(), second)
    assert not made.group.preempt
    assert [group.name for group in made.draft.groups] == ["vip"]


def test_each_node_may_prefer_another_group() -> None:
    more = "vrrp_instance b {{ virtual_router_id 9\n priority {}\n virtual_ipaddress {{ 10.0.1.101 }} }}"
    second = other(instance("nopreempt\n priority 90", more.format("400\n nopreempt")))
    made = make(instance("priority 110", more.format(90)), second)
    assert [group.priorities for group in made.draft.groups] == [{}, {"a": 90, "b": 255}]
    assert [group.preempt for group in made.draft.groups] == [True, False], "as its best node has it"
    assert 'priorities = { "a" = 90, "b" = 255 }' in toml(made.draft, [])


def test_a_group_of_several_instances_has_one_priority() -> None:
    sync = "vrrp_sync_group both { group { vip b } }"
    made = make(
        instance("priority 110", "vrrp_instance b { priority 90\n virtual_ipaddress { 10.0.1.101 } }") + sync
    )
    assert 'changed: a group has one priority on a node, here 110 (of "vip")' in made.said("priority")


# -- routes and rules ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "route"),
    [
        ("10.8.0.0/16 via 10.0.1.1 dev eth0", "10.8.0.0/16 via 10.0.1.1"),
        ("10.8.0.0/16 dev eth1 scope link", "10.8.0.0/16 dev eth1"),
        ("src 10.0.1.100 to 10.8.0.0/16 gw 10.0.1.1", "10.8.0.0/16 via 10.0.1.1 src 10.0.1.100"),
        ("0.0.0.0/0 gw 10.0.1.1 table 100 no_track", "default via 10.0.1.1 table 100"),
        ("blackhole 10.9.0.0/16", "blackhole 10.9.0.0/16"),
        ("inet6 default via fe80::1 metric 7", "::/0 via fe80::1 metric 7"),
    ],
)
def test_virtual_routes(line: str, route: str) -> None:
    made = make(instance(f"virtual_routes {{\n{line}\n}}"))
    assert made.group.routes == [route]
    assert problems(filled_in(made.draft)) == []
    assert made.said("virtual_routes") == ["carried over"]


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("from 10.0.1.100 table 100", "from 10.0.1.100/32 table 100"),
        (
            "to 10.8.0.0/16 from 10.0.1.100 lookup 100 pref 5",
            "from 10.0.1.100/32 to 10.8.0.0/16 table 100 priority 5",
        ),
    ],
)
def test_virtual_rules(line: str, rule: str) -> None:
    made = make(instance(f"virtual_rules {{\n{line} no_track\n}}"))
    assert made.group.rules == [rule]
    assert problems(filled_in(made.draft)) == []
    assert made.said(line.split(maxsplit=1)[0]) == ["carried over: without no_track"]


@pytest.mark.parametrize(
    ("block", "line", "reason"),
    [
        (
            "routes",
            "10.8.0.0/16 via 10.0.1.1 or 10.0.1.2",
            'has "or", which is none of via, dev, src, table, metric',
        ),
        ("routes", "10.8.0.0/16 via", 'has nothing behind "via"'),
        ("routes", "10.8.0.0/16 via 10.0.1.1 table office", 'has "office" behind "table"'),
        ("rules", "from 10.0.1.100 fwmark 3 table 9", 'has "fwmark", which is none of from, to, table, priority'),
        ("rules", "from 10.0.1.100", "has no table"),
    ],
)
def test_what_follows_no_address_here(block: str, line: str, reason: str) -> None:
    made = make(instance(f"virtual_{block} {{\n{line}\n}}"))
    (said,) = made.said(line.split(maxsplit=1)[0])
    assert said.startswith("not carried over: ")
    assert reason in said
    assert (made.group.routes, made.group.rules) == ([], [])


def test_routes_of_a_sync_group_come_together_once_and_with_their_interface() -> None:
    other = """vrrp_instance inside {
        interface eth1
        virtual_router_id 52
        virtual_routes {
            10.8.0.0/16 via 10.0.1.1 dev eth0
            10.9.0.0/16 dev eth1
        }
    }
    vrrp_sync_group all {
        group {
            vip
            inside
        }
    }"""
    made = make(instance("virtual_routes { 10.8.0.0/16 via 10.0.1.1 }", other))
    assert made.group.routes == ["10.8.0.0/16 via 10.0.1.1", "10.9.0.0/16 dev eth1"]


def test_more_routes_than_a_group_can_have() -> None:
    lines = "\n".join(f"10.8.{number}.0/24 via 10.0.1.1" for number in range(65))
    made = make(instance(f"virtual_routes {{\n{lines}\n}}"))
    assert len(made.group.routes) == 64
    assert made.said("10.8.64.0/24") == ["not carried over: a group has 64 of them at most; make another group"]


def test_nodes_whose_routes_differ_are_told_apart() -> None:
    made = make(instance(), instance("virtual_routes { 10.8.0.0/16 via 10.0.1.1 }"))
    assert made.group.routes == []
    assert (
        'changed: the nodes differ in what follows the addresses of group "vip"; the first file counts'
        in made.said("vrrp_instance")
    )


# -- checks ------------------------------------------------------------------------------------------------------


def test_a_script_with_keepalived_s_defaults() -> None:
    assert keys(script()) == {"type": "script", "command": ("/bin/a",)} | KEPT


def test_a_script_with_everything() -> None:
    lines = "interval 2.5\n timeout 2\n rise 3\n fall 4\n weight -20\n user nobody\n init_fail"
    assert keys(script(lines)) == {
        "type": "script",
        "command": ("/bin/a",),
        "interval": "2.5s",
        "timeout": "2s",
        "rise": 3,
        "fall": 4,
        "weight": -20,
    }


@pytest.mark.parametrize(
    ("lines", "expected", "said"),
    [
        (
            "interval 2\n timeout 9",
            {"interval": "2s", "timeout": "2s"},
            ("timeout", "changed: 2s (the interval) in place of 9 s"),
        ),
        (
            "interval 0.01",
            {"interval": "50ms", "timeout": "50ms"},
            ("interval", "changed: 50ms in place of 0.01 s"),
        ),
        ("interval 7200", {"interval": "1h", "timeout": "10m"}, ("interval", "changed: 1h in place of 7200 s")),
        ("timeout 0", {"timeout": "10ms"}, ("timeout", "changed: 10ms in place of 0 s")),
        ("rise 0\n fall 300", {"rise": 1, "fall": 100}, ("fall", "changed: 100 in place of 300")),
        ("weight 500", {"weight": 253}, ("c", "changed: the weight 500 is cut to 253")),
    ],
)
def test_what_a_check_cannot_have_is_cut(lines: str, expected: dict[str, object], said: tuple[str, str]) -> None:
    text = script(lines)
    assert keys(text) == {"type": "script", "command": ("/bin/a",)} | KEPT | expected
    assert said[1] in make(text).said(said[0])


def priorities(weight: int, reverse: bool) -> tuple[int | str, int | str]:  # noqa: FBT001 - as it is written
    """Return the effective priority, or FAULT, with keepalived's check good and bad, of a node of 100."""
    word = " reverse" if reverse else ""
    check = keys(script(f"weight {weight}{word}", track="c"))
    found: list[int | str] = []
    for good in (True, False):
        passes = good is not check.get("reverse", False)
        tracking = Tracking((("c", int(str(check.get("weight", 0)))),))
        tracking.update("c", CheckState.UP if passes else CheckState.DOWN)
        found.append("FAULT" if tracking.fault else tracking.priority(100))
    return found[0], found[1]


@pytest.mark.parametrize(
    ("weight", "reverse", "good", "bad"),
    [
        (0, False, 100, "FAULT"),
        (0, True, "FAULT", 100),
        (20, False, 120, 100),
        (-20, False, 100, 80),
        (20, True, 80, 100),
        (-20, True, 100, 120),
    ],
)
def test_a_weight_does_what_it_did(weight: int, reverse: bool, good: int | str, bad: int | str) -> None:  # noqa: FBT001 - a table
    assert priorities(weight, reverse) == (good, bad)


def test_the_weight_of_the_line_that_tracks_is_the_one_that_counts() -> None:
    assert keys(script("weight 5 reverse", track="c weight -7 noreverse"))["weight"] == -7
    assert keys(script("weight 5\n rise 2\n fall 3", track="c reverse")) == {
        "type": "script",
        "command": ("/bin/a",),
        "interval": "1s",
        "timeout": "1s",
        "rise": 3,
        "fall": 2,
        "reverse": True,
        "weight": -5,
    }


@pytest.mark.parametrize(("weight", "preempts", "told"), [(5, False, True), (5, True, False), (0, False, False)])
def test_a_weight_that_does_nothing_is_told(weight: int, preempts: bool, told: bool) -> None:  # noqa: FBT001 - a table
    text = (
        script(f"weight {weight}")
        if preempts
        else script(f"weight {weight}").replace("priority", "nopreempt\n priority")
    )
    said = "to be filled in: with nopreempt a weight moves nothing, here as in keepalived; "
    assert any(each.startswith(said) for each in make(text).said("c")) is told


def test_a_script_that_only_looks_is_replaced() -> None:
    assert keys(script(text="killall -0 nginx"), "nginx") == {"type": "process"} | KEPT
    away = script(text="test ! -e /run/down")
    assert keys(away) == {"type": "file", "path": "/run/down", "reverse": True} | KEPT
    assert (
        keys(away.replace("{ c }", "{ c reverse }"))
        == {"type": "file", "path": "/run/down", "reverse": False} | KEPT
    )


def test_two_scripts_for_one_process_are_two_checks() -> None:
    rest = 'vrrp_script a { script "pidof x" }\nvrrp_script b { script "pidof x" }'
    made = make(instance("track_script { a b }", rest))
    assert {name: check.keys["type"] for name, check in made.group.checks.items()} == {
        "x": "process",
        "b": "script",
    }


@pytest.mark.parametrize(
    ("more", "rest", "keyword", "said"),
    [
        (
            "track_script { c }",
            "",
            "c",
            'not carried over: no vrrp_script is called "c"; keepalived ignores the line too',
        ),
        ("track_script { c }", "vrrp_script c { }", "vrrp_script", "not carried over: it has no script"),
        (
            "track_process { c }",
            "vrrp_track_process c { process }",
            "vrrp_track_process",
            "not carried over: it has no process",
        ),
        ("track_file { c }", "track_file c { weight 1 }", "track_file", "not carried over: it has no file"),
        ("", "vrrp_script c { script /x }", "vrrp_script", "not carried over: no instance tracks it"),
        ("notify_master", "", "notify_master", "not carried over: it names no program"),
    ],
)
def test_what_leads_nowhere(more: str, rest: str, keyword: str, said: str) -> None:
    made = make(instance(more, rest))
    assert made.group.checks == {}
    assert said in made.said(keyword)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("process nginx", {"weight": 1}),
        ("process /usr/sbin/nginx\n weight 0\n quorum 1", {}),
        (
            "process nginx -g x\n weight -5\n delay 2\n quorum 3\n full_command\n fork_delay 1",
            {"interval": "2s", "fall": 2, "weight": -5},
        ),
        ("process nginx\n terminate_delay 0", {"weight": 1}),
        ("process nginx\n delay 0.1", {"interval": "100ms", "timeout": "100ms", "fall": 2, "weight": 1}),
    ],
)
def test_a_tracked_process(lines: str, expected: dict[str, object]) -> None:
    text = instance("track_process { c }", f"vrrp_track_process c {{\n {lines}\n}}")
    assert keys(text, "nginx") == WATCHED | expected


def test_a_process_whose_name_no_check_can_have_needs_a_pidfile() -> None:
    text = instance("track_process { c }", "vrrp_track_process c { process '/opt/my app' }")
    made = make(text)
    assert list(made.group.checks) == ["my-app"]
    assert made.said("process") == [
        'to be filled in: a check called "my-app" looks for no process "my app": give it a pidfile'
    ]


@pytest.mark.parametrize(
    ("lines", "entry", "expected"),
    [
        ("weight 0", "c", {}),
        ("weight 0 reverse", "c", {"reverse": True}),
        ("", "c", {"reverse": True, "weight": 1}),
        ("weight -2", "c", {"weight": -2}),
        ("weight 2", "c reverse", {"weight": -2}),
        ("weight -2\n init_file 1", "c reverse", {"reverse": True, "weight": 2}),
    ],
)
def test_a_tracked_file(lines: str, entry: str, expected: dict[str, object]) -> None:
    text = instance(f"track_file {{ {entry} }}", f"vrrp_track_file c {{\n file /run/n\n {lines}\n}}")
    assert {key: value for key, value in keys(text).items() if key in ("reverse", "weight")} == expected


def test_interfaces() -> None:
    made = make(instance("track_interface {\n eth0 eth1\n eth2 weight -5\n eth3 reverse\n}"))
    common = {"type": "interface", "rise": 1, "fall": 1}
    assert [check.keys for check in made.group.checks.values()] == [
        common | {"interface": "eth0"},
        common | {"interface": "eth1"},
        common | {"interface": "eth2", "weight": -5},
        common | {"interface": "eth3", "reverse": True},
    ]
    assert problems(filled_in(made.draft)) == []


def test_what_is_tracked_twice_is_one_check_and_too_many_are_cut() -> None:
    many = " ".join(f"eth{number}" for number in range(33))
    made = make(instance(f"track_interface {{ {many} }}\n track_interface {{ eth1 }}"))
    assert len(made.group.checks) == 32
    assert "carried over: with the check of that name" in made.said("eth1")


# -- hooks -------------------------------------------------------------------------------------------------------


def test_hooks() -> None:
    lines = (
        'notify /n\n notify_master "/m a"\n notify_backup /b\n notify_fault /f root\n notify_stop "/opt/vip.py x"'
    )
    made = make(instance(lines))
    assert made.group.notify == {
        "notify": ("/n",),
        "master": ("/m", "a"),
        "backup": ("/b",),
        "fault": ("/f",),
        "stop": ("/opt/vip.py", "x"),
    }
    assert made.said("notify_fault") == ["changed: runs as the daemon's user and not as root: see docs/systemd.md"]
    assert made.said("notify_stop") == [
        "to be filled in: hook stop: the daemon itself moves the address; take out of the program what does"
    ]


def test_a_group_has_one_hook_of_a_kind() -> None:
    made = make(
        "vrrp_sync_group g {\n group { vip b }\n notify_master /sync\n}"
        + instance("notify_master /vip", "vrrp_instance b { notify_master /sync }")
    )
    assert made.group.notify == {"master": ("/sync",)}
    assert made.said("notify_master") == [
        "carried over: hook master",
        "not carried over: a group has one hook master: call this program from the one that was taken",
        "carried over: hook master",
    ]


# -- everything else ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keyword", "verdict"),
    [
        ("garp_master_delay", Verdict.MEANINGLESS),
        ("vrrp_garp_interval", Verdict.MEANINGLESS),
        ("use_vmac", Verdict.MEANINGLESS),
        ("virtual_server", Verdict.MISSING),
        ("enable_snmp_vrrp", Verdict.MISSING),
        ("vrrp_rt_priority", Verdict.MEANINGLESS),
        ("auth_pass", Verdict.CHANGED),
        ("frobnicate", Verdict.UNKNOWN),
    ],
)
def test_every_keyword_has_an_answer(keyword: str, verdict: Verdict) -> None:
    found, text = said_of(keyword)
    assert found is verdict
    assert text


def test_no_row_hides_behind_another() -> None:
    assert all(pattern.pattern for pattern, _, _ in PATTERNS)
    assert all(verdict is not Verdict.UNKNOWN for verdict, _ in TABLE.values())


def test_the_remarks_are_in_the_order_of_the_files() -> None:
    made = make(instance("accept"), other(instance("accept")))
    places = [(each.place.file, each.place.line) for each in made.remarks.in_order(["b.conf", "a.conf"])]
    assert places == sorted(places, key=lambda each: (-ord(each[0][0]), each[1]))
    assert "a.conf:9: no meaning in a VPC: accept: the master always accepts packets for its addresses" in map(
        str, made.remarks.said
    )
    assert made.remarks.counts()[Verdict.MEANINGLESS] == 2
