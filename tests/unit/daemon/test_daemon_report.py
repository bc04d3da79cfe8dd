from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

import hafailover
from hafailover.checks.result import CheckResult
from hafailover.config import model, routing
from hafailover.daemon import clock, report
from hafailover.election.effects import FailoverFinished
from hafailover.election.reasons import Reason
from hafailover.election.status import NodeStatus, status
from hafailover.election.values import CheckState, Policy, Resource, ResourceKind, State
from hafailover.heartbeat.path import PeerPathStats
from hafailover.observe.history import History
from tests.unit.daemon.stage import Notebook
from tests.unit.election.bench import GROUP, VIP, A, B, Bench, C

if TYPE_CHECKING:
    from collections.abc import Mapping

# The contract's `status --json`: fields may be added to these, none may be missing, renamed or of another type.
OPTIONAL_TEXT = (str, type(None))
NUMBER = (int, float)
NODE: dict[str, Any] = {
    "node": str,
    "version": str,
    "uptime_s": NUMBER,
    "config_digest": str,
    "drained": bool,
    "peers": list,
    "groups": list,
}
PEER: dict[str, Any] = {"node": str, "alive": bool, "config_match": (bool, type(None)), "paths": dict}
PATH: dict[str, Any] = {"up": bool, "last_seen_s": (*NUMBER, type(None)), "rtt_s": (*NUMBER, type(None))}
GROUP_: dict[str, Any] = {
    "name": str,
    "state": str,
    "master": OPTIONAL_TEXT,
    "term": int,
    "since": str,
    "priority": int,
    "effective_priority": int,
    "paused": bool,
    "successor": type(None),
    "nodes": list,
    "paused_by": list,
    "pause_left_s": float,
    "hold_down_s": NUMBER,
    "addresses": list,
    "enis": list,
    "checks": list,
    "last_failover": (dict, type(None)),
}
ADDRESS: dict[str, Any] = {"address": str, "holder": OPTIONAL_TEXT, "eni": OPTIONAL_TEXT, "configured": bool}
ENI: dict[str, Any] = {"eni": str, "holder": OPTIONAL_TEXT}
CHECK: dict[str, Any] = {"name": str, "state": str, "weight": int}
FAILOVER: dict[str, Any] = {"reason": str, "from": OPTIONAL_TEXT, "to": str, "phases_s": dict}
PHASES: dict[str, Any] = {"detect": NUMBER, "guard": NUMBER, "cloud": NUMBER, "guest": NUMBER}

ENI_RESOURCE = Resource(ResourceKind.ENI, "eni-cccccccc")
POLICY = Policy(GROUP, (VIP, ENI_RESOURCE), checks=(("nginx", 0), ("disk", -20)))
HEARD = PeerPathStats(A, True, 0.11049, 0.0004, 0.0005, 0.02, 10, 9, 1, 2, 0)
FINISHED = FailoverFinished(
    GROUP,
    Reason.MASTER_DEAD,
    A,
    B,
    term=3,
    detect_ms=1000,
    guard_ms=1,
    cloud_ms=600,
    guest_ms=2,
    verify_ms=3,
    moves=1,
)


def facts(**changes: Any) -> report.Facts:
    paths = (Notebook("udp", seen=(HEARD,)), Notebook("mqtt", seen=(replace(HEARD, last_seen_s=0.4),)))
    plain = report.Facts(
        config_digest=b"\x01\x02\x03\x04\x05\x06\x07\x08",
        started_at_ms=clock.now_ms() - 12_500,
        paths=paths,
        broker=None,
        history=History(),
        checks={},
        log_lines_lost=0,
        began=report.Stamps(),
        readiness={"age_s": None, "checks": {}, "findings": []},
        groups={GROUP: model.Group(GROUP)},
        laid=(),
        announced={},
    )
    return replace(plain, **changes)


def fits(part: Mapping[str, Any], shape: Mapping[str, Any]) -> None:
    for name, kind in shape.items():
        kinds = kind if isinstance(kind, tuple) else (kind,)
        assert type(part[name]) in kinds, f"{name} is {part[name]!r}"


