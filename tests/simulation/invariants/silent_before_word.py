"""The address has left the guest before others are told so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election.values import State
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe


class SilentBeforeWord(Invariant):
    """A node that was master tells of its stepping down only when its guest answers no more (S8).

    What a slow guest puts there after it was told to take it off goes at once; how long it is there, the bound of
    double answers says.
    """

    name = "silent-before-word"
    effects = (fx.SendAdverts,)

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._told: dict[int, State] = {}

    def on_effect(self, process: Process, effect: Effect) -> None:
        assert isinstance(effect, fx.SendAdverts)
        state, before = effect.advert.groups[0].state, self._told.get(process.boot, State.INIT)
        self._told[process.boot] = state
        if before.serves and state is State.BACKUP and process.host.guest - process.host.late:
            self.broken(f"{process.name} says that it is not master and carries {sorted(process.host.guest)}")
