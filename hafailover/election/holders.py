"""What the cloud says: the last answer, how old the question is, and which question is still open.

The right to act on an answer counts from when it was *asked*: the answer tells how things were at some moment after
that, so anything that happened before the question is in it. At most one read is under way at a time; a
need that arises meanwhile is served by the next one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election.backoff import Rng, backoff_ms
from hafailover.election.values import Instant, Resource, Sighting

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hafailover.election.events import HoldersRead


class Holders:
    """The cloud's view of all resources of this cluster, as far as this node has read it.

    `mute`: this node never asks, because it never acts on an answer.
    """

    def __init__(self, rng: Rng, *, mute: bool = False) -> None:
        self._rng = rng
        self._mute = mute
        self._sightings: dict[Resource, Sighting] = {}
        self._asked_at: Instant | None = None
        self._outstanding: Instant | None = None
        self._needed_after: Instant | None = None
        self._retry_at: Instant = 0
        self.failures = 0
        self.last_error = ""

    @property
    def asked_at(self) -> Instant | None:
        """When the question was asked whose answer is known; None before the first answer."""
        return self._asked_at

    @property
    def last_asked(self) -> Instant | None:
        """When the latest question was asked, answered or not; None before the first."""
        return self._outstanding if self._outstanding is not None else self._asked_at

    def after(self, now: Instant) -> Instant:
        """Return the instant from which on a question is certainly put after what happens now.

        A question already put within this very millisecond may have been answered before it.
        """
        return now + 1 if self.last_asked is not None and self.last_asked >= now else now

    @property
    def readable(self) -> bool:
        """Whether the last read was answered."""
        return self._asked_at is not None and self.failures == 0

    def sighting(self, resource: Resource, *, after: Instant | None = None) -> Sighting | None:
        """Return what is known of a resource by a question asked at or later than `after`."""
        if self._asked_at is None or (after is not None and self._asked_at < after):
            return None
        return self._sightings.get(resource)

    def need(self, after: Instant) -> None:
        """Ask for an answer to a question put at or later than `after`, unless it is there already."""
        if self._mute or (self._asked_at is not None and self._asked_at >= after):
            return
        if self._needed_after is None or after > self._needed_after:
            self._needed_after = after

    def want(self, now: Instant) -> bool:
        """Return whether a read must start now; the caller then starts it."""
        if self._needed_after is None or self._outstanding is not None or now < self._retry_at:
            return False
        self._needed_after = None
        self._outstanding = now
        return True

    @property
    def deadline(self) -> Instant | None:
        """When `want` may become true without an answer coming in."""
        waiting = self._needed_after is not None and self._outstanding is None
        return self._retry_at if waiting else None

    def answer(self, event: HoldersRead) -> None:
        """Take in an answer; one to an older question than the last answered is of no use."""
        self._outstanding = None
        self.failures = 0
        self.last_error = ""
        self._retry_at = 0
        if self._asked_at is not None and event.asked_at < self._asked_at:
            return
        self._asked_at = event.asked_at
        self._sightings = {sighting.resource: sighting for sighting in event.sightings}
        if self._needed_after is not None and event.asked_at >= self._needed_after:
            self._needed_after = None

    def fail(self, now: Instant, code: str) -> None:
        """Take in that a read was not answered; it is repeated after a growing wait."""
        self._outstanding = None
        self.failures += 1
        self.last_error = code
        self._retry_at = now + backoff_ms(self.failures, self._rng)
        if self._needed_after is None:
            self._needed_after = now

    def forget(self, resources: Iterable[Resource]) -> None:
        """Know nothing of these until they are read again."""
        for resource in resources:
            self._sightings.pop(resource, None)

    def learn(self, resource: Resource, holder: str | None) -> None:
        """Take in what the end of this node's own call proves of a resource."""
        self._sightings[resource] = Sighting(resource, holder)
