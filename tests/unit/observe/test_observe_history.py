from __future__ import annotations

from hafailover.election.effects import FailoverFinished
from hafailover.election.reasons import Reason
from hafailover.election.values import GroupName, NodeName
from hafailover.observe.history import History, timestamp

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
    )


def test_a_record_has_the_shape_of_last_failover() -> None:
    history = History()

    record = history.record(finished("vip"), AT_MS)

    assert record == {
        "at": "2026-01-01T00:00:00.007Z",
        "group": "vip",
        "reason": "master_dead",
        "why": "the master was silent for the dead interval",
        "from": "web-b",
        "to": "web-a",
        "term": 3,
        "moves": 1,
        "phases_s": {"detect": 1.0, "guard": 0.0, "fence": 0.0, "cloud": 0.612, "verify": 0.08, "guest": 0.004},
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
