"""What the groups of one node share: the peers, the cloud's word, the node's own condition."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hafailover.election.effects import Persist
from hafailover.election.holders import Holders
from hafailover.election.peers import Liveness, Peer, PeerTable
from hafailover.election.values import GroupMemory, Instant, Leaving, Member, Memory, NodeName, Timing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hafailover.election.backoff import Rng
    from hafailover.election.values import GroupAdvert, GroupName, Resource

WATCH_MS = 30_000  # how long ownership is read every second after a mover was lost in the middle of a move
WATCH_EVERY_MS = 1_000


@dataclass(frozen=True, slots=True)
class Voice:
    """What one peer says of one group, with the trust that it deserves."""

    peer: Peer
    advert: GroupAdvert
    liveness: Liveness


class Context:
    """The condition of one node; owned by `Node`, read by its groups."""

    def __init__(self, me: Member, members: Iterable[Member], timing: Timing, rng: Rng, now: Instant) -> None:
        self.me = me
        self.timing = timing
        self.rng = rng
        self.now = now
        self.started_at = now
        self.peers = PeerTable((member for member in members if member.name != me.name), timing)
        self.holders = Holders(rng)
        self.drained = False
        self.leaving = Leaving.NO
        self.distrust_until: Instant = now
        self.trust_after: Instant = now
        self.watch_until: Instant = now
        self._memories: dict[GroupName, GroupMemory] = {}
        self._members = {member.name: member for member in members}
        self._last_id = 0

    def next_ids(self, count: int = 1) -> int:
        """Reserve `count` ids for moves and guard rounds; return the first."""
        first = self._last_id + 1
        self._last_id += count
        return first

    def recall(self, memory: Memory) -> None:
        """Take over what an earlier run of this daemon left on disk."""
        self.drained = memory.drained
        self._memories = {group.group: group for group in memory.groups}

    def memory_of(self, group: GroupName) -> GroupMemory:
        """Return what is remembered of a group."""
        return self._memories.get(group, GroupMemory(group))

    def remember(self, group: GroupName, term: int, *, moving: bool) -> Persist:
        """Note a group's term, and whether moves may be sent under it; return the effect that puts it on disk."""
        self._memories[group] = replace(self.memory_of(group), term=term, moving=moving)
        return self.persist()

    def persist(self) -> Persist:
        """Return the effect that puts all that is to be remembered on disk."""
        return Persist(Memory(self.drained, tuple(self._memories[name] for name in sorted(self._memories))))

    def member(self, name: NodeName) -> Member | None:
        """Return the configured node of that name."""
        return self._members.get(name)

    def node_holding(self, resource: Resource, holder: str | None) -> NodeName | None:
        """Return the node whose ENI or instance the holder id names, None for nobody or a stranger."""
        if holder is None:
            return None
        named = (member for member in self._members.values() if member.holder_id(resource) == holder)
        return next((member.name for member in named), None)

    def voices(self, group: GroupName, now: Instant) -> tuple[Voice, ...]:
        """Return what the peers that count as there say of a group, in node order."""
        voices = []
        for peer in self.peers:
            advert, liveness = peer.group(group), peer.liveness(now)
            if advert is not None and liveness.heard:
                voices.append(Voice(peer, advert, liveness))
        return tuple(voices)

    def distrust(self, now: Instant) -> None:
        """Stop trusting this node's own view: it was not running, so it cannot tell who was silent."""
        self.peers.excuse_all(now)
        self.distrust_until = now + self.timing.dead_interval_ms
        self.trust_after = self.holders.after(now)
        self.holders.need(self.trust_after)

    def watch(self, now: Instant) -> None:
        """Read ownership every second for a while: a call of somebody else's may take effect at any moment."""
        self.watch_until = now + WATCH_MS
        self.holders.need(now)