def node() -> Bench:
    at = Bench(policy=POLICY)
    at.read("eni-a", "ins-a")
    at.hear(A, State.MASTER, 3)
    at.check(CheckState.UP, "nginx")
    return at


def seen(at: Bench) -> NodeStatus:
    return status(at.node, at.now)


def test_the_json_has_the_contracts_fields_and_types() -> None:
    history = History()
    history.record(FINISHED, at_ms=0)
    told = json.loads(json.dumps(report.as_json(seen(node()), facts(history=history))))
    fits(told, NODE)
    (heard, unheard), (group,) = told["peers"], told["groups"]
    for peer in (heard, unheard):
        fits(peer, PEER)
    assert list(heard["paths"]) == ["udp", "mqtt"]
    for path in heard["paths"].values():
        fits(path, PATH)
    fits(group, GROUP_)
    for part, shape in (("addresses", ADDRESS), ("enis", ENI), ("checks", CHECK)):
        assert group[part]
        for each in group[part]:
            fits(each, shape)
    fits(group["last_failover"], FAILOVER)
    fits(group["last_failover"]["phases_s"], PHASES)


def test_what_is_said_of_the_node() -> None:
    told = report.as_json(seen(node()), facts(log_lines_lost=7))
    assert (told["node"], told["version"], told["config_digest"]) == (
        "b",
        hafailover.__version__,
        "0102030405060708",
    )
    assert 12.5 <= told["uptime_s"] < 60
    assert (told["drained"], told["leaving"], told["log_lines_lost"]) == (False, "no", 7)
    assert told["cloud"] == {"error": "", "read_age_s": 0.0}


def test_a_cloud_that_was_never_read_and_one_that_fails() -> None:
    at = Bench(policy=POLICY)
    assert report.as_json(seen(at), facts())["cloud"] == {"error": "", "read_age_s": None}
    at.fail_read()
    assert report.as_json(seen(at), facts())["cloud"]["error"] == "ClientTimeout"


def test_what_is_said_of_peers_and_paths() -> None:
    quiet = replace(HEARD, last_seen_s=0.4)
    never = replace(HEARD, peer=C, confirmed=False, last_seen_s=None, rtt_s=None, rtt_last_s=None)
    paths = (Notebook("udp", seen=(HEARD, never)), Notebook("mqtt", seen=(quiet,)))
    heard, unheard = report.as_json(seen(node()), facts(paths=paths))["peers"]
    assert (heard["node"], heard["alive"], heard["liveness"]) == ("a", True, "alive")
    assert (heard["hears_us"], heard["hears"], heard["config_match"]) == (True, ["b"], True)
    assert heard["paths"]["udp"] == {
        "up": True,
        "last_seen_s": 0.11,
        "rtt_s": 0.0004,
        "loss": 0.02,
        "sent": 10,
        "received": 9,
        "refused": 2,
        "send_errors": 1,
        "foreign_source": 0,
    }
    assert heard["paths"]["mqtt"]["up"] is False  # silent for the whole dead interval
    assert (unheard["node"], unheard["alive"], unheard["config_match"]) == ("c", False, None)
    assert list(unheard["paths"]) == ["udp"]
    assert (unheard["paths"]["udp"]["up"], unheard["paths"]["udp"]["last_seen_s"]) == (False, None)


@pytest.mark.parametrize("laid", [True, False])
def test_what_is_said_of_routes_and_rules(laid: bool) -> None:  # noqa: FBT001 - a parameter
    route, rule = routing.route("10.8.0.0/16 via 10.0.1.1"), routing.rule("from 10.0.1.100 table 9")
    told = facts(groups={GROUP: model.Group(GROUP, routes=(route,), rules=(rule,))}, laid={GROUP} if laid else ())
    (group,) = report.as_json(seen(node()), told)["groups"]
    assert group["routes"] == [{"route": "10.8.0.0/16 via 10.0.1.1", "configured": laid}]
    assert group["rules"] == [{"rule": "from 10.0.1.100/32 table 9", "configured": laid}]
    (plain,) = report.as_json(seen(node()), facts())["groups"]
    assert {"routes", "rules"}.isdisjoint(plain)


