"""Staying out for a while after a loss: the cure against taking an address back and forth.

A loss to nobody that is heard bars this node at once. One to a node that is heard is explained: should that node
die, nothing speaks against taking over. But an address that is lost again and again is fought over by a link that
comes and goes, whoever is heard in between: from the second loss within an hour on, hearing somebody ends nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election.backoff import doubled_ms

if TYPE_CHECKING:
    from hafailover.election.values import Instant

FORGOTTEN_MS = 3_600_000  # since the last loss: the next is a first one again
CAP_MS = 600_000


class HoldDown:
    """The hold-down of one group on one node; `first_ms` after a first loss, doubled by each one more."""

    def __init__(self, first_ms: int, now: Instant) -> None:
        self.until: Instant = now
        self.losses = 0
        self.first_ms = first_ms
        self._lost_at: Instant = now

    def lost(self, now: Instant) -> None:
        """Bar this node after a loss that nothing explains."""
        self._count(now)
        self.until = now + self.length_ms

    def lost_to_heard(self, now: Instant) -> None:
        """Count a loss to a node that is heard; bar this node only if it is not the first."""
        self._count(now)
        if self.losses > 1:
            self.until = now + self.length_ms

    def explained(self, now: Instant) -> None:
        """End the hold-down of a first loss: a master is heard."""
        if self.losses <= 1:
            self.until = min(self.until, now)

    @property
    def length_ms(self) -> int:
        """How long the hold-down of the latest loss lasts in all."""
        return doubled_ms(self.first_ms, max(self.losses, 1), CAP_MS)

    def _count(self, now: Instant) -> None:
        self.losses = 1 if now - self._lost_at >= FORGOTTEN_MS else self.losses + 1
        self._lost_at = now
