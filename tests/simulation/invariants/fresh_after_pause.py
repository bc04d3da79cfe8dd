"""Who has slept looks before acting."""

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


class FreshAfterPause(Invariant):
    """After a long pause no move is asked for before the answer to a question of afterwards."""

    name = "fresh-after-pause"
    decisions = (fx.Move,)
    events = (ev.HoldersRead,)

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._resumed: dict[int, int] = {}

    def on_resume(self, process: Process) -> None:
        slept_ms = self.universe.now - process.turned_at
        if slept_ms > 2 * self.universe.options.patient.dead_interval_ms and not process.barred:
            self._resumed[process.boot] = process.clock

    def on_event(self, process: Process, event: Event) -> None:
        assert isinstance(event, ev.HoldersRead)
        resumed = self._resumed.get(process.boot)
        if resumed is not None and event.asked_at >= resumed:
            del self._resumed[process.boot]

    def on_decision(self, process: Process, effect: Effect) -> None:  # noqa: ARG002 - the base's signature
        if process.boot in self._resumed:
            self.broken(f"{process.name} asks for a move and has not looked since it slept")
