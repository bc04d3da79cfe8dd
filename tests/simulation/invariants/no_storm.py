"""Faults cause few moves, and none follows from nothing."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.emulator.values import Change
    from tests.simulation.universe import Universe

SETTLED_MS = 60_000  # after the last change of conditions


class NoStorm(Invariant):
    """While the conditions stay as they are, an address moves twice at most, however long they last (SPEC S3).

    Twice: once because of what has changed, once because of what that has brought to light.
    """

    name = "no-storm"
    allowed = 2

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._moves: dict[str, deque[int]] = {}

    def on_strike(self, kind: str, *, over: bool) -> None:
        self._moves.clear()

    def on_change(self, change: Change) -> None:
        if change.caller == "console" or change.after is None or self._noisy():
            return
        moves = self._moves.setdefault(change.resource, deque())
        moves.append(change.at_ms)
        if len(moves) > self.allowed:
            self.broken(f"{change.resource} has moved at {list(moves)} and nothing else has changed")

    def _noisy(self) -> bool:
        """Whether the conditions themselves change all the time: each lost heartbeat is a fault of its own."""
        network = self.universe.network
        if network.loss or network.delay_ms or network.spike:
            return True
        return any(wave.kind == "flapping" for wave in self.universe.options.waves)
