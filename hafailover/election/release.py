"""A hand-over as the giving side sees it: who is to take over, and until when that is waited for.

With `handover = "strict"` the giver goes quiet first: the guest answers no longer and the hook has ended before the
successor is named, for nobody claims before being named; one that has fallen silent meanwhile is not named, for it
may hear that when the giver answers again. `successor` None: the group goes quiet for nobody, because
its service is at fault, or the daemon stops while nobody could take over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hafailover.election.effects import RunHook
    from hafailover.election.reasons import Reason
    from hafailover.election.values import Instant, NodeName

ANSWER_FACTOR = 3  # dead intervals within which the successor must have begun to claim
RELEASE_MS = 30_000  # within which it must have finished
HOOK_SLACK_MS = 5_000  # beyond the time limits of this hook and of one that may be running before it


@dataclass(slots=True)
class Release:
    """One hand-over under way; `hook` is the hook whose run has to end first, None where nothing has to."""

    successor: NodeName | None
    reason: Reason
    answer_ms: int
    began: Instant
    quiet_by: Instant
    hook: str | None = None
    run_id: int | None = None
    quiet_at: Instant | None = None
    offered: bool | None = None  # whether the successor was named; None until that is decided
    claimed: bool = False
    given_up_at: Instant | None = None  # from when on a reading tells whether the successor got anything

    @property
    def quiet(self) -> bool:
        """Whether nothing has to end any more before the successor may claim."""
        return self.quiet_at is not None

    @property
    def named(self) -> NodeName | None:
        """Whom the adverts name as the one to claim."""
        return self.successor if self.offered else None

    def hook_ended(self, run_id: int, now: Instant) -> None:
        """Take in that a run of a hook has ended; one of an earlier hand-over may still have been going on."""
        if run_id == self.run_id and self.quiet_at is None:
            self.quiet_at = now

    def overdue(self, now: Instant) -> bool:
        """Whether the hook has not ended, or the successor has not begun, or not finished, in time."""
        return now >= self.deadline

    @property
    def deadline(self) -> Instant:
        """When to look again without an event."""
        if self.quiet_at is None:
            return self.quiet_by
        return self.quiet_at + (RELEASE_MS if self.claimed else self.answer_ms)


def release_to(successor: NodeName, reason: Reason, now: Instant, dead_interval_ms: int) -> Release:
    """Begin a hand-over to a peer, who may claim at once."""
    answer_ms = ANSWER_FACTOR * dead_interval_ms
    return Release(successor, reason, answer_ms, began=now, quiet_by=now, quiet_at=now, offered=True)


def release_quietly(
    successor: NodeName | None, reason: Reason, now: Instant, dead_interval_ms: int, *, run: RunHook, hook_ms: int
) -> Release:
    """Begin to go quiet, then to hand over; `run` is the hook that is awaited, `hook_ms` the time limit of one."""
    quiet_by = now + 2 * hook_ms + HOOK_SLACK_MS
    answer_ms = ANSWER_FACTOR * dead_interval_ms
    return Release(successor, reason, answer_ms, began=now, quiet_by=quiet_by, hook=run.hook, run_id=run.run_id)
