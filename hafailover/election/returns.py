"""The return rule: with three members and more, when a node may ask again for what it lately had.

The cloud compares the holder with the one that a move names, and that is not enough for three: an address that went
a, b, a looks to it like one that never left a, and what c asked for in a's first tenure may take it in a's second.
So a node does not bring about a second tenure of its own while such a request may be under way. Since it last read
that it held the resource itself, and `LAG_MS` after a move of its own that may have been applied, it must have read
that another holds it, and then either

* a request's whole life and `OLD_MS` have passed since that question, or
* every other member has said, `OLD_MS` or more after it, that no move by it is unresolved.

Both count on every move being sent on a reading asked for `FRESH_MS` ago at most, one move after the other:
what rests on a reading of long ago may name a tenure that is over, however short its own life is.

A move that had no effect changes nothing. Two members need none of this, for each has one move at most. The models
behind each word of it: `dwell.pml`, docs/failure-model.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hafailover.election.context import Context
    from hafailover.election.values import GroupName, Instant, Resource, Sighting

LAG_MS = 3_000  # so much older than its question a reading's answer may be
FRESH_MS = 2_000  # so long ago at most was the question asked on whose answer a move is sent
OLD_MS = LAG_MS + FRESH_MS  # so far behind at most is what a move rests on
LOOK_MS = 500  # between two looks while a reading or a peer's word is on its way


class Returns:
    """What one node lately had of one group, and may not ask for yet."""

    def __init__(self, group: GroupName, context: Context) -> None:
        self._group = group
        self._context = context
        self._had_until: dict[Resource, Instant] = {}
        self._away_since: dict[Resource, Instant] = {}
        self._seen_at: dict[Resource, Instant] = {}

    @property
    def needed(self) -> bool:
        """Whether there are enough members for a resource to come back by way of a third."""
        return not self._context.paired

    def had(self, resources: Iterable[Resource], until: Instant) -> None:
        """Take in that moves of these by this node may have taken effect, up to an instant."""
        for resource in resources:
            self._had_until[resource] = max(until, self._had_until.get(resource, until))
            self._away_since.pop(resource, None)

    def see(self, sighting: Sighting) -> None:
        """Take in the latest reading of a resource."""
        resource, asked_at = sighting.resource, self._context.holders.asked_at
        if asked_at is None or asked_at == self._seen_at.get(resource):
            return  # what a call of this node's own has shown since is of no question
        self._seen_at[resource] = asked_at
        if self._here(resource):
            self.had((resource,), asked_at - LAG_MS)  # whatever is asked later tells of later
            return
        had_until = self._had_until.get(resource)
        if had_until is None or resource in self._away_since or not sighting.settled:
            return
        if asked_at >= had_until + LAG_MS:
            self._away_since[resource] = asked_at

    def wait(self, resource: Resource, now: Instant) -> Instant | None:
        """Return when to look again whether this node may ask for the resource; None where it may now."""
        had_until = self._had_until.get(resource)
        if had_until is None or not self.needed:
            return None
        away_since = self._away_since.get(resource)
        if away_since is None:
            return self._read(had_until + LAG_MS, now)
        over = away_since + OLD_MS + self._context.timing.request_life_ms
        if now > over or self._all_at_rest(away_since + OLD_MS):
            del self._had_until[resource], self._away_since[resource]
            return None
        return min(over, now + LOOK_MS) + 1

    @property
    def entangled(self) -> bool:
        """Whether there is anything that this node may not ask for yet, should it lose it."""
        return self.needed and bool(self._had_until)

    def pending(self, resources: Iterable[Resource], now: Instant) -> Instant | None:
        """Return when to look again whether this node may ask for what it lacks of these; None where it may now."""
        waits = [self.wait(resource, now) for resource in resources if not self._here(resource)]
        return max((wait for wait in waits if wait is not None), default=None)

    def _here(self, resource: Resource) -> bool:
        sighting = self._context.holders.sighting(resource)
        return sighting is not None and sighting.holder == self._context.me.holder_id(resource)

    def _read(self, after: Instant, now: Instant) -> Instant:
        """Have it read after an instant, and again and again where that reading told nothing yet."""
        asked_at = self._context.holders.asked_at
        due = after if asked_at is None or asked_at < after else asked_at + LOOK_MS
        if now < due:
            return due
        self._context.holders.need(due)
        return now + LOOK_MS

    def _all_at_rest(self, after: Instant) -> bool:
        others = (peer for peer in self._context.peers if not peer.member.witness)
        said = (peer.at_rest_after(self._group) for peer in others)
        return all(instant is not None and instant >= after for instant in said)
