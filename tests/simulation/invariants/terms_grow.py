"""A node's terms never fall."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election.values import State
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe


class TermsGrow(Invariant):
    """Each claim of a node has a higher term than all its claims before, also after a restart with its disk."""

    name = "terms-grow"
    effects = (fx.RoleChanged,)

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._highest: dict[str, int] = {}
        kinds = {wave.kind for wave in universe.options.waves}
        self._forgetful = bool(kinds & {"kill-disk-lost", "kill-disk-old"})

    def on_effect(self, process: Process, effect: Effect) -> None:
        assert isinstance(effect, fx.RoleChanged)
        if effect.new is not State.CLAIMING or self._forgetful:
            return
        if effect.term <= self._highest.get(process.name, 0):
            self.broken(f"{process.name} claims under {effect.term} after {self._highest[process.name]}")
        self._highest[process.name] = effect.term
