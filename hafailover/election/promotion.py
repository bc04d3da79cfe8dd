"""The `promote` hook: the node's own "may I?" before an unplanned claim.

It is asked when nothing else speaks against the claim. No, or no answer in time, keeps this node out of the running
for a while, so that the next in rank takes its turn. A yes is good for as long as only a guard has still to answer:
where something else speaks against the claim meanwhile, it is asked again before the next one. Hooks run one after
another, so that no second question is put while the first one is unanswered.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from hafailover.election.effects import RunHook
from hafailover.election.release import HOOK_SLACK_MS

if TYPE_CHECKING:
    from hafailover.election.reasons import Reason
    from hafailover.election.values import Instant, Policy

HOOK = "promote"
REFUSED_MS = 10_000  # how long a no is good for


class Consent(Enum):
    """What the hook has to say of a claim now."""

    GIVEN = "given"  # or there is no such hook
    WANTED = "wanted"
    REFUSED = "refused"


class Promotion:
    """The question of one group, and its answer."""

    def __init__(self) -> None:
        self.refused_until: Instant = 0
        self._asked_at: Instant | None = None
        self._run_id: int | None = None
        self._outdated = False
        self._granted = False

    def consent(self, policy: Policy, now: Instant) -> Consent:
        """Return whether a claim may begin as far as the hook is concerned."""
        if not policy.promote or self._granted:
            return Consent.GIVEN
        return Consent.REFUSED if self.refused_until > now else Consent.WANTED

    def ask(self, policy: Policy, reason: Reason, now: Instant, run_id: int) -> RunHook | None:
        """Put the question, unless it is under way; return what does so. No answer in time is a no."""
        if self._asked_at is None:
            self._asked_at, self._run_id = now, run_id
            return RunHook(policy.group, HOOK, run_id, reason)
        if now >= self.give_up_at(policy):
            self._take(now, consents=False)
        return None

    def give_up_at(self, policy: Policy) -> Instant:
        """Return when to wait for the answer no longer; a hook that ran before it may have used its time too."""
        return (self._asked_at or 0) + 2 * policy.hook_timeout_ms + HOOK_SLACK_MS

    def answered(self, run_id: int, now: Instant, *, consents: bool) -> None:
        """Take in that a hook has ended; of others than the one that was asked last it is nothing."""
        if run_id == self._run_id:
            self._take(now, consents=consents)

    def _take(self, now: Instant, *, consents: bool) -> None:
        self._run_id = None
        outdated, self._asked_at, self._outdated = self._outdated, None, False
        if outdated:
            return
        self._granted = consents
        if not consents:
            self.refused_until = now + REFUSED_MS

    def forget(self) -> None:
        """Let an answer, also one that is still to come, be good for nothing any more."""
        self._granted = False
        self._outdated = self._asked_at is not None
