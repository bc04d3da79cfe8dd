"""Every change of role has one reason, and the table of roles admits it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election.values import State
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe

ADMITTED = {
    State.INIT: {State.BACKUP, State.MASTER, State.FAULT},
    State.BACKUP: {State.CLAIMING, State.FAULT},
    State.CLAIMING: {State.MASTER, State.BACKUP},
    State.MASTER: {State.RELEASING, State.BACKUP, State.FAULT, State.CLAIMING},
    State.RELEASING: {State.MASTER, State.BACKUP, State.FAULT, State.CLAIMING},
    State.FAULT: {State.BACKUP},
}


class OneReason(Invariant):
    """Roles change step by step, as the table admits, each step told once (S13)."""

    name = "one-reason"
    decisions = (fx.RoleChanged,)

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._told: dict[int, State] = {}

    def on_decision(self, process: Process, effect: Effect) -> None:
        assert isinstance(effect, fx.RoleChanged)
        before = self._told.get(process.boot, State.INIT)
        if effect.old is not before or effect.new not in ADMITTED[effect.old]:
            self.broken(f"{process.name} was {before.value} and tells {effect.old.value} -> {effect.new.value}")
        self._told[process.boot] = effect.new
