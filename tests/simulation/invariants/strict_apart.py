"""A strict hand-over: one has stopped before the other begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election.reasons import Reason
from hafailover.election.values import Handover, State
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from hafailover.election.values import GroupName
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe


class StrictApart(Invariant):
    """With a strict hand-over nobody claims what is handed over before its giver is off the guest, its hook ended.

    Judged at the successor's claim, for that is when it may begin to answer. A giver whose daemon has started anew
    since it made its offer goes on with what is on its guest, and is not judged.
    """

    name = "strict-apart"
    decisions = (fx.RoleChanged,)

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._strict = universe.options.handover is Handover.STRICT
        self._giving: dict[str, int] = {}  # node: the boot that last began to hand over

    def on_decision(self, process: Process, effect: Effect) -> None:
        assert isinstance(effect, fx.RoleChanged)
        if not self._strict:
            return
        if effect.new is State.RELEASING:
            self._giving[process.name] = process.boot
        if effect.new is State.CLAIMING and effect.reason is Reason.HANDED_OVER:
            self._judge(process, effect.group)

    def _judge(self, process: Process, group: GroupName) -> None:
        for name, boot in self._giving.items():
            host = self.universe.hosts[name]
            offers = process.heard.get(name)
            said = None if offers is None else offers.advert.groups[0]
            if (
                host.process is None
                or host.process.boot != boot
                or said is None
                or said.state is not State.RELEASING
            ):
                continue
            if said.successor != process.name:
                continue
            if host.guest - host.late:
                self.broken(f"{process.name} claims what {name} hands over and still carries: {sorted(host.guest)}")
            if host.hooks_until.get(group, 0) > self.universe.now:
                self.broken(f"{process.name} claims what {name} hands over, whose hook has not ended")
