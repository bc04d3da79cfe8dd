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
    events = (ev.CheckChanged, ev.StopAsked, ev.DrainAsked, ev.PauseAsked, ev.ResumeAsked)

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._down: dict[int, bool] = {}
        self._stopping: set[int] = set()
        self._still: set[int] = set()  # boots that, paused, have become master of what they hold
        self._paused: dict[str, int | None] = {}  # node: until when, None for until it is told otherwise
        self._drained: dict[str, bool] = {}
        for host in universe.hosts.values():
            if host.process is not None:
                self.on_start(host.process)

    def on_event(self, process: Process, event: Event) -> None:
        if isinstance(event, ev.CheckChanged):
            self._down[process.boot] = event.state is not CheckState.UP
        elif isinstance(event, ev.DrainAsked):
            self._drained[process.name] = event.drained
        elif isinstance(event, ev.PauseAsked):
            self._paused[process.name] = None if event.for_ms is None else process.clock + event.for_ms
        elif isinstance(event, ev.ResumeAsked):
            self._paused.pop(process.name, None)
        else:
            self._stopping.add(process.boot)

    def on_start(self, process: Process) -> None:
        memory = process.host.memory
        self._drained[process.name] = memory.drained
        self._paused.pop(process.name, None)
        for group in memory.groups:
            if group.paused:
                self._paused[process.name] = group.paused_until

    def _is_paused(self, process: Process) -> bool:
        until = self._paused.get(process.name, 0)
        return until is None or until > process.clock

    def on_decision(self, process: Process, effect: Effect) -> None:
        if isinstance(effect, fx.Move):
            if process.boot in self._still and self._is_paused(process):
                self.broken(f"{process.name} moves {effect.resource.id} though paused")
            return
        assert isinstance(effect, fx.RoleChanged)
        paused = self._is_paused(process)
        self._still.discard(process.boot)
        if paused and effect.reason is Reason.HELD:
            self._still.add(process.boot)
        if effect.new is not State.CLAIMING or effect.reason is Reason.ADDRESS_LOST:
            return
        checked = self.universe.options.checked
        if checked and self._down.get(process.boot, True):
            self.broken(f"{process.name} claims at fault")
        if process.boot in self._stopping or self._drained.get(process.name):
            self.broken(f"{process.name} claims though drained or stopping")
        if paused and effect.reason not in (Reason.HANDED_OVER, Reason.HELD):
            self.broken(f"{process.name} claims though paused ({effect.reason.name})")
