"""A target without room is not asked again and again."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from hafailover.election import events as ev
from hafailover.election.values import Refusal
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.election.events import Event
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe

WINDOW_MS = 60_000
MOST = 40  # with the core's waits, which grow to 5 s and of which half is drawn, about 30 fit into a window


class QuotaPatience(Invariant):
    """Within a minute a daemon is refused a resource for want of room 40 times at most, however long that lasts."""

    name = "quota-patience"
    events = (ev.MoveFinished,)

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._refused: dict[tuple[int, str], deque[int]] = {}

    def on_event(self, process: Process, event: Event) -> None:
        assert isinstance(event, ev.MoveFinished)
        if event.result.refusal is not Refusal.QUOTA:
            return
        refused = self._refused.setdefault((process.boot, event.resource.id), deque())
        refused.append(process.clock)
        while refused[0] < process.clock - WINDOW_MS:
            refused.popleft()
        if len(refused) > MOST:
            self.broken(f"{process.name} was refused {event.resource.id} {len(refused)} times within a minute")
