"""What this node's guest answers for, of one group: asked for by effects, told by events.

The guest works in its own time, so an address may be let go while it is still being put there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election.backoff import doubled_ms
from hafailover.election.effects import Arm, Effect, ProbeGuest, StopAnswering
from hafailover.election.values import ResourceKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from hafailover.election.events import GuestArmed, GuestProbed
    from hafailover.election.values import GroupName, Instant, Resource

RETRY_MS = 10_000  # after a guest that failed; doubled by each failure in a row
RETRY_CAP_MS = 600_000


class Answering:
    """The resources of one group on this node's guest; an earlier run may have put the `leftovers` there."""

    def __init__(
        self,
        group: GroupName,
        resources: tuple[Resource, ...],
        emit: Callable[[Effect], None],
        *,
        leftovers: tuple[Resource, ...],
    ) -> None:
        self.resources = resources
        self.carries = list(leftovers)
        self.error = ""
        self.retry_at: Instant = 0
        self._group = group
        self._emit = emit
        self._failures = 0
        self._probing = False
        self._failing: set[Resource] = set()
        self._due: set[Resource] = set()  # asked for, and nothing heard of it yet

    @property
    def ahead(self) -> tuple[Resource, ...]:
        """What the guest can have before the cloud moves it here; an ENI is there only when it has come."""
        return tuple(each for each in self.resources if each.kind is ResourceKind.ADDRESS)

    def arm(self) -> None:
        """Have the guest answer for everything, and for an ENI as soon as it comes."""
        for resource in self.resources:
            if resource not in self.carries:
                self.carries.append(resource)
            self._due.add(resource)
            self._emit(Arm(self._group, resource))

    def disarm(self, resource: Resource) -> None:
        """Have the guest answer for an address no longer."""
        self.carries.remove(resource)
        self._due.discard(resource)
        self._emit(StopAnswering(self._group, resource))

    def disarm_all(self) -> None:
        """Have the guest answer for nothing of this group."""
        for resource in tuple(self.carries):
            self.disarm(resource)

    def armed(self, event: GuestArmed, now: Instant) -> bool:
        """Take in what became of an address that the guest was asked for; return whether it is there."""
        self._due.discard(event.resource)
        if event.error:
            self._failing.add(event.resource)
            self._fail(event.error, now)
            return False
        self._failing.discard(event.resource)
        if not self._failing:  # that another address is there mends nothing
            self.error = ""
        if event.resource not in self.carries:
            # It was let go while the guest was at work on it, and may have been put there after it was taken off.
            self._emit(StopAnswering(self._group, event.resource))
        elif not (self._failing or self._due):  # an ENI may yet fail to come where an address was there at once
            self._failures = 0
        return True

    def probe(self) -> None:
        """Have a guest that has failed looked at, before it counts as one that answers again."""
        if not self._probing:
            self._probing = True
            self._emit(ProbeGuest(self._group))

    def probed(self, event: GuestProbed, now: Instant) -> None:
        """Take in what came of that; to look costs nothing, so it is done again soon."""
        self._probing = False
        self.error = event.error
        if not event.error:
            self._failing.clear()
        self.retry_at = now + RETRY_MS

    def vanished(self, resource: Resource) -> None:
        """Put an address back that somebody else took off the guest."""
        if resource in self.carries:
            self._emit(Arm(self._group, resource))

    def _fail(self, error: str, now: Instant) -> None:
        """Wait ever longer: with a strict hand-over it takes a move to find this out, and one more to undo it."""
        self._failures += not self.error  # several addresses that fail together count once
        self.error = error
        self.retry_at = now + doubled_ms(RETRY_MS, self._failures, RETRY_CAP_MS)
