"""The review of a node that asks the cloud: CLAIMING, from the decision to the confirmation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election.claim import Cause, Claim
from hafailover.election.effects import ClaimFailed, Evidence, FailoverFinished
from hafailover.election.fencing import Fencing
from hafailover.election.peers import AUDIBLE, Liveness
from hafailover.election.reasons import Reason
from hafailover.election.returns import FRESH_MS
from hafailover.election.values import Handover, Instant, Leaving, NodeName, Resource, State

if TYPE_CHECKING:
    from hafailover.election.context import Voice
    from hafailover.election.group import Group
    from hafailover.election.peers import Peer

DEAD = (Reason.MASTER_DEAD, Reason.MASTER_GONE)


def begin(group: Group, reason: Reason, now: Instant) -> None:
    """Begin a claim: its term is on disk before anybody hears of it or anything moves.

    The guest is armed while the disk works: that touches nobody else, and it is what the first call waits for.
    """
    overlap = group.policy.handover is Handover.OVERLAP
    if overlap:
        group.guest.arm()
    group.term = max(group.term, group.highest_told_term) + 1
    group.emit(group.context.remember(group.name, group.term, moving=True, held=group.returns.needed))
    claim = Claim(
        group.name,
        group.policy.resources,
        group.context.me,
        _cause(group, reason, now),
        now=now,
        trust_after=_trust_after(group, now),
        rng=group.context.rng,
        ledger=group.ledger,
        returns=group.returns,
        fencing=_fencing(group, reason),
    )
    group.become(State.CLAIMING, reason, now)
    group.claim = claim
    if overlap:
        claim.arming(group.guest.ahead)


def _trust_after(group: Group, now: Instant) -> Instant:
    """Return since when a reading must have been asked: right before, after a claim that was lost.

    Then another is at work on the same things, and two that go by what they saw long ago exchange their halves.
    """
    lost = group.reason is Reason.CLAIM_LOST
    return max(group.trust_after, now - FRESH_MS) if lost else group.trust_after


def _fencing(group: Group, reason: Reason) -> Fencing | None:
    """Return the power-offs that have to come first, None where the group asks for none or is handed over.

    A holder that is heard at fault with a strict hand-over has ended its hook before it said so.
    """
    if not group.policy.fence or reason is Reason.HANDED_OVER:
        return None

    def needless(resource: Resource, holder: str, now: Instant) -> bool:
        said = group.voice_of(group.context.node_holding(resource, holder), now)
        out = said is not None and said.peer.confirmed and said.advert.state is State.FAULT
        return out and group.policy.handover is Handover.STRICT

    return Fencing(group.name, needless)


def _cause(group: Group, reason: Reason, now: Instant) -> Cause:
    source = _source(group)
    peer = None if source is None else group.context.peers.get(source)
    evidence = _evidence(group, peer, now)
    if reason not in DEAD or peer is None:
        return Cause(reason, source, evidence=evidence)
    silence_ms = evidence.silence_ms or 0
    patience_ms = peer.restart_grace_ms if reason is Reason.MASTER_GONE else peer.dead_interval_ms
    guard_ms = max(0, silence_ms - patience_ms) if group.policy.guards else 0
    return Cause(reason, source, detect_ms=silence_ms - guard_ms, guard_ms=guard_ms, evidence=evidence)


def _evidence(group: Group, peer: Peer | None, now: Instant) -> Evidence:
    said = None if peer is None else peer.group(group.name)
    return Evidence(
        silence_ms=None if peer is None or peer.last_heard is None else now - peer.last_heard,
        said=None if said is None else said.state,
        guards=() if group.guards is None else group.guards.verdicts,
        checks=tuple(group.tracking.states.items()),
    )


def _source(group: Group) -> NodeName | None:
    context = group.context
    for resource in group.policy.resources:
        sighting = context.holders.sighting(resource)
        if sighting is not None and sighting.holder is not None:
            return context.node_holding(resource, sighting.holder)
    return None


def _taken_from(group: Group, claim: Claim) -> NodeName | None:
    """Return whom the moves have taken it from: the claim may have begun with a reading that was out of date."""
    return group.context.node_holding(*claim.taken_from) if claim.taken_from else claim.cause.source


def review(group: Group, now: Instant) -> None:
    """Drive the claim on, end it where this node is no longer entitled, become master when it is done."""
    claim = group.claim
    assert claim is not None  # noqa: S101 - an invariant of the state
    claim.trust(group.context.trust_after)
    void = _void(group, claim, now)
    if void is None:
        ids = group.context.next_ids(len(group.policy.resources))
        for move in claim.drive(group.context.holders, now, ids, group.takeovers.orphaned):
            group.emit(move)
        _fence(group, claim, now)
    if not claim.idle:
        _wait(group, claim, now)
    elif claim.lost:
        _tell_failed(group, claim, Reason.CLAIM_LOST, now)
        _give_way(group, now)
    elif void is not None:
        _tell_failed(group, claim, void, now)
        group.outdate(now)
        group.become(State.BACKUP, void, now)
    elif claim.done:
        _finish(group, claim, now)
    else:
        _wait(group, claim, now)


def _tell_failed(group: Group, claim: Claim, ended: Reason, now: Instant) -> None:
    cause = claim.cause
    group.emit(
        ClaimFailed(
            group=group.name,
            reason=cause.reason,
            ended=ended,
            source=cause.source,
            target=group.context.me.name,
            term=group.term,
            spent_ms=now - claim.started,
            moves=claim.moves,
            evidence=cause.evidence,
        )
    )


def _fence(group: Group, claim: Claim, now: Instant) -> None:
    effect = None if claim.fencing is None else claim.fencing.drive(now, group.context.next_ids())
    if effect is not None:
        group.emit(effect)


def _wait(group: Group, claim: Claim, now: Instant) -> None:
    deadline = claim.deadline(now)
    if deadline is not None:
        group.wait_until(deadline, now)


def bars(group: Group) -> Reason | None:
    """Return what on this node itself forbids a claim from beginning or going on, None where nothing does."""
    context = group.context
    if group.fault:
        return Reason.CHECK_FAILED if group.tracking.fault else Reason.GUEST_FAILED
    if context.drained or context.leaving is not Leaving.NO:
        return Reason.DRAINED if context.drained else Reason.STOPPING
    return None


def _void(group: Group, claim: Claim, now: Instant) -> Reason | None:
    """Return why the claim must not go on, None where it may. A call under way is waited for either way."""
    barred = bars(group)
    if barred is not None:
        return barred
    if claim.cause.reason is Reason.HELD and _has_lost(group):
        return Reason.CLAIM_VOID  # nothing has been asked about taking it from whoever has it
    master = group.sure_master(now)
    if master is None:
        return None
    tied = master.advert.term == group.term
    if master.advert.term > group.term or (tied and claim.applied_at is None):
        return Reason.CLAIM_LOST  # after its own move took effect the cloud decides between two of one term
    return _master_is_back(claim, master, group)


def _has_lost(group: Group) -> bool:
    """Return whether what was here already, and needed no move, is here no longer."""
    seen = (group.context.holders.sighting(resource) for resource in group.policy.resources)
    return any(each is not None and each.settled and not group.mine(each) for each in seen)


def _master_is_back(claim: Claim, master: Voice, group: Group) -> Reason | None:
    """Return that the old master goes on: it was only late, or it took its offer back."""
    handing_over = master.advert.state is State.RELEASING and master.advert.successor == group.context.me.name
    if master.liveness is not Liveness.ALIVE or handing_over or not claim.untouched:
        return None  # it has not been heard since; and once the cloud may have done something, the cloud decides
    return Reason.CLAIM_VOID


def _give_way(group: Group, now: Instant) -> None:
    """Somebody else was faster: leave it to them, and do not take it back at once.

    A loss to a node that is heard needs no waiting: should it not become master, the candidates settle by rank who
    does. Where each had a part of what they claimed, they would all be waiting, and nobody serve. Their turns begin
    anew, or they would all claim again at once.
    """
    if group.heard_master(now) is None and not _with_a_heard_node(group, now):
        group.hold_down.lost(now)
    group.absent_since = now
    group.outdate(now)
    group.become(State.BACKUP, Reason.CLAIM_LOST, now)


def _with_a_heard_node(group: Group, now: Instant) -> bool:
    heard = {voice.peer.name for voice in group.voices(now) if voice.liveness in AUDIBLE}
    seen = (group.context.holders.sighting(resource) for resource in group.policy.resources)
    holders = {group.context.node_holding(each.resource, each.holder) for each in seen if each is not None}
    return not holders.isdisjoint(heard)


def _finish(group: Group, claim: Claim, now: Instant) -> None:
    if not claim.armed_at:
        claim.armed_at = claim.started
    applied_at = claim.applied_at or now
    fenced_at = claim.armed_at if claim.fencing is None else claim.fencing.stopped_at or claim.armed_at
    calls_from = max(claim.armed_at, fenced_at)
    if group.policy.handover is Handover.STRICT:
        group.guest.arm()
    group.become(State.MASTER, Reason.CLAIM_DONE, now)
    group.wish = None
    if claim.moves == 0:
        return
    group.emit(
        FailoverFinished(
            group=group.name,
            reason=claim.cause.reason,
            source=_taken_from(group, claim),
            target=group.context.me.name,
            term=group.term,
            detect_ms=claim.cause.detect_ms,
            guard_ms=claim.cause.guard_ms,
            guest_ms=claim.armed_at - claim.started,
            fence_ms=calls_from - claim.armed_at,
            evidence=claim.cause.evidence,
            cloud_ms=max(0, applied_at - calls_from),
            verify_ms=max(0, now - applied_at),
            moves=claim.moves,
        )
    )
