"""No ENI is left behind."""

from __future__ import annotations

from hafailover.election.values import ResourceKind
from tests.simulation.invariants.base import Invariant


class EniAttached(Invariant):
    """In the end every ENI is attached to a node's instance, whoever detached it and died (SPEC S1)."""

    name = "eni-attached"

    def at_end(self) -> None:
        universe = self.universe
        if universe.options.paused:
            return
        for name, resource in universe.resources.items():
            holder = universe.holder[name]
            if resource.kind is ResourceKind.ENI and holder not in universe.by_holder:
                self.broken(f"{name} is attached to {holder}")
