"""What a node has whose file has no such group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election.values import Leaving, State
from tests.simulation.invariants.base import Invariant, whole

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from tests.simulation.process import Process


class UnawareKeep(Invariant):
    """Nobody claims what, by its reading, a node has that is heard and does not speak of the group.

    One that has said goodbye is heard no longer.
    """

    name = "unaware-keep"
    decisions = (fx.RoleChanged,)

    def on_decision(self, process: Process, effect: Effect) -> None:
        assert isinstance(effect, fx.RoleChanged)
        if effect.new is not State.CLAIMING:
            return
        dead_ms = self.universe.options.hasty.dead_interval_ms
        for resource in process.node.groups[effect.group].policy.resources:
            seen = process.node.context.holders.sighting(resource)
            owner = None if seen is None else self.universe.by_holder.get(seen.holder or "")
            heard = None if owner is None else whole(process).heard.get(owner.member.name)
            if heard is None or not heard.confirmed or process.clock - heard.at >= dead_ms // 2:
                continue
            if heard.advert.leaving is Leaving.STOPPING:
                continue
            if all(group.group != effect.group for group in heard.advert.groups):
                self.broken(f"{process.name} claims {effect.group}, of which {heard.advert.node} knows nothing")
