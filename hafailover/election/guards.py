"""The guards' verdicts on one suspicion, gathered while the rest of the dead interval passes.

One DENY is enough to hold a claim back. UNKNOWN holds nothing back: a guard that cannot find out must not keep a
service down. A guard that does not answer within `patience_ms` counts as UNKNOWN.
"""

from __future__ import annotations

from enum import Enum

from hafailover.election.values import GuardVerdict, Instant


class GuardStatus(Enum):
    """The guards' joint word on a claim."""

    NONE = "none"  # no guards configured
    PENDING = "pending"
    DENIED = "denied"
    SILENT = "silent"  # nobody objects, nobody has evidence either
    ALLOWED = "allowed"  # at least one has evidence that the service is gone


QUORUM = "quorum"  # the one guard that the core itself answers, from what the peers say


def majority(votes: int, of: int) -> bool:
    """Return whether these votes are more than half."""
    return 2 * votes > of


class GuardRound:
    """One round of questions."""

    def __init__(self, guards: tuple[str, ...], round_id: int, now: Instant, patience_ms: int) -> None:
        self.round_id = round_id
        self.asked_at = now
        self.expires_at = now + patience_ms
        self._verdicts: dict[str, GuardVerdict | None] = dict.fromkeys(guards)

    def answer(self, guard: str, verdict: GuardVerdict) -> None:
        """Take in a verdict of this round; that of a guard that was not asked is ignored."""
        if guard in self._verdicts:
            self._verdicts[guard] = verdict

    def status(self, now: Instant) -> GuardStatus:
        """Return the joint word at `now`."""
        verdicts = tuple(self._verdicts.values())
        if not verdicts:
            return GuardStatus.NONE
        if GuardVerdict.DENY in verdicts:
            return GuardStatus.DENIED
        if None in verdicts and now < self.expires_at:
            return GuardStatus.PENDING
        return GuardStatus.ALLOWED if GuardVerdict.ALLOW in verdicts else GuardStatus.SILENT

    @property
    def verdicts(self) -> tuple[tuple[str, GuardVerdict | None], ...]:
        """Each guard's verdict, None where it has not answered, in the order of the questions."""
        return tuple(self._verdicts.items())

    @property
    def denied_by(self) -> tuple[str, ...]:
        """The guards that object."""
        return tuple(name for name, verdict in self._verdicts.items() if verdict is GuardVerdict.DENY)
