from __future__ import annotations

from dataclasses import replace

import pytest

from hafailover.election.effects import ClaimFailed, Evidence, FailoverFinished, HandoverEnded
from hafailover.election.reasons import Reason
from hafailover.election.values import CheckState, GroupName, GuardVerdict, NodeName, State
from hafailover.observe.history import History, timestamp

EVIDENCE = Evidence(
    silence_ms=1004,
    said=State.MASTER,
    guards=(("vip", GuardVerdict.ALLOW), ("cloud", None)),
    checks=(("nginx", CheckState.UP),),
)
ME, OTHER = NodeName("web-a"), NodeName("web-b")
AT_MS = 1_767_225_600_007  # 2026-01-01T00:00:00.007Z


def finished(group: str, term: int = 3, source: str | None = "web-b") -> FailoverFinished:
    return FailoverFinished(
        group=GroupName(group),
        reason=Reason.MASTER_DEAD,
        source=NodeName(source) if source else None,
        target=NodeName("web-a"),
        term=term,
        detect_ms=1000,
        guard_ms=0,
        cloud_ms=612,
        verify_ms=80,
        guest_ms=4,
        moves=1,
        evidence=EVIDENCE,
    )


def test_a_record_has_the_shape_of_last_failover() -> None:
    history = History()

    record = history.record(finished("vip"), AT_MS)

    assert record == {
        "at": "2026-01-01T00:00:00.007Z",
        "group": "vip",
        "result": "done",
        "reason": "master_dead",
        "why": "the master was silent for the dead interval",
        "decided_by": "web-a",
        "from": "web-b",
        "to": "web-a",
        "term": 3,
        "moves": 1,
        "phases_s": {"detect": 1.0, "guard": 0.0, "fence": 0.0, "cloud": 0.612, "verify": 0.08, "guest": 0.004},
        "evidence": {
            "silence_s": 1.004,
            "said": "MASTER",
            "guards": {"vip": "allow", "cloud": None},
            "checks": {"nginx": "up"},
        },
    }
    assert history.last("vip") == record
    assert history.last("db") is None


def test_a_failover_from_nobody_has_no_source() -> None:
    assert History().record(finished("vip", source=None), AT_MS)["from"] is None


def test_records_are_bounded_and_the_newest_come_first() -> None:
    history = History(max_records=3)
    for term in range(5):
        history.record(finished("vip" if term else "db", term), AT_MS + term)

    assert [record["term"] for record in history.records()] == [4, 3, 2]
    assert [record["term"] for record in history.records(limit=2)] == [4, 3]
    assert history.records("db") == []
    assert history.last("db") == {**history.records("vip")[0], "group": "db", "term": 0, "at": timestamp(AT_MS)}


def test_records_can_be_had_for_one_group() -> None:
    history = History()
    for term, group in enumerate(("vip", "db", "vip")):
        history.record(finished(group, term), AT_MS)

    assert [record["term"] for record in history.records("vip")] == [2, 0]


def test_a_time_is_in_utc_with_milliseconds() -> None:
    assert timestamp(0) == "1970-01-01T00:00:00.000Z"
    assert timestamp(AT_MS) == "2026-01-01T00:00:00.007Z"


@pytest.mark.parametrize(
    ("ended", "result"), [(Reason.CLAIM_LOST, "lost"), (Reason.CLAIM_VOID, "void"), (Reason.CHECK_FAILED, "void")]
)
def test_a_claim_that_came_to_nothing_is_kept_and_is_no_failover(ended: Reason, result: str) -> None:
    history = History()
    failed = ClaimFailed(GroupName("vip"), Reason.MASTER_DEAD, ended, OTHER, ME, 4, 900, 2, EVIDENCE)
    record = history.record(failed, AT_MS)
    assert (record["result"], record["ended"], record["ended_why"]) == (result, ended.label, ended.value)
    assert (record["phases_s"], record["moves"], record["decided_by"]) == ({"claim": 0.9}, 2, "web-a")
    assert record["evidence"]["guards"] == {"vip": "allow", "cloud": None}
    assert history.last("vip") is None
    assert history.records() == [record]


@pytest.mark.parametrize(
    ("reason", "ended", "result", "decided_by"),
    [
        (Reason.OPERATOR, Reason.HANDOVER_DONE, "gave", "operator"),
        (Reason.DRAINED, Reason.HANDOVER_DONE, "gave", "operator"),
        (Reason.PREEMPTED, Reason.HANDOVER_DONE, "gave", "web-a"),
        (Reason.STOPPING, Reason.HANDOVER_FAILED, "kept", "web-a"),
    ],
)
def test_the_giver_says_who_decided(reason: Reason, ended: Reason, result: str, decided_by: str) -> None:
    record = History().record(HandoverEnded(GroupName("vip"), reason, ended, ME, OTHER, 4, 700), AT_MS)
    assert (record["result"], record["decided_by"], record["from"], record["to"]) == (
        result,
        decided_by,
        "web-a",
        "web-b",
    )
    assert record["phases_s"] == {"handover": 0.7}


def test_what_is_handed_over_was_decided_by_the_giver() -> None:
    taken = replace(finished("vip"), reason=Reason.HANDED_OVER)
    assert History().record(taken, AT_MS)["decided_by"] == "web-b"


def test_what_an_earlier_run_has_kept_is_taken_over() -> None:
    before, after = History(), History()
    before.record(finished("vip"), AT_MS)
    after.restore(reversed(before.records()))
    assert after.records() == before.records()
    assert after.last("vip") == before.last("vip")


def test_a_node_that_drained_itself_has_decided_itself_and_says_why() -> None:
    history = History()
    history.drain_reason = lambda: "spot, at 2018-08-18T04:05:33Z"
    drained = HandoverEnded(GroupName("vip"), Reason.DRAINED, Reason.HANDOVER_DONE, ME, OTHER, 4, 700)
    record = history.record(drained, AT_MS)
    assert (record["decided_by"], record["reason"]) == ("web-a", "drained")
    assert record["why"] == "this node is drained: spot, at 2018-08-18T04:05:33Z"
    asked = history.record(replace(drained, reason=Reason.OPERATOR), AT_MS)
    assert (asked["decided_by"], asked["why"]) == ("operator", Reason.OPERATOR.value)
