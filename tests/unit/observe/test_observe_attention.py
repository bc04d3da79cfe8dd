from __future__ import annotations

from typing import Any

import pytest

from hafailover.observe.attention import Level, notes
from tests.unit.observe.samples import a_check, a_group, a_path, a_peer, a_status, an_address

FAULT, WARNING, NOTE = Level.FAULT, Level.WARNING, Level.NOTE


def test_where_all_is_well_there_is_nothing_to_note() -> None:
    assert notes(a_status()) == []
    assert notes({}) == []


@pytest.mark.parametrize(
    ("changes", "level", "said"),
    [
        (
            {"cloud": {"error": "RequestLimitExceeded", "read_age_s": 95}},
            FAULT,
            "the cloud's API fails: RequestLimitExceeded; holders were last read 1 min 35 s ago",
        ),
        (
            {"cloud": {"error": "ClientTimeout", "read_age_s": None}},
            FAULT,
            "the cloud's API fails: ClientTimeout; holders were last read never",
        ),
        ({"drained": True}, WARNING, "this node is drained: it stays out until `hafailover undrain`"),
        (
            {"announced": {"events": [{"source": "spot", "at": "2018-08-18T04:05:33Z", "in_s": 110.0}]}},
            WARNING,
            "announced: spot, at 2018-08-18T04:05:33Z, in 1 min 50 s",
        ),
        (
            {"announced": {"sources": {"spot": None, "repair": "UnauthorizedOperation"}}},
            WARNING,
            "what is announced by repair is not known: UnauthorizedOperation",
        ),
        (
            {"drained": True, "announced": {"drained": True}},
            WARNING,
            "this node has drained itself because of what is announced, and comes back after it",
        ),
        ({"leaving": "stopping"}, WARNING, "this daemon is stopping"),
        (
            {"readiness": {"findings": [{"name": "eni-gone", "level": "failure", "about": "web-b", "what": "no"}]}},
            WARNING,
            "eni-gone: web-b: no",
        ),
        (
            {"readiness": {"findings": [{"name": "check", "level": "warning", "about": "x", "what": "odd"}]}},
            NOTE,
            "check: x: odd",
        ),
        ({"log_lines_lost": 3}, NOTE, "3 log lines were lost to a journal that stalled"),
    ],
)
def test_what_is_noted_of_the_node(changes: dict[str, Any], level: Level, said: str) -> None:
    assert notes(a_status(**changes)) == [(level, said)]


@pytest.mark.parametrize(
    ("changes", "level", "said"),
    [
        ({"alive": False, "liveness": "down"}, FAULT, "web-b is not heard"),
        ({"alive": False, "liveness": "never"}, FAULT, "web-b was not heard since this daemon has started"),
        ({"alive": False, "liveness": "left"}, FAULT, "web-b has said goodbye: its daemon was stopped"),
        (
            {"hears_us": False},
            FAULT,
            "web-b is heard, but does not hear this node: the path is cut in one direction",
        ),
        ({"config_match": False}, WARNING, "web-b has another configuration than this node"),
        ({"paths": {"udp": a_path(), "mqtt": a_path(up=False)}}, WARNING, "web-b is not heard on mqtt"),
    ],
)
def test_what_is_noted_of_a_peer(changes: dict[str, Any], level: Level, said: str) -> None:
    assert notes(a_status(peers=[a_peer(**changes)])) == [(level, said)]


@pytest.mark.parametrize(
    ("changes", "level", "said"),
    [
        ({"master": None}, FAULT, "no node is known as master"),
        ({"state": "FAULT"}, FAULT, "this node is at fault and cannot take over"),
        ({"paused": True}, WARNING, "automatic moves are paused"),
        ({"paused": True, "pause_left_s": None}, WARNING, "automatic moves are paused"),
        (
            {"paused": True, "paused_by": ["web-a", "web-b"], "pause_left_s": 90},
            WARNING,
            "automatic moves are paused on web-a, web-b for 1 min 30 s more",
        ),
        ({"hold_down_s": 27.4}, WARNING, "in hold-down: this node does not claim for 27.4 s"),
        ({"checks": [a_check(state="down")]}, FAULT, "check nginx is down"),
        ({"checks": [a_check(state="down", weight=-20)]}, WARNING, "check nginx is down"),
        (
            {"addresses": [an_address(holder=None, eni="eni-stranger")]},
            FAULT,
            "the cloud says that 10.0.1.100 is on eni-stranger, which belongs to no configured node",
        ),
        (
            {"addresses": [an_address(holder="web-b")]},
            WARNING,
            "the cloud says that web-b holds 10.0.1.100, but web-a is master",
        ),
        (
            {"enis": [{"eni": "eni-cccccccc", "holder": "web-b", "instance": "ins-b"}]},
            WARNING,
            "the cloud says that web-b holds eni-cccccccc, but web-a is master",
        ),
    ],
)
def test_what_is_noted_of_a_group(changes: dict[str, Any], level: Level, said: str) -> None:
    assert notes(a_status(groups=[a_group(**changes)])) == [(level, f"vip: {said}")]


def test_an_address_that_nobody_is_known_to_hold_is_no_stranger() -> None:
    assert notes(a_status(groups=[a_group(addresses=[an_address(holder=None, eni=None)])])) == []


def test_the_worst_comes_first() -> None:
    found = notes(a_status(log_lines_lost=1, drained=True, groups=[a_group(master="", state="FAULT")]))

    assert [note.level for note in found] == [FAULT, FAULT, WARNING, NOTE]
