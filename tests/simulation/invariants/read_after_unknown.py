"""A move whose end is unknown is resolved by reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.values import Outcome
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe


class ReadAfterUnknown(Invariant):
    """After an unknown outcome nothing is asked of that address before an answer to a later question (SPEC S1)."""

    name = "read-after-unknown"
    decisions = (fx.Move,)
    events = (ev.MoveFinished, ev.HoldersRead)

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._unknown: dict[int, dict[str, int]] = {}

    def on_event(self, process: Process, event: Event) -> None:
        unknown = self._unknown.setdefault(process.boot, {})
        if isinstance(event, ev.HoldersRead):
            for resource in [name for name, since in unknown.items() if event.asked_at >= since]:
                del unknown[resource]
        elif isinstance(event, ev.MoveFinished) and event.result.outcome is Outcome.UNKNOWN:
            unknown[event.resource.id] = process.clock

    def on_decision(self, process: Process, effect: Effect) -> None:
        assert isinstance(effect, fx.Move)
        if effect.resource.id in self._unknown.get(process.boot, {}):
            self.broken(f"{process.name} asks for {effect.resource.id} again without having looked")
