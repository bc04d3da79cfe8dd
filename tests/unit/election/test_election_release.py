from __future__ import annotations

import pytest

from hafailover.election.effects import RunHook
from hafailover.election.reasons import Reason
from hafailover.election.release import HOOK_SLACK_MS, Release, release_quietly, release_to
from tests.unit.election.bench import GROUP, B

BACKUP = RunHook(GROUP, "backup", 7)


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


def test_one_that_goes_quiet_first_gives_its_hook_and_one_before_it_their_time() -> None:
    release = release_quietly(B, Reason.OPERATOR, 5_000, 400, run=BACKUP, hook_ms=700)
    assert (release.quiet, release.deadline) == (False, 5_000 + 1_400 + HOOK_SLACK_MS)
    assert not release.overdue(release.deadline - 1)
    assert release.overdue(release.deadline)


def test_and_the_successor_its_time_from_then_on() -> None:
    release = release_quietly(B, Reason.OPERATOR, 5_000, 400, run=BACKUP, hook_ms=700)
    release.hook_ended(6, 5_100)
    assert not release.quiet
    release.hook_ended(7, 5_200)
    assert (release.quiet, release.deadline) == (True, 5_200 + 1_200)
    release.hook_ended(7, 5_900)
    assert release.deadline == 5_200 + 1_200, "it ends once"


def test_it_says_to_whom_and_why() -> None:
    release = release_to(B, Reason.OPERATOR, 5_000, 400)
    at_once = Release(B, Reason.OPERATOR, 1_200, began=5_000, quiet_by=5_000, quiet_at=5_000, offered=True)
    assert release == at_once
    assert release.named == B
    quietly = release_quietly(None, Reason.CHECK_FAILED, 5_000, 400, run=RunHook(GROUP, "fault", 8), hook_ms=700)
    assert (quietly.successor, quietly.reason, quietly.began) == (None, Reason.CHECK_FAILED, 5_000)


def test_where_nothing_has_to_end_it_is_quiet_at_once() -> None:
    release = release_to(B, Reason.OPERATOR, 5_000, 400)
    release.hook_ended(7, 5_300)
    assert (release.quiet, release.quiet_at) == (True, 5_000)
