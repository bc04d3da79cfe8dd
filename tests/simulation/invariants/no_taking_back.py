"""Nodes that cannot hear each other do not steal from each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.emulator.values import Change
    from tests.simulation.universe import Universe


class NoTakingBack(Invariant):
    """While two running nodes are cut off from each other, a served address does not go there and back (S3)."""

    name = "no-taking-back"

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._last: dict[str, tuple[str | None, str | None]] = {}

        self._since = 0
        # Where a link comes and goes, the two hear each other in between, and each silence is one more fault.
        self._flapping = any(wave.kind == "flapping" for wave in universe.options.waves)

    def on_strike(self, kind: str, *, over: bool) -> None:
        self._since = self.universe.now
        self._last.clear()

    def on_change(self, change: Change) -> None:
        universe, resource = self.universe, change.resource
        if change.caller == "console" or change.after is None:
            self._last.pop(resource, None)
            return
        before = change.before
        one, other = universe.by_eni.get(before or ""), universe.by_eni.get(change.after)
        if one is None or other is None or not (one.running and other.running):
            return
        names = (one.member.name, other.member.name)
        served = universe.serves(one, resource)  # where nobody answers any more, a guard may have seen that
        cut = served and not universe.network.passes(*names) and not universe.network.passes(*reversed(names))
        if cut and not self._flapping and self._last.get(resource) == (change.after, before):
            self.broken(f"{names[1]} takes {resource} back from {names[0]}, which lives and is not heard")
        if change.accepted_ms > self._since:  # what was on its way when the link was cut does not count
            self._last[resource] = (before, change.after)
