"""A hand-over as the giving side sees it: who is to take over, and until when that is waited for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hafailover.election.reasons import Reason
    from hafailover.election.values import Instant, NodeName

ANSWER_FACTOR = 3  # dead intervals within which the successor must have begun to claim
RELEASE_MS = 30_000  # within which it must have finished


@dataclass(slots=True)
class Release:
    """One hand-over under way."""

    successor: NodeName
    reason: Reason
    began: Instant
    answer_by: Instant
    finish_by: Instant
    claimed: bool = False

    def overdue(self, now: Instant) -> bool:
        """Whether the successor has not begun, or not finished, in time."""
        return now >= (self.finish_by if self.claimed else self.answer_by)

    @property
    def deadline(self) -> Instant:
        """When to look again without an event."""
        return self.finish_by if self.claimed else self.answer_by


def release_to(successor: NodeName, reason: Reason, now: Instant, dead_interval_ms: int) -> Release:
    """Begin a hand-over to a peer."""
    return Release(successor, reason, now, now + ANSWER_FACTOR * dead_interval_ms, now + RELEASE_MS)
