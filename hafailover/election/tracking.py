"""From checks to fitness: a failing check puts the group at fault, or lowers its priority.

As in keepalived, weight 0 means that a failure is FAULT; any other weight is added to the priority while the check
is up if positive, and while it is down if negative (keepalived.conf(5), "weight").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election.values import CheckState

if TYPE_CHECKING:
    from collections.abc import Mapping

PRIORITY_LIMIT = 1023


class Tracking:
    """The checks of one group on this node."""

    def __init__(self, checks: tuple[tuple[str, int], ...]) -> None:
        self._weights = dict(checks)
        self._states = dict.fromkeys(self._weights, CheckState.PENDING)

    @property
    def states(self) -> Mapping[str, CheckState]:
        """The state of each check, in configured order."""
        return self._states

    def configure(self, checks: tuple[tuple[str, int], ...]) -> None:
        """Take other checks; of one that was there before, what it said last stands until it says otherwise."""
        self._weights = dict(checks)
        self._states = {name: self._states.get(name, CheckState.PENDING) for name in self._weights}

    def update(self, check: str, state: CheckState) -> None:
        """Take in a check's new state; a check that is not configured any more is ignored."""
        if check in self._states:
            self._states[check] = state

    @property
    def fault(self) -> bool:
        """Whether a check of weight 0 is down."""
        return any(state is CheckState.DOWN and self._weights[name] == 0 for name, state in self._states.items())

    @property
    def pending(self) -> bool:
        """Whether a check of weight 0 has not answered yet: a fault cannot be excluded."""
        return any(state is CheckState.PENDING and self._weights[name] == 0 for name, state in self._states.items())

    def priority(self, base: int) -> int:
        """Return the effective priority for a configured one, within +-PRIORITY_LIMIT."""
        total = base
        for name, state in self._states.items():
            weight = self._weights[name]
            if (weight > 0 and state is CheckState.UP) or (weight < 0 and state is CheckState.DOWN):
                total += weight
        return max(-PRIORITY_LIMIT, min(PRIORITY_LIMIT, total))
