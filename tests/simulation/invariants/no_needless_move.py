"""While the master serves and is known to, nobody else claims."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.reasons import Reason
from hafailover.election.values import GuardVerdict, State
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from hafailover.election.events import AdvertReceived, Event
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe
    from tests.simulation.wire import Datagram

PLANNED = (Reason.HANDED_OVER, Reason.ADDRESS_LOST, Reason.HELD)


class NoNeedlessMove(Invariant):
    """While the master serves, and is heard by a node or seen by its guard, that node makes no unplanned claim (S2)."""

    name = "no-needless-move"
    effects = (fx.RoleChanged, fx.AskGuard)
    events = (ev.GuardAnswered,)

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._serving_heard: dict[tuple[int, str], int] = {}
        self._denied: dict[int, int] = {}

    def on_heard(self, process: Process, got: Datagram, event: AdvertReceived) -> None:
        if any(group.state.serves for group in event.advert.groups):
            self._serving_heard[process.boot, got.sender] = process.clock
        else:
            self._serving_heard.pop((process.boot, got.sender), None)

    def on_event(self, process: Process, event: Event) -> None:
        assert isinstance(event, ev.GuardAnswered)
        if event.verdict is GuardVerdict.DENY:
            self._denied[process.boot] = event.round_id

    def on_effect(self, process: Process, effect: Effect) -> None:
        if isinstance(effect, fx.AskGuard):
            if self._denied.get(process.boot) != effect.round_id:
                self._denied.pop(process.boot, None)
            return
        assert isinstance(effect, fx.RoleChanged)
        if effect.new is State.CLAIMING and effect.reason not in PLANNED:
            self._judge(process, effect)

    def _judge(self, process: Process, effect: fx.RoleChanged) -> None:
        universe = self.universe
        owners = {universe.by_eni.get(eni or "") for eni in universe.holder.values()}
        owner = next(iter(owners)) if len(owners) == 1 else None
        if owner is None or owner is process.host or not universe.answered() or owner.process is None:
            return
        name, group = owner.member.name, next(iter(owner.process.node.groups.values()))
        heard_at = self._serving_heard.get((process.boot, name))
        dead_ms = universe.options.timing.dead_interval_ms
        if group.state is State.MASTER and heard_at is not None and process.clock - heard_at < dead_ms:
            self.broken(f"{process.name} claims ({effect.reason.name}) and has heard {name} serve")
        if process.boot in self._denied:
            self.broken(f"{process.name} claims ({effect.reason.name}) though a guard has seen {name} answer")
