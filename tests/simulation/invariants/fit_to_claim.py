"""Who is not fit claims nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.reasons import Reason
from hafailover.election.values import CheckState, State
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe


class FitToClaim(Invariant):
    """A node that is at fault, drained, stopping or, unless it is asked to, paused begins no claim (S7).

    Paused, the holder of everything may become master again, since that moves nothing: then it must not.
    """

    name = "fit-to-claim"
    decisions = (fx.RoleChanged, fx.Move)
    events = (ev.CheckChanged, ev.StopAsked, ev.DrainAsked)

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._down: dict[int, bool] = {}
        self._stopping: set[int] = set()
        self._began: dict[int, Reason] = {}
        self._drained: dict[str, bool] = {}

    def on_event(self, process: Process, event: Event) -> None:
        if isinstance(event, ev.CheckChanged):
            self._down[process.boot] = event.state is not CheckState.UP
        elif isinstance(event, ev.DrainAsked):
            self._drained[process.name] = event.drained
        else:
            self._stopping.add(process.boot)

    def on_start(self, process: Process) -> None:
        self._drained[process.name] = process.host.memory.drained

    def on_decision(self, process: Process, effect: Effect) -> None:
        if isinstance(effect, fx.Move):
            if self.universe.options.paused and self._began.get(process.boot) is Reason.HELD:
                self.broken(f"{process.name} moves {effect.resource.id} though paused")
            return
        assert isinstance(effect, fx.RoleChanged)
        self._began[process.boot] = effect.reason
        if effect.new is not State.CLAIMING or effect.reason is Reason.ADDRESS_LOST:
            return
        checked = self.universe.options.checked
        if checked and self._down.get(process.boot, True):
            self.broken(f"{process.name} claims at fault")
        if process.boot in self._stopping or self._drained.get(process.name):
            self.broken(f"{process.name} claims though drained or stopping")
        if self.universe.options.paused and effect.reason not in (Reason.HANDED_OVER, Reason.HELD):
            self.broken(f"{process.name} claims though paused ({effect.reason.name})")
