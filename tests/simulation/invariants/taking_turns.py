"""The better candidate goes first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election.reasons import Reason
from hafailover.election.values import State
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from tests.simulation.process import Process

UNPLANNED = (Reason.MASTER_DEAD, Reason.MASTER_GONE, Reason.MASTER_ABSENT, Reason.MASTER_FAULT)


class TakingTurns(Invariant):
    """Who hears a better candidate that is ready gives it a dead interval, and does not claim beside it."""

    name = "taking-turns"
    decisions = (fx.RoleChanged,)

    def on_decision(self, process: Process, effect: Effect) -> None:
        assert isinstance(effect, fx.RoleChanged)
        if effect.new is not State.CLAIMING or effect.reason not in UNPLANNED:
            return
        dead_ms = self.universe.options.hasty.dead_interval_ms
        group = process.node.groups[effect.group]
        absent_ms = process.clock - (group.absent_since or process.clock)
        me, before_me = process.host.member, 0
        for name, heard in process.heard.items():
            said, sure = heard.advert.groups[0], heard.confirmed and not heard.advert.drained
            if not (said.eligible and sure and process.clock - heard.at < dead_ms // 2):
                continue
            if said.state is State.CLAIMING:
                self.broken(f"{process.name} claims ({effect.reason.name}) beside {name}")
            member = self.universe.hosts[name].member
            before_me += (-said.priority, member.order) < (-group.priority, me.order)
        if absent_ms < before_me * dead_ms:
            self.broken(f"{process.name} claims after {absent_ms} ms with {before_me} before it")
