from __future__ import annotations

from dataclasses import replace

import pytest

from hafailover.election.ledger import Ledger
from hafailover.election.values import MoveResult, Outcome, Resource, ResourceKind

VIP = Resource(ResourceKind.ADDRESS, "10.0.1.100")
OTHER = Resource(ResourceKind.ADDRESS, "10.0.1.101")
LIFE_MS = 10_000
LOST = MoveResult(Outcome.UNKNOWN, "ClientTimeout", open_ms=6_000)


def test_nothing_is_open_at_first() -> None:
    assert Ledger(LIFE_MS).open_until(0) is None


@pytest.mark.parametrize(("at", "until"), [(6_999, 7_000), (7_000, None), (7_001, None)])
def test_what_was_never_answered_is_open_until_it_cannot_be_accepted(at: int, until: int | None) -> None:
    ledger = Ledger(LIFE_MS)
    ledger.ended(VIP, LOST, 1_000)
    assert ledger.open_until(at) == until


def test_also_for_a_millisecond() -> None:
    ledger = Ledger(LIFE_MS)
    ledger.ended(VIP, replace(LOST, open_ms=1), 1_000)
    assert ledger.open_until(1_000) == 1_001


@pytest.mark.parametrize(
    "result", [MoveResult(Outcome.REFUSED, "ResourceInUse"), MoveResult(Outcome.UNKNOWN, "InternalError")]
)
def test_an_answer_of_any_kind_settles_it(result: MoveResult) -> None:
    ledger = Ledger(LIFE_MS)
    ledger.ended(VIP, LOST, 1_000)
    ledger.ended(VIP, result, 2_000)
    assert ledger.open_until(2_000) is None


def test_a_reading_that_shows_the_effect_settles_it() -> None:
    ledger = Ledger(LIFE_MS)
    ledger.ended(VIP, LOST, 1_000)
    ledger.arrived(VIP)
    ledger.arrived(OTHER)
    assert ledger.open_until(1_000) is None


def test_what_an_earlier_run_may_have_sent_is_open_for_a_whole_life() -> None:
    ledger = Ledger(LIFE_MS)
    ledger.inherit((VIP, OTHER), 500)
    assert ledger.open_until(500 + LIFE_MS - 1) == 500 + LIFE_MS
    assert ledger.open_until(500 + LIFE_MS) is None
