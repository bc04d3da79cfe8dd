"""What is taken is taken from the tenure that it was decided in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election.returns import LAG_MS
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from hafailover.emulator.values import Change
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe


class SameTenure(Invariant):
    """No move takes effect after the address has been elsewhere and has come back since it was asked for (SPEC S1).

    The cloud cannot tell a's second tenure from its first. Not judged where somebody has moved the address by hand,
    where a disk forgets, where readings are older than the rules assume, or where the cloud takes longer to end a
    task than they assume.
    """

    name = "same-tenure"
    effects = (fx.Move,)

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._tenure: dict[str, int] = {}
        self._asked: dict[tuple[str, str], int] = {}
        kinds = {wave.kind for wave in universe.options.waves}
        self._off = bool(kinds & {"console", "to-stranger", "kill-disk-lost", "kill-disk-old", "task-slow"})

    def on_effect(self, process: Process, effect: Effect) -> None:
        assert isinstance(effect, fx.Move)
        if max(self.universe.sky.stale_ms.values(), default=0) > LAG_MS:
            self._off = True
        self._asked[process.name, effect.resource.id] = self._tenure.get(effect.resource.id, 0)

    def on_change(self, change: Change) -> None:
        tenure = self._tenure.get(change.resource, 0)
        asked = self._asked.get((change.caller, change.resource))
        if change.before is not None and not self._off and asked is not None and asked != tenure:
            self.broken(
                f"{change.caller} took {change.resource} from {change.before}: asked {tenure - asked} tenures ago"
            )
        self._tenure[change.resource] = tenure + 1
