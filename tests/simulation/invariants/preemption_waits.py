"""Nobody is displaced by rank before its time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.reasons import Reason
from hafailover.election.values import State
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe


class PreemptionWaits(Invariant):
    """No pre-emption where it is off, nor before a better node has been ready for the whole delay (S9)."""

    name = "preemption-waits"
    decisions = (fx.RoleChanged,)
    events = (ev.AdvertReceived,)

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._ready: dict[int, set[str]] = {}
        self._since: dict[int, int] = {}  # since when somebody has been ready
        self._master_since: dict[int, int] = {}

    def on_event(self, process: Process, event: Event) -> None:
        assert isinstance(event, ev.AdvertReceived)
        ready = self._ready.setdefault(process.boot, set())
        if not ready:
            self._since[process.boot] = process.clock
        if any(group.eligible for group in event.advert.groups):
            ready.add(event.advert.node)
        else:
            ready.discard(event.advert.node)

    def on_decision(self, process: Process, effect: Effect) -> None:
        assert isinstance(effect, fx.RoleChanged)
        if effect.new is State.MASTER:
            self._master_since[process.boot] = process.clock
        if effect.reason is not Reason.PREEMPTED:
            return
        options = self.universe.options
        if not options.preempt:
            self.broken(f"{process.name} gives way to rank")
        delay_ms = options.preempt_delay_ms
        since = process.clock
        if self._ready.get(process.boot):
            since = max(self._master_since.get(process.boot, 0), self._since[process.boot])
        if process.clock - since < delay_ms:
            self.broken(f"{process.name} gives way to rank after {process.clock - since} ms of {delay_ms}")
