"""The pause of one group: no automatic moves, by the word of this node's operator or of another node's.

A pause is told in the adverts with what is left of it, and holds every node that hears of it: whoever is master
when it begins stays that, until it hands over or fails. A peer's word outlives the peer, for it may have been
paused for just that; what it said last ends with the time that it gave, or when the operator resumes here. Only a
confirmed word counts: a recording could keep an address down for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hafailover.election.context import Context
    from hafailover.election.effects import Persist
    from hafailover.election.values import GroupMemory, GroupName, Instant, NodeName

MINUTE_MS = 60_000
ENDLESS_MIN = 65_535  # on the wire: until told otherwise


class Pause:
    """This node's own pause of one group, and what its peers say of theirs."""

    def __init__(self, group: GroupName, context: Context, remembered: GroupMemory) -> None:
        self._group = group
        self._context = context
        self.on = remembered.paused
        self.until = remembered.paused_until

    def begin(self, for_ms: int | None, now: Instant) -> Persist:
        """Pause from now on, for `for_ms` or (None) until told otherwise; return what puts it on disk."""
        return self._set(on=True, until=None if for_ms is None else now + for_ms)

    def end(self) -> Persist:
        """End this node's pause; return what puts that on disk."""
        return self._set(on=False, until=None)

    def _set(self, *, on: bool, until: Instant | None) -> Persist:
        self.on, self.until = on, until
        return self._context.remember_pause(self._group, paused=on, until=until)

    def forget_silent(self, now: Instant) -> None:
        """Let go of what the peers said last that are not heard any more."""
        for peer in self._context.peers:
            if not peer.liveness(now).heard:
                peer.pauses.pop(self._group, None)

    def over(self, now: Instant) -> bool:
        """Return whether this node's own pause has reached its end."""
        return self.on and self.until is not None and self.until <= now

    def holds(self, now: Instant) -> bool:
        """Return whether no automatic moves are wanted, by this node's operator or another's."""
        return bool(self.by(now))

    def by(self, now: Instant) -> tuple[NodeName, ...]:
        """Return the nodes whose pause holds now, this one first."""
        mine = (self._context.me.name,) if self.on else ()
        return (*mine, *(peer.name for peer in self._context.peers if peer.has_paused(self._group, now)))

    def left_ms(self, now: Instant) -> int | None:
        """Return how long the longest pause lasts yet, None where it has no end, 0 where there is none."""
        ends = [peer.pauses[self._group] for peer in self._context.peers if peer.has_paused(self._group, now)]
        ends += [self.until] if self.on else []
        return None if None in ends else max([end - now for end in ends if end is not None], default=0)

    def minutes(self, now: Instant) -> int:
        """Return what is told to the peers: minutes, rounded up."""
        if not self.on:
            return 0
        return ENDLESS_MIN if self.until is None else min(-(-(self.until - now) // MINUTE_MS), ENDLESS_MIN - 1)

    def next_change(self, now: Instant) -> Instant:
        """Return when to look again: an end, or the minute from which something else is told; `now` for never."""
        ends = [peer.pauses[self._group] for peer in self._context.peers if peer.has_paused(self._group, now)]
        if self.on and self.until is not None:
            ends.append(self.until - (self.minutes(now) - 1) * MINUTE_MS)
        return min([end for end in ends if end is not None], default=now)
