"""What the code does is allowed by the models; what it must not do is noticed."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.reasons import Reason
from hafailover.election.values import MoveResult, Outcome, State
from tests.model import bridge
from tests.model.bridge import Bridge
from tests.scenarios.language import transcribe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from hafailover.election.node import Node

SCENARIOS = sorted((Path(__file__).parents[1] / "scenarios").glob("*.txt"))
LOST_MASTER = "nodes a:100 b:90\nstart\nrun 5s\npower off a\nrun 10s\npower on a\nrun 10s\nfailover b\nrun 10s\n"
LOST_REPLY = "nodes a:100 b:90\nstart\nrun 5s\npower off a\nnext timeout-after-effect\nrun 60s\n"


@dataclass(frozen=True)
class Step:
    """One call of Node.handle."""

    name: str
    now: int
    event: Event
    effects: tuple[Effect, ...]
    node: Node


class Recorder(Bridge):
    """Keeps the steps besides holding them against the models."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Step] = []

    def observe(self, node_name: str, now: int, event: Event, effects: Sequence[Effect], node: Node) -> None:
        self.kept.append(Step(node_name, now, event, tuple(effects), node))
        super().observe(node_name, now, event, effects, node)


def recorded(story: str) -> list[Step]:
    recorder = Recorder()
    with recorder.watching():
        transcribe(story)
    return recorder.kept


def replay(steps: Sequence[Step]) -> None:
    watcher = Bridge()
    for step in steps:
        watcher.observe(step.name, step.now, step.event, step.effects, step.node)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_that_every_transcript_is_allowed(path: Path) -> None:
    watcher = Bridge()
    with watcher.watching():
        transcribe(path.read_text())
    assert watcher.steps > 0
    assert watcher.judged > 0


def test_that_a_replay_is_allowed() -> None:
    replay(recorded(LOST_MASTER))


def drop(kind: type) -> Callable[[Step], tuple[Effect, ...]]:
    return lambda step: tuple(effect for effect in step.effects if not isinstance(effect, kind))


def change(kind: type, **changed: object) -> Callable[[Step], tuple[Effect, ...]]:
    return lambda step: tuple(
        replace(effect, **changed) if isinstance(effect, kind) else effect  # type: ignore[arg-type]
        for effect in step.effects
    )


def twice(kind: type) -> Callable[[Step], tuple[Effect, ...]]:
    return lambda step: tuple(
        each for effect in step.effects for each in ((effect, effect) if isinstance(effect, kind) else (effect,))
    )


def has(*kinds: type) -> Callable[[Step], bool]:
    return lambda step: all(any(isinstance(effect, kind) for effect in step.effects) for kind in kinds)


def becomes(state: State, old: State | None = None) -> Callable[[Step], bool]:
    return lambda step: any(
        isinstance(effect, fx.RoleChanged) and effect.new is state and old in (None, effect.old)
        for effect in step.effects
    )


MUTATIONS = {
    "another holder is named": (has(fx.Move), change(fx.Move, expected="eni-somebody"), bridge.NAMED),
    "the move goes to another": (has(fx.Move), change(fx.Move, target="eni-somebody"), bridge.CLAIMS),
    "the move is sent twice": (has(fx.Move), twice(fx.Move), bridge.SINGLE),
    "the term is not on disk": (becomes(State.CLAIMING), drop(fx.Persist), bridge.DISK),
    "the claim has an old term": (becomes(State.CLAIMING), change(fx.RoleChanged, term=0), bridge.TERM),
    "a role is skipped": (becomes(State.CLAIMING), change(fx.RoleChanged, new=State.RELEASING), bridge.ROLE),
    "the guest goes on answering": (
        lambda step: becomes(State.BACKUP, State.RELEASING)(step) and has(fx.StopAnswering)(step),
        drop(fx.StopAnswering),
        bridge.SILENT,
    ),
    "the change of role is kept from others": (becomes(State.CLAIMING), drop(fx.RoleChanged), bridge.ROLE),
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("what", sorted(MUTATIONS))
def test_that_a_changed_effect_is_noticed(what: str, seed: int) -> None:
    applies, mutate, sentence = MUTATIONS[what]
    steps = recorded(LOST_MASTER)
    place = random.Random(seed).choice([place for place, step in enumerate(steps) if applies(step)])  # noqa: S311
    steps[place] = replace(steps[place], effects=mutate(steps[place]))
    with pytest.raises(AssertionError, match=sentence[:3]):
        replay(steps)


def test_that_a_master_without_a_confirming_reading_is_noticed() -> None:
    steps = recorded(LOST_MASTER)
    place = next(place for place, step in enumerate(steps) if becomes(State.MASTER, State.CLAIMING)(step))
    confirming = max(each for each, step in enumerate(steps[: place + 1]) if isinstance(step.event, ev.HoldersRead))
    steps[confirming] = replace(steps[confirming], event=ev.TimerExpired())
    with pytest.raises(AssertionError, match=bridge.MASTERY[:3]):
        replay(steps)


def test_that_a_second_move_after_an_unknown_end_is_noticed() -> None:
    steps = recorded(LOST_MASTER)
    place = next(place for place, step in enumerate(steps) if has(fx.Move)(step))
    sent = next(effect for effect in steps[place].effects if isinstance(effect, fx.Move))
    step = steps[place]
    lost = ev.MoveFinished(sent.group, sent.move_id, sent.resource, MoveResult(Outcome.UNKNOWN))
    again = replace(step, event=lost, effects=(replace(sent, move_id=sent.move_id + 1),))
    with pytest.raises(AssertionError, match=bridge.BLIND[:3]):
        replay([*steps[: place + 1], again])


def test_that_a_second_move_before_the_first_is_dead_is_noticed() -> None:
    steps = recorded(LOST_MASTER)
    place = next(place for place, step in enumerate(steps) if has(fx.Move)(step))
    sent = next(effect for effect in steps[place].effects if isinstance(effect, fx.Move))
    step, read = (
        steps[place],
        next(each for each in reversed(steps[:place]) if isinstance(each.event, ev.HoldersRead)),
    )
    result = MoveResult(Outcome.UNKNOWN, open_ms=5_000)
    lost = replace(step, event=ev.MoveFinished(sent.group, sent.move_id, sent.resource, result), effects=())
    assert isinstance(read.event, ev.HoldersRead)
    looked = replace(step, event=replace(read.event, asked_at=step.now + 1), effects=())
    again = replace(step, event=ev.TimerExpired(), effects=(replace(sent, move_id=sent.move_id + 1),))
    for later, sentence in ((4_999, bridge.OUTWAITED), (5_000, bridge.REREAD)):
        with pytest.raises(AssertionError, match=sentence[:3]):
            replay([*steps[: place + 1], lost, looked, replace(again, now=step.now + later)])


def test_that_a_lost_reply_is_lived_through() -> None:
    steps = recorded(LOST_REPLY)
    assert any(isinstance(step.event, ev.MoveFinished) for step in steps)
    assert any(
        isinstance(effect, fx.RoleChanged) and effect.reason is Reason.CLAIM_DONE
        for step in steps
        for effect in step.effects
    )
