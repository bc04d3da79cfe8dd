"""One path that works is enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election.reasons import Reason
from hafailover.election.values import State
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from tests.simulation.host import Host
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe

SILENCE = (Reason.MASTER_DEAD, Reason.MASTER_GONE, Reason.MASTER_ABSENT)
CALM_MS = 30_000  # the connections are back by then, and nothing is late any more


class BridgedCut(Invariant):
    """While the broker carries the adverts of a master that serves, no silence makes another claim, so none moves.

    Whatever befalls UDP: what the broker has truly brought is looked at, and not what became of it. Where it or a
    way to it is disturbed, or was lately, it carries nothing that could be relied upon.
    """

    name = "bridged-cut"
    decisions = (fx.RoleChanged,)

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._disturbed_at = -CALM_MS

    def on_strike(self, kind: str, *, over: bool) -> None:  # noqa: ARG002 - the base's signature
        if kind.startswith("broker-") or kind == "host-dark":
            self._disturbed_at = self.universe.now

    def on_decision(self, process: Process, effect: Effect) -> None:
        assert isinstance(effect, fx.RoleChanged)
        universe, broker = self.universe, self.universe.broker
        if broker is None or effect.new is not State.CLAIMING or effect.reason not in SILENCE:
            return
        calm = broker.calm and universe.now - self._disturbed_at >= CALM_MS
        owners = {universe.by_holder.get(holder or "") for holder in universe.holder.values()}
        owner = next(iter(owners)) if len(owners) == 1 else None
        if not calm or owner is None or owner is process.host or not universe.answered():
            return
        if self._carried(process, owner):
            name = owner.member.name
            self.broken(f"{process.name} claims ({effect.reason.name}) while the broker brings what {name} says")

    def _carried(self, process: Process, owner: Host) -> bool:
        """Whether the broker has just brought a word of this master, made when it had been one for a while."""
        universe, broker, master = self.universe, self.universe.broker, owner.process
        if master is None or broker is None or not broker.way(owner) or not broker.way(process.host):
            return False
        if process.is_about_to_hear(master.name):
            return False
        group = next(iter(master.node.groups.values()))
        settled = master.clock - group.since >= universe.options.patient.dead_interval_ms
        if group.state is not State.MASTER or not settled:
            return False
        # Half of it: so long may another daemon of that name hide this one.
        word = broker.brought.get((process.boot, master.name))
        recent = word is not None and universe.now - word.made_at < universe.options.hasty.dead_interval_ms // 2
        return word is not None and word.boot == master.boot and recent
