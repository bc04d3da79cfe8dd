from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hafailover.control.report import drained, handed_over, history, render

STATUS: dict[str, Any] = {
    "node": "web-a",
    "version": "0.1.0",
    "uptime_s": 3725.4,
    "config_digest": "1f2e3d4c5b6a7988",
    "drained": True,
    "cloud": {"error": "", "read_age_s": 3.25},
    "peers": [
        {
            "node": "web-b",
            "alive": True,
            "config_match": False,
            "paths": {
                "udp": {"up": True, "last_seen_s": 0.11, "rtt_s": 0.0004, "loss": 0.015},
                "mqtt": {"up": False, "last_seen_s": 75},
            },
        },
        {"node": "witness", "alive": False, "config_match": None, "paths": {}},
    ],
    "groups": [
        {
            "name": "vip",
            "state": "MASTER",
            "master": "web-a",
            "term": 3,
            "since": "2026-01-01T00:00:00Z",
            "priority": 100,
            "effective_priority": 80,
            "paused": True,
            "hold_down_s": 12.25,
            "why": "this node is master",
            "nodes": [{"node": "web-b", "state": "BACKUP", "eligible": True, "why": "it could take over"}],
            "addresses": [
                {"address": "10.0.1.100", "holder": "web-a", "eni": "eni-aaaaaaaa", "configured": True},
                {"address": "10.0.1.101", "holder": None, "eni": None, "configured": False},
            ],
            "enis": [{"eni": "eni-cccccccc", "holder": "web-a"}],
            "routes": [{"route": "10.8.0.0/16 via 10.0.1.1", "configured": True}],
            "rules": [{"rule": "from 10.0.1.100/32 table 9", "configured": False}],
            "checks": [
                {"name": "nginx", "state": "up", "weight": 0, "detail": "200 in 3 ms"},
                {"name": "disk", "state": "down", "weight": -20, "detail": "\x1b[2Jfull\n"},
            ],
            "last_failover": {
                "reason": "master_dead",
                "why": "the master was silent for the dead interval",
                "at": "2026-01-01T00:00:00.000Z",
                "from": "web-b",
                "to": "web-a",
                "phases_s": {"detect": 1.0, "guard": 0.0, "cloud": 0.6, "guest": 0.0005},
            },
        },
        {"name": "db", "state": "BACKUP", "master": "web-b", "term": 1, "priority": 100, "effective_priority": 100},
    ],
}

TEXT = """\
web-a  hafailover 0.1.0  up 1 h 2 min  configuration 1f2e3d4c5b6a7988  DRAINED
cloud  read 3.25 s ago

GROUP  STATE   MASTER  TERM  PRIORITY   SINCE
vip    MASTER  web-a   3     80 of 100  2026-01-01T00:00:00Z  PAUSED hold-down 12.2 s
    why      this node is master
    node     web-b BACKUP: it could take over
    address  10.0.1.100 -> web-a (eni-aaaaaaaa), in the guest
    address  10.0.1.101 -> -
    eni      eni-cccccccc -> web-a
    route    10.8.0.0/16 via 10.0.1.1, in the guest
    rule     from 10.0.1.100/32 table 9
    check    nginx up: 200 in 3 ms
    check    disk down, weight -20: ?[2Jfull?
    last     web-b -> web-a at 2026-01-01T00:00:00.000Z: the master was silent for the dead interval
             detect 1 s, guard 0 ms, cloud 600 ms, guest 500 us
db     BACKUP  web-b   1     100        -

PEER     ALIVE  CONFIG   PATH  UP   SEEN        RTT     LOSS
web-b    yes    DIFFERS  udp   yes  110 ms      400 us  1.5%
                         mqtt  no   1 min 15 s  -       -
witness  no     -        -     -    -           -       -
"""


HISTORY = """\
AT                        GROUP  RESULT  FROM   TO     TERM  DECIDED BY
2026-01-01T00:00:00.000Z  vip    lost    web-b  web-a  3     web-a
    why      silent
    ended    another node took the address first
    evidence heard 1 s ago, MASTER by its last word, guard vip allow, guard cloud has not answered, check nginx up
    phases   detect 1 s, guard 0 ms, cloud 600 ms, guest 500 us
-                         -      -       -      -      -     -
"""


def test_a_pause_with_an_end_says_what_is_left() -> None:
    status = copy.deepcopy(STATUS)
    status["groups"][0]["pause_left_s"] = 90.0
    assert "PAUSED for 1 min 30 s more" in render(status)


def test_the_status_is_readable() -> None:
    assert render(STATUS) == TEXT


