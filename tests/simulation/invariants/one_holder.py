"""The cloud never has two holders of an address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.emulator.network import IpState
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.emulator.values import Change


class OneHolder(Invariant):
    """At no moment do two ENIs have one address (SPEC S1; this watches the emulator)."""

    name = "one-holder"

    def on_change(self, change: Change) -> None:
        carriers = self.universe.cloud.network.carriers(change.resource)
        resting = [eni.id for eni, ip in carriers if ip.state is not IpState.PENDING]
        if len(resting) > 1:
            self.broken(f"{change.resource} is on {resting}")
