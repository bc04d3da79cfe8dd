"""What is told by the broker fits its schema, names every field that is there, and gives nothing else away."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from hafailover.election.effects import ClaimFailed, FailoverFinished, HandoverEnded, Refrained, RoleChanged
from hafailover.election.reasons import Reason
from hafailover.election.values import GroupName, NodeName, State
from hafailover.observe import bulletin
from hafailover.observe.history import to_json
from tests.unit.observe.schema import SCHEMA, problems, strict

A, B, VIP = NodeName("web-a"), NodeName("web-b"), GroupName("vip")
AT = "2026-01-01T00:00:00.000Z"
HEAD = {"schema": 1, "id": "0011223344556677-1", "at": AT, "cluster": "web", "node": "web-a"}
STATUS: dict[str, Any] = {
    "node": "web-a",
    "version": "0.1.0",
    "uptime_s": 12.5,
    "config_digest": "0011223344556677",
    "drained": False,
    "leaving": "no",
    "cloud": {"error": "AuthFailure: key SECRET"},
    "mqtt": {"reason": "SECRET"},
    "peers": [{"node": "web-b", "alive": True, "config_match": None, "paths": {}, "hears": ["SECRET"]}],
    "groups": [
        {
            "name": "vip",
            "state": "MASTER",
            "master": "web-a",
            "why": "the cloud confirms this node as the holder",
            "why_label": "confirmed",
            "term": 3,
            "since": AT,
            "priority": 100,
            "effective_priority": 90,
            "eligible": False,
            "successor": None,
            "paused": False,
            "hold_down_s": 3.25,
            "addresses": [{"address": "10.0.1.100", "holder": None, "eni": "eni-aaaaaaaa", "configured": True}],
            "enis": [{"eni": "eni-cccccccc", "holder": "web-a", "instance": "ins-aaaaaaaa"}],
            "checks": [{"name": "nginx", "state": "up", "weight": 0, "detail": "SECRET"}],
            "last_failover": {"why": "SECRET"},
        }
    ],
}
FINISHED = FailoverFinished(
    VIP,
    Reason.MASTER_DEAD,
    B,
    A,
    term=3,
    detect_ms=1000,
    guard_ms=1,
    cloud_ms=600,
    guest_ms=2,
    verify_ms=3,
    moves=1,
)
FAILED = ClaimFailed(
    VIP,
    Reason.MASTER_DEAD,
    Reason.CLAIM_LOST,
    None,
    A,
    term=3,
    spent_ms=5,
    moves=0,
    evidence=FINISHED.evidence,
)
GAVE = HandoverEnded(VIP, Reason.OPERATOR, Reason.HANDOVER_DONE, A, B, term=3, spent_ms=5)


def documents() -> list[tuple[str, dict[str, Any]]]:
    role = RoleChanged(VIP, State.BACKUP, State.CLAIMING, Reason.MASTER_DEAD, 3)
    failovers = [bulletin.of_failover(to_json(ended, 0)) for ended in (FINISHED, FAILED, GAVE)]
    return [
        ("node", {**bulletin.of_node(STATUS, "web"), "at": AT}),
        ("group", {**bulletin.of_groups(STATUS, "web")["vip"], "at": AT}),
        ("role", {**HEAD, **bulletin.of_role(role)}),
        ("held_back", {**HEAD, **bulletin.of_refrained(Refrained(VIP, Reason.GUARD_DENIED))}),
        *(("failover", {**HEAD, **document}) for document in failovers),
    ]


@pytest.mark.parametrize(("kind", "document"), documents())
def test_a_document_fits_its_schema_and_no_other(kind: str, document: dict[str, Any]) -> None:
    assert problems(document, kind) == []
    assert [name for name in SCHEMA["$defs"] if not problems(document, name)] == [kind]
    assert [*Draft202012Validator(SCHEMA).iter_errors(document)] == []


@pytest.mark.parametrize(("kind", "document"), documents())
def test_every_field_is_in_the_schema(kind: str, document: dict[str, Any]) -> None:
    assert [*Draft202012Validator({**strict(kind), "$defs": SCHEMA["$defs"]}).iter_errors(document)] == []


@pytest.mark.parametrize(("kind", "document"), documents())
def test_what_is_not_meant_for_others_is_not_told(kind: str, document: dict[str, Any]) -> None:
    assert "SECRET" not in json.dumps(document), kind
    assert "eni-aaaaaaaa" not in json.dumps(document), kind


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert problems({}, "node") != []


def test_a_status_that_says_less_is_told_as_it_is() -> None:
    less = {**STATUS, "groups": []}
    del less["version"]
    assert "version" not in bulletin.of_node(less, "web")
    assert bulletin.of_groups(less, "web") == {}
