"""What a node does, the models allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.model.bridge import Bridge
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe


class ModelAllows(Invariant):
    """Each call of the core is a step that the formal models allow, as far as one node's view tells."""

    name = "model-allows"

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self.bridge = Bridge()

    def on_turn(self, process: Process, event: Event, effects: tuple[Effect, ...]) -> None:
        try:
            # The core's clock never goes back, whatever it is given.
            self.bridge.observe(process.name, process.node.context.now, event, effects, process.node)
        except AssertionError as error:
            self.broken(str(error))
