"""Whom the broker does not see has nothing to say of others by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.values import GuardVerdict
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe


class BlindWitness(Invariant):
    """The guard "mqtt" allows nothing to a node of which the broker has taken no heartbeat since it was asked."""

    name = "blind-witness"
    effects = (fx.AskGuard,)
    events = (ev.GuardAnswered,)

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._asked_at: dict[tuple[int, int], int] = {}  # boot and round

    def on_effect(self, process: Process, effect: Effect) -> None:
        assert isinstance(effect, fx.AskGuard)
        if effect.guard == "mqtt":
            self._asked_at[process.boot, effect.round_id] = self.universe.now

    def on_event(self, process: Process, event: Event) -> None:
        assert isinstance(event, ev.GuardAnswered)
        if event.guard != "mqtt":
            return
        asked_at, broker = self._asked_at.pop((process.boot, event.round_id)), self.universe.broker
        assert broker is not None
        if event.verdict is GuardVerdict.ALLOW and broker.taken_at.get(process.boot, -1) < asked_at:
            self.broken(f"{process.name} accuses its master by a broker that has not seen it since it was asked")
