"""The bridge from the models to the code: what a node does must be a step that the models allow.

`Bridge.observe` is shown every call of `Node.handle` of a run, whatever the world around it is. It keeps for each
node what a node of the models knows (role, readings, its own moves) from the events and effects alone, and raises
AssertionError with the sentence that a step violates. The sentences are those that the models need: claim.pml
(C), election.pml (E), dwell.pml (D) and reassign.pml (R); those about what a node has heard are in `view`.
"""

from __future__ import annotations

import functools
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.node import Node
from hafailover.election.values import Outcome, Resource, State
from tests.model.view import DEPOSED, View, view_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from hafailover.election.group import Group
    from hafailover.election.values import Instant, Member, Sighting

ROLES: dict[State, frozenset[State]] = {
    State.INIT: frozenset({State.BACKUP, State.MASTER, State.FAULT}),
    State.BACKUP: frozenset({State.CLAIMING, State.FAULT}),
    State.CLAIMING: frozenset({State.MASTER, State.BACKUP}),
    State.MASTER: frozenset({State.BACKUP, State.RELEASING, State.CLAIMING, State.FAULT}),
    State.RELEASING: frozenset({State.MASTER, State.BACKUP, State.CLAIMING, State.FAULT}),
    State.FAULT: frozenset({State.BACKUP}),
}

ROLE = "E1: a node takes only the steps from role to role that the model has"
TERM = "E2: a claim has a term above all that this node has had, and no term decreases"
DISK = "C1: the term and the mark of an unresolved move are on disk before the claim is told or anything is sent"
CLAIMS = "C2: only a node that claims sends moves, to itself"
NAMED = "C3: a move names the holder that the latest reading shows, settled"
SINGLE = "C4: a node has one unresolved move of a resource at most"
BLIND = "C5: after an unknown outcome a reading asked later comes before the next move"
OUTWAITED = "C6: while a move that was never answered may take effect, no other is sent"
REREAD = "C7: after that wait, only a reading asked after it counts"
MASTERY = "C8: a claim makes a node master only by a reading that names it, asked after its last move"
ONCE = "E3: a claim whose move was applied does not take the resource from the same holder again"
SILENT = "E4: a node that serves no longer has left the guest before it says so"
RESUMED = "E5: a daemon that starts as master has read that it is the holder"


TOLD = (ev.HoldersRead, ev.MoveFinished)  # what `learn` looks at


@dataclass(slots=True)
class Asset:
    """What one run of a daemon has done about one resource, and knows of it."""

    sighting: Sighting | None = None
    asked_at: Instant = 0
    open_move: int | None = None
    told_unknown_at: Instant | None = None  # an outcome was unknown, and no reading asked since has come
    open_until: Instant = 0  # a move that was never answered may take effect until then
    ended_at: Instant = 0  # when the latest move ended
    given_by: str | None = None  # in this claim: the holder from whom a move was applied
    mine_asked_at: Instant | None = None  # the latest question whose answer named this node as the settled holder


@dataclass(slots=True)
class Known:
    """What the models know of one group in one run of a daemon."""

    group: Group
    me: Member
    view: View
    role: State = State.INIT
    term: int = 0
    assets: dict[Resource, Asset] = field(default_factory=dict)


def learn(known: Known, event: Event, now: Instant) -> None:
    """Take in what an event tells, before its effects are judged."""
    match event:
        case ev.HoldersRead():
            for sighting in event.sightings:
                if sighting.resource in known.assets:
                    _read(known, known.assets[sighting.resource], sighting, event.asked_at)
        case ev.MoveFinished() if event.group == known.group.name:
            asset = known.assets[event.resource]
            if asset.open_move == event.move_id:
                _ended(known, asset, event, now)
        case _:
            pass


def _read(known: Known, asset: Asset, sighting: Sighting, asked_at: Instant) -> None:
    if asked_at < asset.asked_at:
        return
    asset.sighting, asset.asked_at = sighting, asked_at
    if asset.told_unknown_at is not None and asked_at >= asset.told_unknown_at:
        asset.told_unknown_at = None
    if sighting.settled and sighting.holder == known.me.holder_id(sighting.resource):
        asset.mine_asked_at = asked_at
        asset.open_until = 0  # it has taken effect: claim.pml, SEEN with view == me


