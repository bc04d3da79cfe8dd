"""One reading alone deposes nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.reasons import Reason
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe


class TwoReadings(Invariant):
    """A master steps down on the cloud's word only when two readings in a row have named another (S5)."""

    name = "two-readings"
    decisions = (fx.RoleChanged,)
    events = (ev.HoldersRead,)

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._against: dict[int, int] = {}

    def on_event(self, process: Process, event: Event) -> None:
        assert isinstance(event, ev.HoldersRead)
        member = process.host.member
        elsewhere = any(each.settled and each.holder != member.holder_id(each.resource) for each in event.sightings)
        self._against[process.boot] = self._against.get(process.boot, 0) + 1 if elsewhere else 0

    def on_decision(self, process: Process, effect: Effect) -> None:
        assert isinstance(effect, fx.RoleChanged)
        if effect.reason is Reason.DEPOSED_BY_CLOUD and self._against.get(process.boot, 0) < 2:
            self.broken(f"{process.name} steps down after {self._against.get(process.boot, 0)} readings")