def test_colours_change_nothing_but_the_colours() -> None:
    colored = render(STATUS, colored=True)

    for code in ("31", "32", "33", "36", "0"):
        assert f"\x1b[{code}m" in colored
        colored = colored.replace(f"\x1b[{code}m", "")
    assert colored == TEXT


def test_of_a_daemon_that_says_nothing_nothing_is_shown() -> None:
    assert render({}) == "-  hafailover -  up -  configuration -\n"


@pytest.mark.parametrize(
    ("cloud", "text"),
    [
        ({"error": "", "read_age_s": None}, "cloud  read never\n"),
        ({"error": "InternalError", "read_age_s": 75}, "cloud  FAILS: InternalError, last read 1 min 15 s ago\n"),
        ({"error": "Timeout"}, "cloud  FAILS: Timeout, last read never\n"),
    ],
)
def test_trouble_with_the_cloud_stands_at_the_top(cloud: dict[str, Any], text: str) -> None:
    assert render({"cloud": cloud}).splitlines(keepends=True)[1] == text


def test_what_a_failover_may_fail_at_stands_below_the_cloud() -> None:
    finding = {"name": "quota-addresses", "level": "failure", "about": "web-a", "what": "it is full"}
    lines = render({**STATUS, "readiness": {"checks": {}, "findings": [finding]}}).splitlines()
    assert lines[2] == "ready  no: quota-addresses: web-a: it is full; `hafailover doctor` says how to mend it"
    assert "ready" not in render({**STATUS, "readiness": {"checks": {"eni-gone": True}, "findings": []}})


def test_what_is_announced_stands_above_what_a_failover_may_fail_at() -> None:
    event = {"source": "repair", "id": "rep-aaaaaaaa", "at": "2018-08-18T04:05:33Z", "in_s": 60}
    announced = {
        "sources": {"spot": None, "repair": "ClientTimeout"},
        "drained": True,
        "events": [{**event, "overruled": True}],
    }
    assert render({"announced": announced, "drained": True}).splitlines()[1:] == [
        "announced  repair FAILS: ClientTimeout",
        "announced  DRAINED by this daemon, which undrains it when nothing is announced any more",
        "announced  repair rep-aaaaaaaa, at 2018-08-18T04:05:33Z, in 1 min 0 s, overruled by `hafailover undrain`",
    ]


def test_history_is_a_table() -> None:
    assert history({"failovers": []}) == "no failover yet\n"
    evidence = {
        "silence_s": 1.0,
        "said": "MASTER",
        "guards": {"vip": "allow", "cloud": None},
        "checks": {"nginx": "up"},
    }
    record = {
        **STATUS["groups"][0]["last_failover"],
        "group": "vip",
        "term": 3,
        "why": "silent",
        "result": "lost",
        "decided_by": "web-a",
        "ended_why": "another node took the address first",
        "evidence": evidence,
    }
    assert history({"failovers": [record, {}]}) == HISTORY


def test_a_drain_is_told_with_its_way_back() -> None:
    assert "until `hafailover undrain`" in drained({"ok": True, "drained": True})
    groups = [{"name": "vip", "fate": "is handed over to web-b"}]
    assert drained({"ok": True, "drained": True, "groups": groups}).endswith("\nvip is handed over to web-b\n")
    assert drained({"ok": True, "drained": False}) == "this node takes part again\n"


def places(part: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where the keys of nested mappings are."""
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    found = [(*path, key) for key, _ in items if isinstance(part, dict)]
    return found + [inner for key, value in items for inner in places(value, (*path, key))]


@given(st.sets(st.sampled_from(places(STATUS)), min_size=1, max_size=12), st.booleans())
def test_what_another_version_does_not_say_is_left_out(
    missing: set[tuple[Any, ...]],
    absent: bool,  # noqa: FBT001 - Hypothesis gives it by position
) -> None:
    status = copy.deepcopy(STATUS)
    for *outer, key in sorted(missing, key=len, reverse=True):
        part = status
        for step in outer:
            part = part[step]
        if absent:
            del part[key]
        else:
            part[key] = None

    text = render(status)

    assert text.startswith("-  hafailover " if ("node",) in missing else "web-a  hafailover ")
    assert ("PEER" in text) == (("peers",) not in missing)
    assert ("GROUP" in text) == (("groups",) not in missing)
    assert "None" not in text


def test_a_hand_over_is_told_as_far_as_it_is_known() -> None:
    assert handed_over({"ok": True}) == "accepted; `hafailover status` shows when it is done\n"
    assert handed_over({"ok": True, "master": "web-b"}) == "web-b is master\n"
    done = handed_over({"ok": True, "master": "web-b", "phases_s": {"cloud": 0.6, "guest": 0.01}})
    assert done == "web-b is master: cloud 600 ms, guest 10 ms\n"
