"""When a check changes its mind: rise and fall, as keepalived counts them. PURE."""

from __future__ import annotations

from hafailover.election.values import CheckState


class Hysteresis:
    """UP after `rise` passes in a row, DOWN after `fall` failures in a row; both are at least 1.

    At first the check is PENDING, which keeps its node from claiming and takes nothing from a master: one pass
    ends that, for a node that waits to claim should not wait long; failures end it only when there are `fall` of
    them, for a restarted master must not fall over one that it would have borne before. keepalived takes success
    for granted instead, and so lets a node claim with a service that it has never seen.
    """

    __slots__ = ("_fall", "_row", "_said", "_wanted", "state")

    def __init__(self, rise: int, fall: int) -> None:
        self._wanted = {
            CheckState.PENDING: {CheckState.UP: 1, CheckState.DOWN: fall},
            CheckState.UP: {CheckState.UP: 1, CheckState.DOWN: fall},
            CheckState.DOWN: {CheckState.UP: rise, CheckState.DOWN: 1},
        }
        self._said = CheckState.PENDING
        self._row = 0  # equal results in a row
        self.state = CheckState.PENDING

    def record(self, *, passed: bool) -> CheckState:
        """Take the next result into account and return the state after it."""
        said = CheckState.UP if passed else CheckState.DOWN
        self._row = self._row + 1 if said is self._said else 1
        self._said = said
        if self._row >= self._wanted[self.state][said]:
            self.state = said
        return self.state
