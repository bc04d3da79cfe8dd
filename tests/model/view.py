"""What one node has heard and read, and what the models' rules 6 to 10, 12 and 13 and the return rule say of it.

The numbers are those of docs/failure-model.md. The models know how things are; a node knows what it was told. So
each rule is held against the node's own view, and where the view leaves room the node is given it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.peers import REFUSAL_FRESH_MS
from hafailover.election.reasons import Reason
from hafailover.election.returns import LAG_MS
from hafailover.election.values import GuardVerdict, Leaving, Outcome, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hafailover.election.events import Event
    from hafailover.election.group import Group
    from hafailover.election.node import Node
    from hafailover.election.values import GroupAdvert, Instant, Member, Resource, Sighting

UNHEARD = "E6: what a node has lost to one that it does not hear it does not claim back before it hears it"
PATHS = "E7: a master is dead when every path has been silent for the dead interval"
SERVED = "E8: nobody claims from a holder that is heard to serve, unless that one hands over"
LISTENED = "E9: after its start a node claims nothing before it has heard each peer or missed it"
ELSEWHERE = "E10: a claim ends when the holder has changed to somebody else"
TIED = "E12: a claim whose move was applied does not yield to a master of an equal term"
DEPOSED = "E13: a master that the cloud does not name any more steps down"
RETURN = "D1: what a node lately had it takes only when no other's move of that time can be under way"

PLANNED = (Reason.HANDED_OVER, Reason.ADDRESS_LOST)
DEAD = (Reason.MASTER_DEAD, Reason.MASTER_GONE)
DOUBTS = 2  # readings in a row that depose


@dataclass(slots=True)
class Heard:
    """One peer: when it last gave a sign of life, its last word on the group, and its last confirmed one."""

    at: Instant
    spoke_at: Instant  # a refusal by its kernel is a sign of life and no word
    word: GroupAdvert | None = None
    sure: GroupAdvert | None = None
    sure_at: Instant = 0
    at_rest_after: Instant | None = None
    left: bool = False  # it has said goodbye
    asked_ms: int = 0  # the dead interval that it wants to be judged by

    @property
    def active(self) -> bool:
        """Whether it said last that it serves, or may have a move unresolved: one that dies so may leave it."""
        words = [word for word in (self.word, self.sure) if word is not None]
        return any(word.state.serves or word.state is State.CLAIMING or word.moving for word in words)


@dataclass(slots=True)
class Held:
    """One resource: who has it by the latest reading, and the node's own part in it."""

    holder: str | None = None
    settled_at: str | None = None  # who had it settled, by the latest reading that showed it so
    asked_at: Instant = -1
    taken: bool = False  # by somebody who lives and is not heard
    had_until: Instant | None = None  # this node may have held it, or have had a move of it applied
    away_since: Instant | None = None  # the first question late enough whose answer named another
    claimed_from: str | None = None  # whom the first move of this claim names
    moved: bool = False
    applied: bool = False  # in this claim


