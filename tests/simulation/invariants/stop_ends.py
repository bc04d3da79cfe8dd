"""A stop ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election import events as ev
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe

STOP_MS = (
    15_000 + 1_000
)  # node.STOP_MS, and a second for the disk and the guest; a strict hand-over's hook comes on top


class StopEnds(Invariant):
    """A daemon that is asked to stop leaves within STOP_MS, with nothing on its guest (S14)."""

    name = "stop-ends"
    effects = (fx.Leave,)
    events = (ev.StopAsked,)

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._asked: dict[int, tuple[int, bool]] = {}
        self._froze: set[int] = set()

    def on_event(self, process: Process, event: Event) -> None:
        assert isinstance(event, ev.StopAsked)
        since, _ = self._asked.get(process.boot, (process.clock, False))
        self._asked[process.boot] = (since, event.restarting)  # the last word counts, the first time

    def on_resume(self, process: Process) -> None:
        self._froze.add(process.boot)

    def on_handled(self, process: Process, event: Event, effects: tuple[Effect, ...]) -> None:  # noqa: ARG002 - the base's signature
        asked = self._asked.get(process.boot)
        limit_ms = STOP_MS + max(group.quieting_ms for group in process.node.groups.values())
        if asked is not None and process.boot not in self._froze and process.clock > asked[0] + limit_ms:
            self.broken(f"{process.name} was asked to stop {process.clock - asked[0]} ms ago")

    def on_effect(self, process: Process, effect: Effect) -> None:  # noqa: ARG002 - the base's signature
        asked = self._asked.get(process.boot)
        if asked is None:
            self.broken(f"{process.name} leaves without having been asked to")
        if not asked[1] and process.host.guest - process.host.late:
            self.broken(f"{process.name} leaves with {sorted(process.host.guest)} on its guest")
