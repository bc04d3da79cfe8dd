"""Powering the old master off before a claim moves anything: `fence = "stop-instance"`.

For services of which two must never write at once. Silence is no proof that the other host has stopped; an instance
that the cloud confirms as stopped is. Nothing moves before that, whatever it takes: who asks for a fence prefers no
service to two. No fence is needed where the holder itself has said that it is out, after its hook has ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election.backoff import backoff_ms
from hafailover.election.effects import Fence

if TYPE_CHECKING:
    from hafailover.election.backoff import Rng
    from hafailover.election.events import FenceFinished
    from hafailover.election.values import GroupName, Instant, Resource

RETRY_CAP_MS = 10_000  # between two attempts


class Fencing:
    """The power-off that one claim waits for."""

    def __init__(self, group: GroupName, resource: Resource, holder: str) -> None:
        self.stopped_at: Instant | None = None
        self.failures = 0
        self.code = ""
        self._group = group
        self._resource = resource
        self._holder = holder
        self._asked: int | None = None
        self._retry_at: Instant = 0

    def drive(self, now: Instant, new_id: int) -> Fence | None:
        """Return what is to be asked for now, if anything is."""
        if self.stopped_at is not None or self._asked is not None or now < self._retry_at:
            return None
        self._asked = new_id
        return Fence(self._group, new_id, self._resource, self._holder)

    def finished(self, event: FenceFinished, now: Instant, rng: Rng) -> None:
        """Take in the end of an attempt; that of an earlier claim's is ignored."""
        if event.fence_id != self._asked:
            return
        self._asked = None
        self.code = event.result.code
        if event.result.stopped:
            self.stopped_at, self.failures = now, 0
            return
        self.failures += 1
        self._retry_at = now + backoff_ms(self.failures, rng, first_ms=1_000, cap_ms=RETRY_CAP_MS)

    def deadline(self, now: Instant) -> Instant | None:
        """Return when to drive on without an event."""
        waiting = self.stopped_at is None and self._asked is None and self._retry_at > now
        return self._retry_at if waiting else None
