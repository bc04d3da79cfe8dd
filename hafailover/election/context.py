"""What the groups of one node share: the peers, the cloud's word, the node's own condition."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from hafailover.election.effects import Persist
from hafailover.election.holders import Holders
from hafailover.election.peertable import PeerTable
from hafailover.election.values import GroupMemory, Instant, Leaving, Member, Memory, NodeName, Timing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from hafailover.election.backoff import Rng
    from hafailover.election.peers import Liveness, Peer
    from hafailover.election.values import GroupAdvert, GroupName, Resource, Sighting

WATCH_MS = 30_000  # how long ownership is read every second after a mover was lost in the middle of a move
WATCH_EVERY_MS = 1_000
MAX_RETIRED = 100  # groups that the file names no longer, of which the term is remembered


class Voice(NamedTuple):
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
        self.holders = Holders(rng, mute=me.witness)
        self.drained = False
        self.leaving = Leaving.NO
        self._slept_at: Instant | None = None
        self.trust_after: Instant = now
        self.watch_until: Instant = now
        self._memories: dict[GroupName, GroupMemory] = {}
        self._members = {member.name: member for member in members}
        self._voices: dict[
            GroupName, tuple[Voice, ...]
        ] = {}  # of this turn: a review asks for them again and again
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

    def remember(self, group: GroupName, term: int, *, moving: bool, held: bool) -> Persist:
        """Note what a group must know after a crash; return the effect that puts it on disk."""
        self._memories[group] = replace(self.memory_of(group), term=term, moving=moving, held=held)
        return self.persist()

    def remember_pause(self, group: GroupName, *, paused: bool, until: Instant | None) -> Persist:
        """Note a pause or its end; return the effect that puts it on disk."""
        self._memories[group] = replace(self.memory_of(group), paused=paused, paused_until=until)
        return self.persist()

    def retire(self, group: GroupName, term: int, remaining: Collection[GroupName], *, moving: bool) -> Persist:
        """Note what one of the same name must know of a group that has gone, if it was ever claimed.

        Its pause goes with it. Of so many at most that are not among the `remaining`, the oldest are forgotten.
        """
        held = self.memory_of(group).held
        self._memories.pop(group, None)  # the newest comes last
        if term > 0:
            self._memories[group] = GroupMemory(group, term, moving=moving, held=held)
        retired = [name for name in self._memories if name not in remaining]
        for name in retired[:-MAX_RETIRED]:
            del self._memories[name]
        return self.persist()

    def forget(self, group: GroupName, resources: Iterable[Resource]) -> None:
        """Let go of what was heard of a group and read of its resources: one of the same name begins anew."""
        self.holders.forget(resources)
        for peer in self.peers:
            peer.forget_group(group)

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
        for name, member in self._members.items():
            if member.holder_id(resource) == holder:
                return name
        return None

    @property
    def size(self) -> int:
        """How many nodes are configured, witnesses and this one included."""
        return len(self._members)

    def is_stranger(self, sighting: Sighting) -> bool:
        """Return whether a resource is with somebody who is no configured node."""
        return sighting.holder is not None and self.node_holding(sighting.resource, sighting.holder) is None

    def reconfigure(self, members: Iterable[Member], timing: Timing) -> None:
        """Take in what another version of the file says of the nodes, and its intervals."""
        self._members = {member.name: member for member in members}
        self.me = self._members[self.me.name]
        self.timing = timing
        others = (member for member in self._members.values() if member.name != self.me.name)
        self.peers.configure(others, timing)

    @property
    def paired(self) -> bool:
        """Whether there is at most one other node that may have anything."""
        return sum(not peer.member.witness for peer in self.peers) < 2  # noqa: PLR2004 - a pair is two

    def begin_turn(self, now: Instant) -> None:
        """Note the time, and that what the peers say may have changed."""
        self.now = now
        self._voices.clear()

    def voices(self, group: GroupName, now: Instant) -> tuple[Voice, ...]:
        """Return what the peers that count as there say of a group, in node order."""
        if now != self.now:
            return self._listen(group, now)
        voices = self._voices.get(group)
        if voices is None:
            voices = self._voices[group] = self._listen(group, now)
        return voices

    def _listen(self, group: GroupName, now: Instant) -> tuple[Voice, ...]:
        voices = []
        for peer in self.peers:
            liveness = peer.liveness(now)
            advert = peer.group(group) if liveness.heard else None
            if advert is not None:
                voices.append(Voice(peer, advert, liveness))
        return tuple(voices)

    @property
    def distrust_until(self) -> Instant:
        """Until when this node accuses nobody: for the longest dead interval, now in force, after it has slept."""
        if self._slept_at is None:
            return self.started_at
        peers_ms = (peer.dead_interval_ms for peer in self.peers)
        return self._slept_at + max((self.timing.dead_interval_ms, *peers_ms))

    def distrust(self, now: Instant) -> None:
        """Stop trusting this node's own view: it was not running, so it cannot tell who was silent."""
        self.peers.excuse_all(now)
        self._slept_at = now
        self.trust_after = self.holders.after(now)
        self.holders.need(self.trust_after)

    def watch(self, now: Instant) -> None:
        """Read ownership every second for a while: a call of somebody else's may take effect at any moment."""
        self.watch_until = now + WATCH_MS
        self.holders.need(now)
