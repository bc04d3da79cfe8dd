from __future__ import annotations

import pytest

from hafailover.election.guards import GuardRound, GuardStatus
from hafailover.election.values import GuardVerdict

ALLOW, DENY, UNKNOWN = GuardVerdict.ALLOW, GuardVerdict.DENY, GuardVerdict.UNKNOWN


def asked(*names: str) -> GuardRound:
    return GuardRound(names, 7, 1_000, 220)


def test_no_guard_has_no_word() -> None:
    assert asked().status(1_000) is GuardStatus.NONE


@pytest.mark.parametrize(
    ("verdicts", "joint"),
    [
        ((None, None), GuardStatus.PENDING),
        ((ALLOW, None), GuardStatus.PENDING),
        ((DENY, None), GuardStatus.DENIED),
        ((DENY, ALLOW), GuardStatus.DENIED),
        ((UNKNOWN, ALLOW), GuardStatus.ALLOWED),
        ((ALLOW, ALLOW), GuardStatus.ALLOWED),
        ((UNKNOWN, UNKNOWN), GuardStatus.SILENT),
    ],
)
def test_one_objection_is_enough_and_one_piece_of_evidence_too(
    verdicts: tuple[GuardVerdict | None, ...], joint: GuardStatus
) -> None:
    guards = asked("vip", "cloud")
    for name, verdict in zip(("vip", "cloud"), verdicts, strict=True):
        if verdict is not None:
            guards.answer(name, verdict)
    assert guards.status(1_000) is joint


@pytest.mark.parametrize(
    ("at", "joint"),
    [(1_219, GuardStatus.PENDING), (1_220, GuardStatus.SILENT), (1_221, GuardStatus.SILENT)],
)
def test_who_does_not_answer_in_time_does_not_know(at: int, joint: GuardStatus) -> None:
    assert asked("vip").status(at) is joint


def test_an_answer_counts_when_the_other_guard_is_late() -> None:
    guards = asked("vip", "cloud")
    guards.answer("vip", ALLOW)
    assert guards.status(1_219) is GuardStatus.PENDING
    assert guards.status(1_220) is GuardStatus.ALLOWED


def test_a_guard_that_was_not_asked_has_no_say() -> None:
    guards = asked("vip")
    guards.answer("gateway", DENY)
    assert guards.status(1_000) is GuardStatus.PENDING
    assert guards.denied_by == ()


def test_who_objects_is_named() -> None:
    guards = asked("vip", "cloud", "gateway")
    guards.answer("gateway", DENY)
    guards.answer("vip", DENY)
    guards.answer("cloud", ALLOW)
    assert guards.denied_by == ("vip", "gateway")
