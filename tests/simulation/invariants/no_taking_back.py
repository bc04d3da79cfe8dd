"""Nodes that cannot hear each other do not steal from each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.emulator.values import Change
    from tests.simulation.universe import Universe

TURNS = 3  # there and back and there again


class NoTakingBack(Invariant):
    """Two running nodes that are cut off from each other do not take a served address back and forth (S3).

    Once back is allowed: a peer that was claiming when it fell silent may have died since, and its last call have
    landed later. Where a link comes and goes, the two hear each other in between, and each silence is a new fault.
    """

    name = "no-taking-back"

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._turns: dict[str, list[tuple[str | None, str | None]]] = {}
        self._since = 0
        self._flapping = any(wave.kind == "flapping" for wave in universe.options.waves)

    def on_strike(self, kind: str, *, over: bool) -> None:  # noqa: ARG002 - the base's signature
        self._since = self.universe.now
        self._turns.clear()

    def on_change(self, change: Change) -> None:
        turns = self._turns.setdefault(change.resource, [])
        if not self._robbed(change):
            turns.clear()
            return
        if turns and turns[-1] != (change.after, change.before):
            turns.clear()
        turns.append((change.before, change.after))
        if len(turns) >= TURNS:
            self.broken(f"{change.resource} has gone there, back and there again: {turns}")

    def _robbed(self, change: Change) -> bool:
        """Whether somebody took it from a node that serves and is not heard, decided since the last fault."""
        universe = self.universe
        one, other = universe.by_holder.get(change.before or ""), universe.by_holder.get(change.after or "")
        if one is None or other is None or self._flapping or change.accepted_ms <= self._since:
            return False
        names = (one.member.name, other.member.name)
        cut = not universe.network.passes(*names) and not universe.network.passes(*reversed(names))
        return cut and one.running and other.running and universe.serves(one, change.resource)
