"""Everybody who may be heard, in node order, and what was believed of each when it was last looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election.peers import AUDIBLE, Liveness, Peer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hafailover.election.events import AdvertReceived
    from hafailover.election.values import Instant, Member, NodeName, Timing


class PeerTable:
    """All peers in node order, and the last belief about each."""

    def __init__(self, members: Iterable[Member], timing: Timing) -> None:
        self._peers: dict[NodeName, Peer] = {}
        self._believed: dict[NodeName, Liveness] = {}
        self.configure(members, timing)

    def configure(self, members: Iterable[Member], timing: Timing) -> None:
        """Take the peers of another version of the file: who stays is known as before."""
        known, believed = self._peers, self._believed
        ordered = sorted(members, key=lambda member: member.order)
        self._peers = {member.name: known.get(member.name) or Peer(member, timing) for member in ordered}
        self._believed = {name: believed.get(name, Liveness.NEVER) for name in self._peers}
        for member in ordered:
            peer = self._peers[member.name]
            peer.member = member
            peer.retime(timing)

    def __iter__(self) -> Iterator[Peer]:
        return iter(self._peers.values())

    def get(self, name: NodeName) -> Peer | None:
        """Return the peer of that name, None for a stranger."""
        return self._peers.get(name)

    def repeats(self, event: AdvertReceived, now: Instant) -> bool:
        """Take in an advert if it only repeats what a peer that is believed alive said; return whether it does.

        Nearly all adverts are such. Where nothing else is due either, there is nothing to review.
        """
        peer = self._peers.get(event.advert.node)
        if peer is None or self._believed[peer.name] is not Liveness.ALIVE:
            return False
        return peer.hear_again(event.advert, now, confirmed=event.confirmed, said_after=event.said_after)

    def heard(self, now: Instant) -> tuple[NodeName, ...]:
        """Return the peers whose own datagrams this node hears now."""
        return tuple(peer.name for peer in self._peers.values() if peer.liveness(now) in AUDIBLE)

    def excuse_all(self, now: Instant) -> None:
        """Start the silence of those anew that counted as there before this node slept."""
        for name, peer in self._peers.items():
            if self._believed[name].heard:
                peer.excuse(now)

    def sweep(self, now: Instant) -> tuple[tuple[Peer, Liveness], ...]:
        """Return the peers whose liveness has changed since the last sweep, with their former one."""
        changes = []
        for name, peer in self._peers.items():
            before, after = self._believed[name], peer.liveness(now)
            if before is after:
                continue
            self._believed[name] = after
            if after is Liveness.ALIVE and before is not Liveness.LATE:
                peer.present_since = now
            if after is Liveness.DOWN:
                peer.forget()
            changes.append((peer, before))
        return tuple(changes)

    def next_change(self, now: Instant) -> Instant | None:
        """Return when to sweep next."""
        edges = [peer.next_change(now) for peer in self._peers.values()]
        return min([edge for edge in edges if edge is not None], default=None)
