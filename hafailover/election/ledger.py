"""The moves whose end this node does not know: what it may have set going and cannot call back.

A move that was sent and never answered may take effect as long as the cloud accepts the request
(`request_life_ms`: its signature is made to expire soon). Until then no second move of the same resource is sent,
for the two could take effect with somebody else's move between them, and the later one would take the address
from a later holder. It is settled sooner where a reading shows that it has taken effect.

An answer of any kind, also one that proves nothing, ends that danger: the request has arrived, and what it set
going shows in a reading as a resource that the cloud is moving.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hafailover.election.values import Instant, MoveResult, Resource


class Ledger:
    """The unresolved moves of one group on one node; at most one for each resource."""

    def __init__(self, request_life_ms: int) -> None:
        self._life_ms = request_life_ms
        self._until: dict[Resource, Instant] = {}

    def inherit(self, resources: Iterable[Resource], now: Instant) -> None:
        """Take over from an earlier run that may have sent moves just before it ended."""
        self._until.update((resource, now + self._life_ms) for resource in resources)

    def ended(self, resource: Resource, result: MoveResult, now: Instant) -> None:
        """Take in how a move ended, as far as anybody knows."""
        if result.open_ms > 0:
            self._until[resource] = now + result.open_ms
        else:
            self._until.pop(resource, None)

    def arrived(self, resource: Resource) -> None:
        """Take in that a reading tells how the move has ended: with its effect, or without any for ever."""
        self._until.pop(resource, None)

    def until(self, resource: Resource) -> Instant | None:
        """Return until when a move of the resource may take effect of which no reading has told the end yet."""
        return self._until.get(resource)

    def open_until(self, now: Instant) -> Instant | None:
        """Return until when a move of any resource may still take effect, None where none may."""
        return max((until for until in self._until.values() if until > now), default=None)
