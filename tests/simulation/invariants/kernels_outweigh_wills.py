"""Where a host's own kernel says that it lives, a will that comes late ends no patience with its daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election.reasons import Reason
from hafailover.election.values import GuardVerdict, State
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from tests.simulation.process import Process


class KernelsOutweighWills(Invariant):
    """No claim from a daemon that is gone, within its grace, has the guard "mqtt" alone for it."""

    name = "kernels-outweigh-wills"
    decisions = (fx.RoleChanged,)

    def on_decision(self, process: Process, effect: Effect) -> None:
        assert isinstance(effect, fx.RoleChanged)
        if effect.new is not State.CLAIMING or effect.reason is not Reason.MASTER_GONE:
            return
        claim = process.node.groups[effect.group].claim
        if claim is None:
            return
        seen = claim.cause.evidence
        allowing = {guard for guard, verdict in seen.guards if verdict is GuardVerdict.ALLOW}
        grace_ms = self.universe.options.hasty.restart_grace_ms
        if allowing == {"mqtt"} and seen.silence_ms is not None and seen.silence_ms < grace_ms:
            silence = f"after {seen.silence_ms} ms of its silence"
            self.broken(
                f"{process.name} claims by the broker's word alone from a host whose kernel answers, {silence}"
            )