def _ended(known: Known, asset: Asset, event: ev.MoveFinished, now: Instant) -> None:
    result = event.result
    asset.open_move = None
    if result.outcome is not Outcome.THROTTLED:
        asset.ended_at = now  # what was throttled was not done: it changed nothing that a reading could tell
    if result.outcome is Outcome.UNKNOWN:
        asset.told_unknown_at = now
        asset.open_until = now + result.open_ms
    if result.half_done:
        # What its own call has proved counts as a reading (reassign.pml: released, not yet taken).
        asset.sighting = type(asset.sighting)(event.resource, result.holder) if asset.sighting is not None else None
    if result.outcome is Outcome.APPLIED and known.role is State.CLAIMING and asset.sighting is not None:
        asset.given_by = asset.sighting.holder


def spec_allows(known: Known, effect: Effect, earlier: Sequence[Effect], now: Instant) -> str | None:
    """Return the sentence that an effect violates after the earlier effects of the same event, None where none is.

    Pure: `known` is what was known before the effect.
    """
    match effect:
        case fx.Move() if effect.group == known.group.name:
            return _first(_move_rules(known, effect, now))
        case fx.RoleChanged() if effect.group == known.group.name:
            return _first(_role_rules(known, effect, earlier))
        case fx.SendAdverts():
            return _first(_word_rules(known, effect))
        case _:
            return None


def _first(rules: Iterator[tuple[bool, str]]) -> str | None:
    return next((sentence for holds, sentence in rules if not holds), None)


def _move_rules(known: Known, move: fx.Move, now: Instant) -> Iterator[tuple[bool, str]]:
    asset = known.assets[move.resource]
    sighting = asset.sighting
    yield known.role is State.CLAIMING and move.target == known.me.holder_id(move.resource), CLAIMS
    yield asset.open_move is None, SINGLE
    yield asset.told_unknown_at is None, BLIND
    yield now >= asset.open_until, OUTWAITED
    yield asset.asked_at >= asset.open_until, REREAD
    yield sighting is not None and sighting.settled and sighting.holder == move.expected != move.target, NAMED
    yield move.expected is None or move.expected != asset.given_by, ONCE


def _role_rules(known: Known, change: fx.RoleChanged, earlier: Sequence[Effect]) -> Iterator[tuple[bool, str]]:
    yield change.old is known.role and change.new in ROLES[change.old], ROLE
    yield change.term >= known.term, TERM
    if change.new is State.CLAIMING:
        yield change.term > known.term, TERM
        yield _on_disk(change, earlier), DISK
    if change.new is State.MASTER and change.old is State.CLAIMING:
        yield all(_confirmed(asset) for asset in known.assets.values()), MASTERY
    if change.new is State.MASTER and change.old is State.INIT:
        yield all(asset.mine_asked_at == asset.asked_at for asset in known.assets.values()), RESUMED


def _confirmed(asset: Asset) -> bool:
    return asset.open_move is None and asset.mine_asked_at is not None and asset.mine_asked_at >= asset.ended_at


def _on_disk(change: fx.RoleChanged, earlier: Sequence[Effect]) -> bool:
    persisted = [each.memory for each in earlier if isinstance(each, fx.Persist)]
    told = any(isinstance(each, fx.SendAdverts) for each in earlier)
    kept = [group for memory in persisted[-1:] for group in memory.groups if group.group == change.group]
    return not told and any(group.term == change.term and group.moving for group in kept)


def _word_rules(known: Known, told: fx.SendAdverts) -> Iterator[tuple[bool, str]]:
    for said in told.advert.groups:
        if said.group == known.group.name:
            yield said.state is known.role, ROLE
            yield said.term >= known.term, TERM


@dataclass(slots=True)
class _Run:
    """One run of a daemon: its groups, and which addresses it has put on the guest."""

    node: Node
    groups: list[Known]
    armed: set[Resource] = field(default_factory=set)


