"""An EIP stays with its address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.ground import eips_of
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.emulator.values import Change
    from tests.simulation.universe import Universe


class EipKept(Invariant):
    """An EIP is bound to the address that it belongs to and to no other, in the end too, however that has moved.

    When it must be bound again after the faults have healed is part of what "recovers" says.
    """

    name = "eip-kept"

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._own = eips_of(universe.options)

    def on_eip(self, change: Change) -> None:
        own = self._own[change.resource]
        if change.after not in (None, own):
            self.broken(f"{change.caller} has bound {change.resource} to {change.after}, and {own} is its address")

    def at_end(self) -> None:
        universe = self.universe
        if universe.loose_eips and not universe.options.paused:
            self.broken(f"{universe.loose_eips} are bound to nothing")
