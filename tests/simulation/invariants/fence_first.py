"""With a fence nothing moves before the old master is off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election.reasons import Reason
from hafailover.election.values import Handover, State
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe


class FenceFirst(Invariant):
    """Where a group asks for a fence, an unplanned claim moves nothing off an instance that has not been stopped.

    "Stopped" means: off at some moment since the claim began, whoever has started it again since. A holder that
    itself says that it is at fault, its hook ended as strict hand-overs have it, needs no fence.
    """

    name = "fence-first"
    decisions = (fx.RoleChanged, fx.Move)

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._claims: dict[int, tuple[int, Reason]] = {}  # boot: since when, and why, it claims

    def on_decision(self, process: Process, effect: Effect) -> None:
        if not self.universe.options.fence:
            return
        if isinstance(effect, fx.RoleChanged):
            if effect.new is State.CLAIMING:
                self._claims[process.boot] = (self.universe.now, effect.reason)
            return
        assert isinstance(effect, fx.Move)
        began, reason = self._claims[process.boot]
        holder = self.universe.by_holder.get(effect.expected or "")
        if (
            reason is Reason.HANDED_OVER
            or holder is None
            or holder is process.host
            or self._out(process, holder.member.name)
        ):
            return
        if holder.powered and holder.on_since < began:
            self.broken(
                f"{process.name} ({reason.name}) moves {effect.resource.id} off {holder.member.name}, which runs"
            )

    def _out(self, process: Process, name: str) -> bool:
        heard = process.heard.get(name)
        fault = heard is not None and heard.sure is not None and heard.sure.groups[0].state is State.FAULT
        return fault and self.universe.options.handover is Handover.STRICT