class Bridge:
    """Watches all nodes of one world; `steps` counts the calls that were held against the models."""

    def __init__(self) -> None:
        self.steps = 0
        self.judged = 0
        self._runs: dict[str, _Run] = {}

    def observe(self, node_name: str, now: Instant, event: Event, effects: Sequence[Effect], node: Node) -> None:
        """Hold one call of `Node.handle` against the models; `now` is the time that the call was given.

        Raises AssertionError, naming the node and the violated sentence.
        """
        self.steps += 1
        run = self._runs.get(node_name)
        if run is None or run.node is not node:
            run = self._runs[node_name] = _begin(node, now)
        for known in run.groups:
            known.view.learn(event, now)
            if type(event) in TOLD:
                learn(known, event, now)
        if effects:
            self._judge(run, node_name, effects, now)
        if effects or type(event) is ev.HoldersRead:
            for known in run.groups:
                if known.view.overstays():
                    raise AssertionError(f"{node_name} at {now}: {DEPOSED}: {event}")

    def _judge(self, run: _Run, node_name: str, effects: Sequence[Effect], now: Instant) -> None:
        for place, effect in enumerate(effects):
            for known in run.groups:
                sentence = _judged(run, known, effect, effects[:place], now)
                if sentence is not None:
                    raise AssertionError(f"{node_name} at {now}: {sentence}: {effect}")
                self._take_in(known, effect, now)
            _arming(run, effect)

    def _take_in(self, known: Known, effect: Effect, now: Instant) -> None:
        """Note what an effect that is allowed makes true."""
        known.view.take_in(effect, now)
        match effect:
            case fx.Move() if effect.group == known.group.name:
                known.assets[effect.resource].open_move = effect.move_id
                self.judged += 1
            case fx.RoleChanged() if effect.group == known.group.name:
                known.role, known.term = effect.new, effect.term
                self.judged += 1
                for asset in known.assets.values():
                    asset.given_by = None
            case _:
                pass

    @contextmanager
    def watching(self) -> Iterator[Bridge]:
        """Show this bridge every call of `Node.handle` made inside the block."""
        handle: Callable[..., tuple[Effect, ...]] = Node.handle

        @functools.wraps(handle)
        def watched(node: Node, event: Event, *, now: Instant) -> tuple[Effect, ...]:
            effects = handle(node, event, now=now)
            # The core's clock never goes back, whatever it is given.
            self.observe(node.context.me.name, node.context.now, event, effects, node)
            return effects

        Node.handle = watched  # type: ignore[method-assign, assignment]
        try:
            yield self
        finally:
            Node.handle = handle  # type: ignore[method-assign]


def _judged(run: _Run, known: Known, effect: Effect, earlier: Sequence[Effect], now: Instant) -> str | None:
    allowed = spec_allows(known, effect, earlier, now) or _left_guest(run, known, effect)
    if type(effect) is fx.SendAdverts:
        return allowed
    return allowed or _first(known.view.rules(effect, now))


def _begin(node: Node, now: Instant) -> _Run:
    # What an earlier run has left on disk is not asked after: a disk may be lost, and the models allow that.
    groups = [
        Known(
            group,
            node.context.me,
            view_of(group, node, now),
            assets={resource: Asset() for resource in group.policy.resources},
        )
        for group in node.groups.values()
    ]
    return _Run(node, groups)


def _arming(run: _Run, effect: Effect) -> None:
    match effect:
        case fx.Arm():
            run.armed.add(effect.resource)
        case fx.StopAnswering():
            run.armed.discard(effect.resource)
        case _:
            pass


def _left_guest(run: _Run, known: Known, effect: Effect) -> str | None:
    """Return SILENT where a node says that it no longer serves while its guest may still answer.

    At FAULT the address stays, by design; and an overlapping claim that ends in BACKUP sees to it by its readings.
    """
    match effect:
        case fx.RoleChanged() if effect.group == known.group.name and effect.new is State.BACKUP:
            carried = run.armed & set(known.assets)
            return SILENT if effect.old.serves and carried else None
        case _:
            return None
