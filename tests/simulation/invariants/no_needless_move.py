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
    from hafailover.election.events import Event
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe

# Those that a master's own word justifies, and not its silence.
PLANNED = (Reason.HANDED_OVER, Reason.ADDRESS_LOST, Reason.HELD, Reason.MASTER_FAULT)


class NoNeedlessMove(Invariant):
    """A node that hears the master serve, or whose guard sees it answer, makes no unplanned claim (S2)."""

    name = "no-needless-move"
    decisions = (fx.RoleChanged, fx.AskGuard)
    events = (ev.GuardAnswered,)

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._denied: dict[int, tuple[int, dict[str, str | None]]] = {}

    def on_event(self, process: Process, event: Event) -> None:
        assert isinstance(event, ev.GuardAnswered)
        if event.verdict is GuardVerdict.DENY:
            self._denied[process.boot] = (event.round_id, dict(self.universe.holder))

    def on_decision(self, process: Process, effect: Effect) -> None:
        if isinstance(effect, fx.AskGuard):
            if self._denied.get(process.boot, (0, {}))[0] != effect.round_id:
                self._denied.pop(process.boot, None)
            return
        assert isinstance(effect, fx.RoleChanged)
        if effect.new is State.CLAIMING and effect.reason not in PLANNED:
            self._judge(process, effect)

    def _judge(self, process: Process, effect: fx.RoleChanged) -> None:
        universe = self.universe
        owners = {universe.by_holder.get(eni or "") for eni in universe.holder.values()}
        owner = next(iter(owners)) if len(owners) == 1 else None
        if owner is None or owner is process.host or not universe.answered() or owner.process is None:
            return
        name, group = owner.member.name, next(iter(owner.process.node.groups.values()))
        heard = process.heard.get(name)
        dead_ms = universe.options.hasty.dead_interval_ms
        recently = heard is not None and process.clock - heard.at < dead_ms
        if group.state is State.MASTER and heard is not None and recently and heard.advert.groups[0].state.serves:
            self.broken(f"{process.name} claims ({effect.reason.name}) and has heard {name} serve")
        seen = self._denied.get(process.boot, (0, None))[1]
        settled_ms = universe.options.patient.dead_interval_ms
        settled = group.state.serves and owner.process.clock - group.since >= settled_ms
        if settled and seen == universe.holder and self._knows(process):
            self.broken(f"{process.name} claims ({effect.reason.name}) though a guard has seen {name} answer")

    def _knows(self, process: Process) -> bool:
        """Whether its last reading is still true: a claim on an older one can only be refused by the cloud."""
        holders = process.node.context.holders
        seen = (holders.sighting(resource) for resource in self.universe.options.resources)
        return all(each is not None and each.holder == self.universe.holder[each.resource.id] for each in seen)
