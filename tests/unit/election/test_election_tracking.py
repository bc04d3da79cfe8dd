from __future__ import annotations

import pytest

from hafailover.election.tracking import PRIORITY_LIMIT, Tracking
from hafailover.election.values import CheckState

PENDING, UP, DOWN = CheckState.PENDING, CheckState.UP, CheckState.DOWN


@pytest.mark.parametrize(
    ("weight", "state", "fault", "pending", "priority"),
    [
        (0, PENDING, False, True, 100),
        (0, UP, False, False, 100),
        (0, DOWN, True, False, 100),
        (1, UP, False, False, 101),
        (-1, DOWN, False, False, 99),
        (20, PENDING, False, False, 100),
        (20, UP, False, False, 120),
        (20, DOWN, False, False, 100),
        (-20, PENDING, False, False, 100),
        (-20, UP, False, False, 100),
        (-20, DOWN, False, False, 80),
    ],
)
def test_a_weight_as_in_keepalived(
    *, weight: int, state: CheckState, fault: bool, pending: bool, priority: int
) -> None:
    tracking = Tracking((("web", weight),))
    tracking.update("web", state)
    assert (tracking.fault, tracking.pending, tracking.priority(100)) == (fault, pending, priority)


def test_without_checks_nothing_is_at_fault() -> None:
    tracking = Tracking(())
    assert (tracking.fault, tracking.pending, tracking.priority(7)) == (False, False, 7)


def test_the_weights_add_up_within_the_limit() -> None:
    tracking = Tracking((("one", -700), ("two", -700), ("three", 2_000)))
    tracking.update("one", DOWN)
    assert tracking.priority(100) == -600
    tracking.update("two", DOWN)
    assert tracking.priority(100) == -PRIORITY_LIMIT
    tracking.update("one", UP)
    tracking.update("three", UP)
    assert tracking.priority(100) == PRIORITY_LIMIT


def test_a_check_that_is_not_configured_any_more_is_ignored() -> None:
    tracking = Tracking((("web", 0),))
    tracking.update("old", DOWN)
    assert dict(tracking.states) == {"web": PENDING}
    assert not tracking.fault
