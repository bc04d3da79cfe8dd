"""The rules: may this node claim, and why not? A pure function of one situation, in the order of precedence.

Each rule is one line of the table, so that an operator's "why am I not master?" has one answer: the first rule that
speaks against it.
"""

from __future__ import annotations

from dataclasses import dataclass

from hafailover.election.guards import GuardStatus
from hafailover.election.peers import Liveness
from hafailover.election.promotion import Consent
from hafailover.election.reasons import Reason


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a claim depends on, as one node sees it at one instant. At fault it does not ask.

    `master` is the liveness of the peer last known as master that has not stepped down, None where there is none;
    `loss` is why there is no master to wait for. For `taken_unheard` see `takeover`. `rank` counts the candidates
    before this node, `turn_ms` is what each of those is given, and `waited_ms` the time since it can be one's turn.
    `votes_due`: the other voters may just be about to miss the master too. `listening`: a peer that was not heard
    since the start may still be. `settling`: the group's startup_delay is not over. `holder_knows_not`: the holder
    is heard, and its file has no such group. `holder_vouched`: it was never heard here, and another hears it.
    """

    witness: bool = False
    checks_pending: bool = False
    drained: bool = False
    stopping: bool = False
    listening: bool = False
    settling: bool = False
    paused: bool = False
    distrust: bool = False
    offered: bool = False
    master: Liveness | None = None
    silent_for_dead_interval: bool = False
    loss: Reason = Reason.MASTER_ABSENT
    hold_down: bool = False
    taken_unheard: bool = False
    holder_known: bool = True
    held_by_me: bool = False
    stranger: bool = False
    holder_knows_not: bool = False
    holder_vouched: bool = False
    returning: bool = False
    holder_may_go_on: bool = False
    rival_claims: bool = False
    rank: int = 0
    waited_ms: int = 0
    turn_ms: int = 0
    guarded: bool = False
    quorum: bool = True
    votes_due: bool = False
    guards: GuardStatus = GuardStatus.NONE
    consent: Consent = Consent.GIVEN


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a claim may begin, and the reason either way."""

    allowed: bool
    reason: Reason


def unfit(situation: Situation) -> Reason | None:
    """Return why this node could not take over whatever happens to others, None where it could."""
    rules = (
        (situation.witness, Reason.WITNESS),
        (situation.stopping, Reason.STOPPING),
        (situation.drained, Reason.DRAINED),
        (situation.checks_pending, Reason.CHECKS_PENDING),
        (situation.distrust, Reason.DISTRUST),
    )
    return next((reason for applies, reason in rules if applies), None)


def may_claim(situation: Situation) -> Verdict:
    """Return whether this node may claim now: the first rule that applies decides."""
    reason = unfit(situation)
    if reason is not None:
        return Verdict(allowed=False, reason=reason)
    if situation.offered and not situation.returning:
        return Verdict(allowed=True, reason=Reason.HANDED_OVER)
    reason = _not_now(situation)
    if reason is not None:
        return Verdict(allowed=False, reason=reason)
    return Verdict(allowed=True, reason=Reason.HELD if situation.held_by_me else situation.loss)


def _not_now(situation: Situation) -> Reason | None:
    waiting = _master_awaited(situation)
    if waiting is not None:
        return waiting
    waited_for_turn = situation.waited_ms >= situation.rank * situation.turn_ms
    rules = (
        (situation.paused and not situation.held_by_me, Reason.PAUSED),  # what is here already moves nowhere
        (not situation.holder_known, Reason.HOLDER_UNKNOWN),
        (situation.listening, Reason.STARTING),
        (situation.held_by_me and not situation.rival_claims, None),
        (situation.settling, Reason.STARTING),
        (situation.stranger, Reason.HELD_BY_STRANGER),
        (situation.holder_knows_not, Reason.HOLDER_KNOWS_NOT),
        (situation.holder_vouched, Reason.HOLDER_VOUCHED),
        (situation.hold_down, Reason.HOLD_DOWN),
        (situation.taken_unheard, Reason.TAKEN_UNHEARD),
        (situation.returning, Reason.RETURNING),
        (situation.holder_may_go_on, Reason.HOLDER_ALIVE),
        (situation.rival_claims, Reason.OUTRANKED),
        (not waited_for_turn, Reason.OUTRANKED),
        (situation.guarded and not situation.quorum and situation.votes_due, Reason.GUARD_PENDING),
        (situation.guarded and not situation.quorum, Reason.NO_QUORUM),
        (situation.guarded and situation.guards is GuardStatus.PENDING, Reason.GUARD_PENDING),
        (situation.guarded and situation.guards is GuardStatus.DENIED, Reason.GUARD_DENIED),
        (situation.consent is Consent.REFUSED, Reason.PROMOTE_REFUSED),
        (situation.consent is Consent.WANTED, Reason.PROMOTE_PENDING),
    )
    return next((reason for applies, reason in rules if applies), None)


def _master_awaited(situation: Situation) -> Reason | None:
    """Return why to go on waiting for the master that is, None where there is nothing to wait for."""
    if situation.master is Liveness.ALIVE:
        return Reason.MASTER_ALIVE
    if situation.master is Liveness.LATE:
        return Reason.MASTER_LATE
    if situation.master is Liveness.RESTARTING:
        # The daemon is away; with evidence that the service is gone too, patience would only cost time.
        dead = situation.guards is GuardStatus.ALLOWED and situation.silent_for_dead_interval
        return None if dead else Reason.MASTER_RESTARTING
    return None
