"""What a life has reached and how long things took in it: for the figures, it judges nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.values import State
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from hafailover.election.reasons import Reason
    from hafailover.emulator.values import Change
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe

TELLING = (fx.RoleChanged, fx.Refrained, fx.Answer)


class Survey(Invariant):
    """Looks at everything and says nothing."""

    name = "survey"

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self.reasons: set[str] = set()
        self.failovers: list[tuple[str, int]] = []  # (reason, from the last sign of life to the cloud's "done")
        self.vacant: list[tuple[int, int]] = []  # when nobody had an address
        self._last: dict[int, tuple[State, Reason | None]] = {}
        self._pairs: set[tuple[int, type]] = set()
        self._vacant_since: dict[str, int] = {}

    @property
    def pairs(self) -> set[tuple[str, str]]:
        """The pairs of state and event in which the core was called."""
        names = {id(state): state.value for state in State}
        return {(names[state], event.__name__) for state, event in self._pairs}

    def on_turn(self, process: Process, event: Event, effects: tuple[Effect, ...]) -> None:
        state, reason = self._last.get(process.boot, (State.INIT, None))
        self._pairs.add((id(state), type(event)))  # an enum's hash is slow, and there are many events
        if not effects and type(event) is ev.AdvertReceived:
            return  # most are
        group = next(iter(process.node.groups.values()))
        if group.state is not state or group.verdict_reason is not reason:
            self._last[process.boot] = (group.state, group.verdict_reason)
            self.reasons.add(group.verdict_reason.name)
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