@dataclass(slots=True)
class View:
    """One group as one run of a daemon sees it."""

    group: Group
    node: Node
    started_at: Instant
    due: Instant  # when the node had asked to be woken
    turned_at: Instant  # the last event
    heard: dict[str, Heard] = field(default_factory=dict)
    refused: dict[str, tuple[Instant, Instant]] = field(default_factory=dict)  # a peer's kernel: first, last since
    held: dict[Resource, Held] = field(default_factory=dict)
    objected: set[str] = field(default_factory=set)
    role: State = State.INIT
    role_since: Instant = 0
    doubts: int = 0
    doubted_at: Instant = -1

    @property
    def _dead_ms(self) -> int:
        return self.node.context.timing.dead_interval_ms

    def _dead_after_ms(self, heard: Heard) -> int:
        """After which silence a peer is dead."""
        return max(self._dead_ms, heard.asked_ms)

    def _patience_ms(self, heard: Heard | None) -> int:
        """After which silence a peer cannot count as there any more, whatever its kernel or its last word says."""
        timing = self.node.context.timing
        return max(timing.dead_interval_ms, timing.restart_grace_ms, 0 if heard is None else heard.asked_ms)

    def _others(self) -> list[Member]:
        return [peer.member for peer in self.node.context.peers]

    # -- learning ----------------------------------------------------------------------------------------------

    def learn(self, event: Event, now: Instant) -> None:
        """Take in what an event tells."""
        if now - self.due > self._dead_ms // 2 or type(event) is ev.LoopLagged:
            self._excuse(now)
        self.due, self.turned_at = self.node.deadline, now
        if type(event) is ev.TimerExpired:
            return
        match event:
            case ev.AdvertReceived():
                self._hear(event, now)
            case ev.PeerRefused():
                self._answered(event.peer)  # by its kernel: the host is there, and its daemon is not
                self.refused[event.peer] = self.refused.get(event.peer, (now, now))[0], now
                if event.peer in self.heard:
                    self.heard[event.peer].at = max(self.heard[event.peer].at, now - self._dead_ms)
            case ev.HoldersRead():
                self._read(event, now)
            case ev.MoveFinished() if event.group == self.group.name:
                self._moved(event, now)
            case ev.GuardAnswered() if event.group == self.group.name:
                self._guarded(event)
            case _:
                pass

    def _excuse(self, now: Instant) -> None:
        """Begin the silence anew of who was there before this node slept: it cannot tell who was silent."""
        for heard in self.heard.values():
            if self.turned_at - heard.at < self._patience_ms(heard):
                heard.at = heard.spoke_at = now

    def _hear(self, event: ev.AdvertReceived, now: Instant) -> None:
        heard = self.heard.setdefault(event.advert.node, Heard(now, now))
        self.refused.pop(event.advert.node, None)
        if now - heard.sure_at >= self._dead_after_ms(heard):
            heard.sure = None  # what a daemon said before it fell silent is history, whatever else speaks since
        heard.at = heard.spoke_at = now
        heard.left = event.confirmed and event.advert.leaving is Leaving.STOPPING
        word = next((each for each in event.advert.groups if each.group == self.group.name), None)
        if word is None:
            return
        heard.word = word
        if event.confirmed:
            heard.sure, heard.sure_at, heard.asked_ms = word, now, event.advert.dead_interval_ms
            heard.at_rest_after = None if word.moving else event.said_after or heard.at_rest_after
        for held in self.held.values():
            if held.away_since is not None:
                self._let_go(held, now)
        self._answered(event.advert.node)

    def _answered(self, name: str) -> None:
        for resource, held in self.held.items():
            if held.taken and self._name(resource, held.holder) == name:
                held.taken = False

    def _name(self, resource: Resource, holder: str | None) -> str | None:
        return next((each.name for each in self._others() if each.holder_id(resource) == holder), None)

    def _read(self, event: ev.HoldersRead, now: Instant) -> None:
        elsewhere = False
        for sighting in event.sightings:
            held = self.held.get(sighting.resource)
            if held is not None and event.asked_at >= held.asked_at:
                mine = self.node.context.me.holder_id(sighting.resource)
                elsewhere = elsewhere or (sighting.settled and sighting.holder not in (mine, None))
                self._see(held, sighting, event.asked_at, now)
        if event.asked_at > self.doubted_at:
            self.doubted_at = event.asked_at
            self.doubts = self.doubts + 1 if elsewhere and event.asked_at >= self.role_since else 0

    def _see(self, held: Held, sighting: Sighting, asked_at: Instant, now: Instant) -> None:
        mine = self.node.context.me.holder_id(sighting.resource)
        if sighting.settled and sighting.holder != held.settled_at:
            lost = held.settled_at == mine and sighting.holder is not None
            held.taken = lost and self._lives_unheard(sighting, now)
            held.settled_at = sighting.holder
            if held.taken:
                self.objected.clear()  # what a guard objected to before that is no evidence
        held.holder, held.asked_at = sighting.holder, asked_at
        if sighting.holder == mine:
            # Whatever is asked later tells of later: nothing older than its question can be in that answer.
            held.had_until, held.away_since = asked_at - LAG_MS, None
        elif held.had_until is not None and held.away_since is None and sighting.settled:
            held.away_since = asked_at if asked_at >= held.had_until + LAG_MS else None
        self._let_go(held, now)

    def _lives_unheard(self, sighting: Sighting, now: Instant) -> bool:
        """Whether a member has taken it whose silence is no ordinary death: it lives, for it has moved it."""
        name = self._name(sighting.resource, sighting.holder)
        heard = self.heard.get(name or "")
        first, last = self.refused.get(name or "", (now, now))
        timing = self.node.context.timing
        fresh_ms = max(REFUSAL_FRESH_MS, 3 * timing.interval_ms)
        if now - first >= timing.restart_grace_ms and now - last <= fresh_ms:
            return False  # there was no daemon to ask for it all the time
        if heard is None:
            return name is not None and now - self.started_at > self._patience_ms(None)
        return now - heard.at > self._patience_ms(heard) and not heard.active

    def _moved(self, event: ev.MoveFinished, now: Instant) -> None:
        held = self.held[event.resource]
        if event.result.half_done:
            held.holder = event.result.holder
        if event.result.outcome is Outcome.APPLIED:
            held.had_until, held.away_since, held.applied = now, None, True

    def _guarded(self, event: ev.GuardAnswered) -> None:
        if event.verdict is not GuardVerdict.ALLOW:
            self.objected.add(event.guard)
        elif event.guard in self.objected:
            for held in self.held.values():
                held.taken = False  # evidence of after the takeover

    # -- judging -----------------------------------------------------------------------------------------------

    def rules(self, effect: fx.Effect, now: Instant) -> Iterator[tuple[bool, str]]:
        """Yield what must hold of an effect, each with its sentence."""
        match effect:
            case fx.Move() if effect.group == self.group.name:
                yield from self._move_rules(effect, now)
            case fx.RoleChanged() if effect.group == self.group.name:
                if effect.new is State.CLAIMING and effect.reason not in PLANNED:
                    yield from self._claim_rules(effect, now)
                if effect.old is State.CLAIMING and effect.reason is Reason.CLAIM_LOST:
                    yield self._may_give_way(effect), TIED
            case _:
                return

    def _claim_rules(self, change: fx.RoleChanged, now: Instant) -> Iterator[tuple[bool, str]]:
        yield not any(held.taken for held in self.held.values()), UNHEARD
        if change.reason in DEAD:
            yield not self._speaks(self.group.last_master, now, sure=True), PATHS
        for resource, held in self.held.items():
            yield not self._speaks(self._name(resource, held.holder), now, sure=False), SERVED
        missed = now - self.started_at >= self._dead_ms
        yield missed or all(each.witness or each.name in self.heard for each in self._others()), LISTENED

    def _speaks(self, name: str | None, now: Instant, *, sure: bool) -> bool:
        """Whether a node was heard within the dead interval and said last that it serves.

        Where it has said anything that is confirmed, only that is its word: the rest may be a recording.
        """
        heard = self.heard.get(name or "")
        word = None if heard is None else heard.sure or (None if sure else heard.word)
        if heard is None or word is None or not word.state.serves:
            return False
        return now - heard.spoke_at < self._dead_after_ms(heard)

    def _move_rules(self, move: fx.Move, now: Instant) -> Iterator[tuple[bool, str]]:
        held = self.held[move.resource]
        follows = held.moved and move.expected not in (None, held.claimed_from)
        yield not follows or self._orphaned(move.resource, move.expected, now), ELSEWHERE
        yield self._may_return(held, now), RETURN

    def _orphaned(self, resource: Resource, holder: str | None, now: Instant) -> bool:
        """Whether the new holder fell silent, or left, while it claimed or served: it may have died meanwhile."""
        heard = self.heard.get(self._name(resource, holder) or "")
        return heard is not None and heard.active and (heard.left or now - heard.at >= self._dead_after_ms(heard))

    def _let_go(self, held: Held, now: Instant) -> None:
        """Forget that this node had it where nothing of that time can be under way any more."""
        if held.had_until is None or held.away_since is None:
            return
        since = held.away_since + LAG_MS
        rivals = [each for each in self._others() if not each.witness]
        said = [self.heard[each.name].at_rest_after if each.name in self.heard else None for each in rivals]
        at_rest = all(instant is not None and instant >= since for instant in said)
        if at_rest or now > since + self.node.context.timing.request_life_ms:
            held.had_until = held.away_since = None

    def _may_return(self, held: Held, now: Instant) -> bool:
        self._let_go(held, now)
        return held.had_until is None or sum(not each.witness for each in self._others()) < 2

    def _may_give_way(self, change: fx.RoleChanged) -> bool:
        me = self.node.context.me
        if not any(held.applied for held in self.held.values()):
            return True
        if any(held.holder != me.holder_id(resource) for resource, held in self.held.items()):
            return True
        words = [heard.sure for heard in self.heard.values() if heard.sure is not None]
        return any(word.state.serves and word.term > change.term for word in words)

    # -- afterwards ----------------------------------------------------------------------------------------------

    def take_in(self, effect: fx.Effect, now: Instant) -> None:
        """Note what an effect that is allowed makes true."""
        match effect:
            case fx.Move() if effect.group == self.group.name:
                held = self.held[effect.resource]
                if not held.moved:
                    held.moved, held.claimed_from = True, effect.expected
            case fx.RoleChanged() if effect.group == self.group.name:
                self.role, self.role_since, self.doubts = effect.new, now, 0
                for held in self.held.values():
                    held.moved, held.claimed_from, held.applied = False, None, False
            case _:
                pass

    def overstays(self) -> bool:
        """Whether this node is master still after readings enough that name another."""
        return self.role is State.MASTER and self.doubts >= DOUBTS


def view_of(group: Group, node: Node, now: Instant) -> View:
    """Return the view of a daemon that has just started."""
    return View(group, node, now, now, now, held={resource: Held() for resource in group.policy.resources})
