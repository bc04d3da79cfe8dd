"""When a check changes its mind: rise and fall, as keepalived counts them. PURE."""

from __future__ import annotations

from hafailover.election.values import CheckState


class Hysteresis:
    """UP after `rise` passes in a row, DOWN after `fall` failures in a row; both are at least 1.

    The first result decides alone. Until it has come the check is PENDING and keeps its node from claiming, so
    PENDING must be short; and keepalived's alternative, to take success for granted, would let a node claim
    with a service that it has never seen.
    """

    __slots__ = ("_against", "_fall", "_rise", "state")

    def __init__(self, rise: int, fall: int) -> None:
        self._rise = rise
        self._fall = fall
        self._against = 0  # results in a row that contradict the state
        self.state = CheckState.PENDING

    def record(self, *, passed: bool) -> CheckState:
        """Take the next result into account and return the state after it."""
        said = CheckState.UP if passed else CheckState.DOWN
        self._against = 0 if said is self.state else self._against + 1
        if self._against >= self._needed():
            self.state = said
            self._against = 0
        return self.state

    def _needed(self) -> int:
        if self.state is CheckState.PENDING:
            return 1
        return self._fall if self.state is CheckState.UP else self._rise