def test_of_a_group_that_the_file_names_no_longer_there_is_a_status_until_the_core_lets_go_of_it() -> None:
    (group,) = report.as_json(seen(node()), facts(groups={}))["groups"]
    assert group["name"] == GROUP
    assert {"routes", "rules"}.isdisjoint(group)


@pytest.mark.parametrize(("silent_ms", "alive"), [(0, True), (399, True), (400, False)])
def test_a_late_peer_is_alive_until_the_dead_interval(silent_ms: int, alive: bool) -> None:  # noqa: FBT001 - a parameter of the test
    at = node()
    at.now += silent_ms
    assert report.as_json(seen(at), facts())["peers"][0]["alive"] is alive


def test_what_is_said_of_a_group() -> None:
    at = node()
    result = CheckResult("nginx", passed=True, seconds=0.1, detail="200 in 3 ms")
    (group,) = report.as_json(seen(at), facts(checks={(GROUP, "nginx"): result}))["groups"]
    assert (group["name"], group["state"], group["master"], group["term"]) == ("vip", "BACKUP", "a", 3)
    assert (group["why"], group["why_label"]) == (Reason.MASTER_ALIVE.value, "master_alive")
    assert (group["priority"], group["paused"], group["hold_down_s"]) == (90, False, 0.0)
    assert group["addresses"] == [{"address": VIP.id, "holder": "a", "eni": "eni-a", "configured": False}]
    assert group["enis"] == [{"eni": "eni-cccccccc", "holder": "a", "instance": "ins-a", "configured": False}]
    assert group["checks"] == [
        {"name": "nginx", "state": "up", "weight": 0, "detail": "200 in 3 ms"},
        {"name": "disk", "state": "pending", "weight": -20, "detail": ""},
    ]
    assert group["last_failover"] is None


def test_weights_and_guest_show() -> None:
    at = node()
    at.check(CheckState.DOWN, "disk")
    group = report.as_json(seen(at), facts())["groups"][0]
    assert (group["priority"], group["effective_priority"], group["eligible"]) == (90, 70, True)
    held = Bench().as_master()
    held.arm()
    assert report.as_json(seen(held), facts())["groups"][0]["addresses"][0]["configured"] is True


def test_a_reason_comes_with_what_makes_it_concrete() -> None:
    at = Bench().as_backup()
    at.node.groups[GROUP].guest.error = "there is no interface eth9"
    (group,) = report.as_json(seen(at), facts())["groups"]
    assert group["why"] == f"{group_why(at)}: there is no interface eth9"


def group_why(at: Bench) -> str:
    return seen(at).groups[0].why.value


def test_since_is_a_time_of_day() -> None:
    plain = seen(node())
    at = replace(plain, groups=(replace(plain.groups[0], since=clock.now_ms() - 60_000),))
    since = report.as_json(at, facts())["groups"][0]["since"]
    assert datetime.fromisoformat(since).timestamp() == pytest.approx(clock.wall_ms() / 1000 - 60, abs=20)
    assert since.endswith("Z")


def test_a_stranger_and_nobody_are_no_node() -> None:
    at = Bench()
    for holder in ("eni-stranger", None):
        at.read(holder)
        (address,) = report.as_json(seen(at), facts())["groups"][0]["addresses"]
        assert (address["holder"], address["eni"]) == (None, holder)


def test_when_a_state_began_is_noted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stamps = report.Stamps()
    monkeypatch.setattr(clock, "wall_ms", lambda: 1_000_000)
    assert stamps.of("vip", 40, 50) == 999_990
    monkeypatch.setattr(clock, "wall_ms", lambda: 5_000_001)
    assert stamps.of("vip", 40, 51) == 999_990, "whatever the clock was set to since"
    assert stamps.of("db", 40, 51) == 4_999_990
    assert stamps.of("vip", 51, 51) == 5_000_001
