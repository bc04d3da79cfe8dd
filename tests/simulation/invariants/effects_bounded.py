"""Nothing that a daemon does is without bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe

MOST_EFFECTS = 24  # of one event, for one group
MOST_CALLS = 24  # requests to the cloud that one daemon begins within a second for one or two resources
MOST_CALLS_EACH = 12  # for each where there are more: the first waits of a failing move are short
CALLS = (fx.Move, fx.ReadHolders)
MOST_TURNS = 1_500  # events within a second, whatever the peers send and a full socket holds


class EffectsBounded(Invariant):
    """One event causes few effects, and one second few requests and few turns of one daemon (S12)."""

    name = "effects-bounded"

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._most_calls = max(MOST_CALLS, MOST_CALLS_EACH * len(universe.resources))
        self._second: dict[int, tuple[int, int, int]] = {}

    def on_handled(self, process: Process, event: Event, effects: tuple[Effect, ...]) -> None:
        if len(effects) > MOST_EFFECTS:
            self.broken(f"{type(event).__name__} causes {len(effects)} effects")
        second = self.universe.now // 1_000
        since, before, calls = self._second.get(process.boot, (second, process.turns, 0))
        if since != second:
            before, calls = process.turns, 0
        calls += sum(type(each) in CALLS for each in effects)
        self._second[process.boot] = (second, before, calls)
        turns = process.turns - before
        if turns > MOST_TURNS or calls > self._most_calls:
            self.broken(f"{process.name} has begun {calls} requests in {turns} turns within a second")
