"""Nothing is taken from a machine that is no node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.emulator.values import Change


class StrangersKeep(Invariant):
    """What somebody else's ENI or instance has, no daemon takes from it: the file may name the wrong thing."""

    name = "strangers-keep"

    def on_change(self, change: Change) -> None:
        if change.caller != "console" and self.universe.is_stranger(change.before):
            self.broken(f"{change.caller} has taken {change.resource} from {change.before}, which is no node")
