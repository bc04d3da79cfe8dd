"""What a life has reached and how long things took in it: for the figures, it judges nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.values import State
from tests.simulation.invariants.base import Invariant
from tests.simulation.options import GROUP

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from hafailover.emulator.values import Change
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe

TELLING = (fx.RoleChanged, fx.Refrained, fx.Answer)


class Survey(Invariant):
    """Looks at everything and says nothing."""

    name = "survey"

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self.pairs: set[tuple[str, str]] = set()  # (state, event) in which the core was called
        self.reasons: set[str] = set()
        self.failovers: list[tuple[str, int]] = []  # (reason, from the last sign of life to the cloud's "done")
        self.vacant: list[tuple[int, int]] = []  # when nobody had an address
        self._states: dict[int, str] = {}
        self._vacant_since: dict[str, int] = {}

    def on_turn(self, process: Process, event: Event, effects: tuple[Effect, ...]) -> None:
        before = self._states.get(process.boot, State.INIT.value)
        self.pairs.add((before, type(event).__name__))
        if not effects and type(event) is ev.AdvertReceived:
            return  # most are
        group = process.node.groups[GROUP]
        self.reasons.add(group.verdict_reason.name)
        self._states[process.boot] = group.state.value
        for effect in effects:
            if isinstance(effect, TELLING):
                self.reasons.add(effect.reason.name)
            elif isinstance(effect, fx.FailoverFinished):
                phases_ms = effect.detect_ms + effect.guard_ms + effect.guest_ms + effect.fence_ms + effect.cloud_ms
                self.failovers.append((effect.reason.name, phases_ms))

    def on_change(self, change: Change) -> None:
        since = self._vacant_since.pop(change.resource, None)
        if since is not None and change.at_ms > since:
            self.vacant.append((since, change.at_ms))
        if change.after is None:
            self._vacant_since[change.resource] = change.at_ms
