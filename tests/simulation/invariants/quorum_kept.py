"""A minority takes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election.reasons import Reason
from hafailover.election.values import State
from tests.simulation.invariants.base import Invariant, whole

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from tests.simulation.process import Process

DEAD = (Reason.MASTER_DEAD, Reason.MASTER_GONE)


class QuorumKept(Invariant):
    """With the guard "quorum" nobody takes an address from a silent master unless it hears most of the nodes.

    Itself and the witnesses count; heard is who was heard within the dead interval. What nobody has, by the node's
    last reading, is taken from nobody; and who is heard to be no master gives it by its own word.
    """

    name = "quorum-kept"
    decisions = (fx.RoleChanged,)

    def on_decision(self, process: Process, effect: Effect) -> None:
        assert isinstance(effect, fx.RoleChanged)
        options = self.universe.options
        if "quorum" not in options.guards or effect.new is not State.CLAIMING or effect.reason not in DEAD:
            return
        dead_ms = options.patient.dead_interval_ms
        seen = [process.node.context.holders.sighting(resource) for resource in options.resources]
        if all(each is not None and self._given(process, each.holder) for each in seen):
            return
        heard = 1 + sum(process.clock - each.at < dead_ms for each in whole(process).heard.values())
        if 2 * heard <= process.node.context.size:
            self.broken(f"{process.name} claims ({effect.reason.name}) and hears {heard - 1} others")

    def _given(self, process: Process, holder: str | None) -> bool:
        owner = None if holder is None else self.universe.by_holder.get(holder)
        if holder is None or owner is process.host:
            return True
        heard = None if owner is None else process.heard.get(owner.member.name)
        if heard is None or process.clock - heard.at >= self.universe.options.patient.dead_interval_ms:
            return False
        return heard.sure is not None and not heard.sure.groups[0].state.serves
