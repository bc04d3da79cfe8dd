"""No applied move was decided in a world that is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from hafailover.emulator.values import Change
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe


class NoStaleSteal(Invariant):
    """An address is taken only from the holder that the mover has named, or from nobody (SPEC S1)."""

    name = "no-stale-steal"
    decisions = (fx.Move,)

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._named: dict[tuple[str, str], set[str | None]] = {}

    def on_decision(self, process: Process, effect: Effect) -> None:
        assert isinstance(effect, fx.Move)
        self._named.setdefault((process.name, effect.resource.id), set()).add(effect.expected)

    def on_change(self, change: Change) -> None:
        if change.before is None or change.caller == "console":
            return
        if change.before not in self._named.get((change.caller, change.resource), ()):
            self.broken(f"{change.caller} took {change.resource} from {change.before}, which it has never named")
