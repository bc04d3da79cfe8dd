"""Faults cause few moves, and none follows from nothing."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from tests.simulation.invariants.base import Invariant
from tests.simulation.plugs import PLUG_DEADLINE_MS

if TYPE_CHECKING:
    from hafailover.emulator.values import Change
    from tests.simulation.universe import Universe


REACTION_MS = 10_000
EACH = 100  # per cent


class NoStorm(Invariant):
    """While the conditions stay as they are, an address moves twice at most, however long they last (SPEC S3).

    Twice: once because of what has changed, once because of what that has brought to light. Rank may bring it home
    in the end. While some of the writes fail by chance, a claim that has bad luck draws in another, which may have
    got a part before one of both takes it all. An address that is released and taken back by the same node has not
    moved, and the moves of the first seconds count as one: several nodes may act on the same news at once.
    """

    name = "no-storm"

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self.allowed = 3 if universe.options.preempt else 2
        self._since = 0
        self._first = dict(universe.holder)
        self._at: dict[str, str] = {}
        self._moves: dict[str, deque[int]] = {}

    def on_strike(self, kind: str, *, over: bool) -> None:  # noqa: ARG002 - the base's signature
        self._since = self.universe.now
        self._moves.clear()

    def on_change(self, change: Change) -> None:
        if change.after is None:
            return
        before = self._at.get(change.resource, self._first[change.resource])
        self._at[change.resource] = change.after
        if change.caller == "console" or change.after == before or self._noisy():
            return
        moves = self._moves.setdefault(change.resource, deque())
        if moves and moves[-1] - self._since < REACTION_MS:
            moves.pop()
        moves.append(change.at_ms)
        chancy = any(0 < share < EACH for share in self.universe.sky.write_faults.values())
        if len(moves) > self.allowed + chancy:
            self.broken(f"{change.resource} has moved at {list(moves)} and nothing else has changed")

    def _noisy(self) -> bool:
        """Whether the conditions themselves change all the time: each lost heartbeat is a fault of its own."""
        universe, network = self.universe, self.universe.network
        if network.loss or network.delay_ms or network.spike:
            return True
        if universe.plugs.late_ms + universe.options.plug_ms >= PLUG_DEADLINE_MS:
            return True  # no guest gets its link in time
        return any(wave.kind == "flapping" for wave in self.universe.options.waves)
