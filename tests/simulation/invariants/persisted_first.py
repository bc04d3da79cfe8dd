"""A term is on disk before it is on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election.values import State
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from tests.simulation.process import Process


class PersistedFirst(Invariant):
    """Neither an advert of a claim nor a move leaves before the claim's term is on disk."""

    name = "persisted-first"
    effects = (fx.SendAdverts, fx.Move)

    def on_effect(self, process: Process, effect: Effect) -> None:
        if isinstance(effect, fx.SendAdverts):
            group = effect.advert.groups[0]
            if group.state is not State.CLAIMING:
                return
            term = group.term
        else:
            assert isinstance(effect, fx.Move)
            term = process.node.groups[effect.group].term
        stored = max((group.term for group in process.host.memory.groups), default=0)
        if stored < term:
            self.broken(f"{process.name} goes out with term {term} and has {stored} on disk")
