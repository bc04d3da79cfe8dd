from __future__ import annotations

import pytest

from hafailover.election.reasons import Reason
from hafailover.election.release import release_to
from tests.unit.election.bench import B


@pytest.mark.parametrize(("after", "overdue"), [(1_199, False), (1_200, True), (1_201, True)])
def test_the_successor_has_three_dead_intervals_to_begin(after: int, *, overdue: bool) -> None:
    release = release_to(B, Reason.OPERATOR, 5_000, 400)
    assert release.deadline == 6_200
    assert release.overdue(5_000 + after) is overdue


@pytest.mark.parametrize(("after", "overdue"), [(29_999, False), (30_000, True), (30_001, True)])
def test_and_thirty_seconds_to_finish(after: int, *, overdue: bool) -> None:
    release = release_to(B, Reason.OPERATOR, 5_000, 400)
    release.claimed = True
    assert release.deadline == 35_000
    assert release.overdue(5_000 + after) is overdue
