"""A node has at most one unresolved move of an address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election import events as ev
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe


class OneUnresolvedMove(Invariant):
    """No second move of an address is asked for before the first has come to its end (SPEC S1).

    One that was never answered has not ended while it may still arrive, not even by a restart of the daemon.
    """

    name = "one-unresolved-move"
    effects = (fx.Move,)
    events = (ev.MoveFinished,)

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._open: dict[tuple[int, str], int] = {}
        kinds = {wave.kind for wave in universe.options.waves}
        self._forgetful = bool(kinds & {"kill-disk-lost", "kill-disk-old"})

    def on_effect(self, process: Process, effect: Effect) -> None:
        assert isinstance(effect, fx.Move)
        key = (process.boot, effect.resource.id)
        if key in self._open:
            self.broken(f"{process.name} begins move {effect.move_id} while {self._open[key]} is unresolved")
        if self.universe.sky.on_its_way[process.name, effect.resource.id] and not self._forgetful:
            self.broken(f"{process.name} begins move {effect.move_id} while an earlier one may still arrive")
        self._open[key] = effect.move_id

    def on_event(self, process: Process, event: Event) -> None:
        assert isinstance(event, ev.MoveFinished)
        self._open.pop((process.boot, event.resource.id), None)
