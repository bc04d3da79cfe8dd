"""Powering the old master off before a claim moves anything: `fence = "stop-instance"`.

For services of which two must never write at once. Silence is no proof that the other host has stopped; an instance
that the cloud confirms as stopped is. Nothing moves before that, whatever it takes: who asks for a fence prefers no
service to two. Who is to be off is known when something is about to be moved, and not before: the holder may have
changed since the claim began.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election.backoff import backoff_ms
from hafailover.election.effects import Fence

if TYPE_CHECKING:
    from collections.abc import Callable

    from hafailover.election.backoff import Rng
    from hafailover.election.events import FenceFinished
    from hafailover.election.values import GroupName, Instant, Resource

RETRY_CAP_MS = 10_000  # between two attempts


class Fencing:
    """The power-offs that one claim waits for; `needless` tells which holders are out without one."""

    def __init__(self, group: GroupName, needless: Callable[[Resource, str, Instant], bool]) -> None:
        self.stopped_at: Instant | None = None
        self.failures = 0
        self._group = group
        self._needless = needless
        self._off: set[str] = set()
        self._wanted: tuple[Resource, str] | None = None
        self._asked: Fence | None = None
        self._retry_at: Instant = 0

    def clears(self, resource: Resource, holder: str, now: Instant) -> bool:
        """Return whether a resource may be moved off its holder; if not, `drive` asks for what that takes."""
        if holder in self._off or self._needless(resource, holder, now):
            return True
        self._wanted = (resource, holder)
        return False

    def drive(self, now: Instant, new_id: int) -> Fence | None:
        """Return what is to be asked for now, if anything is; one power-off at a time."""
        wanted, self._wanted = self._wanted, None
        if wanted is None or self._asked is not None or now < self._retry_at:
            return None
        self._asked = Fence(self._group, new_id, *wanted)
        return self._asked

    def finished(self, event: FenceFinished, now: Instant, rng: Rng) -> None:
        """Take in the end of an attempt; that of an earlier claim's is ignored."""
        asked = self._asked
        if asked is None or event.fence_id != asked.fence_id:
            return
        self._asked = None
        if event.result.stopped:
            self._off.add(asked.holder)
            self.stopped_at, self.failures = now, 0
            return
        self.failures += 1
        self._retry_at = now + backoff_ms(self.failures, rng, first_ms=1_000, cap_ms=RETRY_CAP_MS)

    def deadline(self, now: Instant) -> Instant | None:
        """Return when to drive on without an event."""
        waiting = self._asked is None and self._retry_at > now
        return self._retry_at if waiting else None
