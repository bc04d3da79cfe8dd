"""Takeovers by a node that this one does not hear: proof that it lives, and the reason not to take back from it.

Two nodes that cannot hear each other have the same view, each of the other: silence. If silence alone justified
a claim they would take the address from each other for ever, only slowed by the hold-down. But the cloud tells
one thing more: when an address changes hands, somebody alive has moved it. So a node that sees the address go to
somebody whom it does not hear leaves it there, until

* the holder is heard again, or its kernel says for all of `restart_grace` that no daemon is there, or
* somebody else or nobody holds the address, or
* a guard finds something new: it objected or did not know after the takeover, and now it has evidence that the
  service is gone. A guard that sees the other host as little as the heartbeats do has nothing new to say.

What a peer said last can explain its takeover: one that was claiming or serving when it fell silent may have died
since, and its last call may have landed later. That is an ordinary death, and no proof of life.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election.returns import OLD_MS
from hafailover.election.values import GuardVerdict, Resource, Sighting, State

if TYPE_CHECKING:
    from hafailover.election.context import Context
    from hafailover.election.values import GroupName, Instant


class Takeovers:
    """Who took a group's resources unheard, as one node has seen it."""

    def __init__(self, group: GroupName, context: Context) -> None:
        self._group = group
        self._context = context
        self._holders: dict[Resource, str | None] = {}
        self._taken: set[Resource] = set()
        self._mine_at: dict[Resource, Instant] = {}  # when a reading last named this node
        self._objected: set[str] = set()
        self._evidence = False

    def see(self, sighting: Sighting, now: Instant) -> None:
        """Take in who holds a resource by the latest reading."""
        if not sighting.settled:
            return
        resource, holder = sighting.resource, sighting.holder
        before = self._holders.get(resource, holder)
        self._holders[resource] = holder
        if holder == self._context.me.holder_id(resource):
            self._mine_at[resource] = now
        if holder is None or self._explained(resource, holder, now):
            self._taken.discard(resource)
        elif holder != before:
            self._taken.add(resource)
            self._objected.clear()
            self._evidence = False

    def answered(self, guard: str, verdict: GuardVerdict) -> None:
        """Take in what a guard says after a takeover."""
        if verdict is not GuardVerdict.ALLOW:
            self._objected.add(guard)
        self._evidence = self._evidence or (verdict is GuardVerdict.ALLOW and guard in self._objected)

    @property
    def forbid(self) -> bool:
        """Whether a node that lives and is not heard has taken a resource."""
        return bool(self._taken) and not self._evidence

    def orphaned(self, resource: Resource, holder: str, now: Instant) -> bool:
        """Return whether the holder is a peer that fell silent while it was claiming or serving.

        Where this node has had it since, it has lived to take it again: if it served, for then it had no call under
        way, and if it did not, once its last call must have had its effect.
        """
        name = self._context.node_holding(resource, holder)
        peer = None if name is None else self._context.peers.get(name)
        if peer is None or peer.liveness(now).heard:
            return False
        advert = peer.group(self._group)
        if advert is None:
            return False
        moves = advert.moving or advert.state is State.CLAIMING
        lands_ms = self._context.timing.request_life_ms + OLD_MS if moves else 0
        may_be_dead = (peer.last_heard or 0) + lands_ms > self._mine_at.get(resource, -1)
        return (moves or advert.state.serves) and may_be_dead

    def _explained(self, resource: Resource, holder: str, now: Instant) -> bool:
        name = self._context.node_holding(resource, holder)
        if name == self._context.me.name:
            return True
        peer = None if name is None else self._context.peers.get(name)
        # A kernel that refuses says that no daemon is there now; one may have been there to move it.
        heard = peer is not None and peer.advert is not None and peer.liveness(now).heard
        gone = peer is not None and peer.given_up(now)
        return heard or gone or (resource not in self._taken and self.orphaned(resource, holder, now))
