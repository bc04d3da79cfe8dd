"""The reviews of a node that does not serve: INIT, BACKUP and FAULT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import claiming, holding
from hafailover.election.effects import AskGuard, Refrained
from hafailover.election.guards import QUORUM, GuardRound, GuardStatus
from hafailover.election.peers import AUDIBLE, Liveness
from hafailover.election.ranking import Candidate, rank_of
from hafailover.election.reasons import Reason
from hafailover.election.release import RELEASE_MS
from hafailover.election.rules import Situation, may_claim
from hafailover.election.values import Instant, Leaving, State

if TYPE_CHECKING:
    from hafailover.election.context import Voice
    from hafailover.election.group import Group

FAILING_AFTER = 2  # failed calls in a row from which others in rank may take their turn
GUARD_SLACK_MS = 20  # what a guard may take beyond the dead interval before the claim goes on without it

# Reasons for not claiming that an operator wants to see at once: no master is heard, and still nothing moves.
NOTEWORTHY = (
    Reason.GUARD_DENIED,
    Reason.HELD_BY_STRANGER,
    Reason.HOLDER_KNOWS_NOT,
    Reason.HOLDER_VOUCHED,
    Reason.HOLD_DOWN,
    Reason.MASTER_RESTARTING,
    Reason.NO_QUORUM,
    Reason.PAUSED,
    Reason.PROMOTE_REFUSED,
    Reason.RETURNING,
    Reason.TAKEN_UNHEARD,
)


def eligible(group: Group) -> bool:
    """Return whether this node would take over if it were its turn: told to the peers, who rank it by that."""
    context, now = group.context, group.context.now
    if group.state is State.CLAIMING:
        return group.claim is not None and group.claim.failures + context.holders.failures < FAILING_AFTER
    barred = max(group.hold_down.until, group.promotion.refused_until, _settled_at(group)) > now
    free = not barred and group.returns.pending(group.policy.resources, now) is None
    able = context.holders.readable and not (group.fault or group.tracking.pending)
    in_service = not context.me.witness and not context.drained and context.leaving is Leaving.NO
    return group.state in (State.INIT, State.BACKUP) and free and able and in_service


def review_init(group: Group, now: Instant) -> None:
    """After the start: find out who is master, without touching anything yet."""
    drop_leftovers(group, now)
    if group.fault:
        group.become(State.FAULT, Reason.CHECK_FAILED, now)
        return
    master = group.heard_master(now)
    if _holds_all(group) and (master is None or master.advert.term <= group.term):
        _resume(group, now)
    elif master is not None:
        group.become(State.BACKUP, Reason.HEARD_MASTER, now)
    elif not group.wait_until(group.started_at + group.context.timing.dead_interval_ms, now):
        group.become(State.BACKUP, Reason.LISTENED, now)


def _resume(group: Group, now: Instant) -> None:
    """Go on as the master that an earlier run of this daemon was: nothing to ask, nothing to move."""
    group.term = max(group.term, 1)
    if group.returns.needed:
        group.emit(group.context.remember(group.name, group.term, moving=False, held=True))
    group.guest.arm()
    group.become(State.MASTER, Reason.HELD_AT_START, now)


def _holds_all(group: Group) -> bool:
    sightings = group.sightings(group.trust_after)
    return sightings is not None and all(group.mine(sighting) for sighting in sightings)


def review_fault(group: Group, now: Instant) -> None:
    """At fault: out of the running; what others have taken leaves the guest."""
    follow(group, now)
    drop_leftovers(group, now)
    if not group.fault:
        group.become(State.BACKUP, Reason.CHECK_PASSED, now)


def review_backup(group: Group, now: Instant) -> None:
    """Not master: watch the master, and claim where the rules allow it."""
    if group.fault:
        reason = Reason.CHECK_FAILED if group.tracking.fault else Reason.GUEST_FAILED
        group.become(State.FAULT, reason, now)
        return
    follow(group, now)
    drop_leftovers(group, now)
    _suspect(group, now)
    seen = situation(group, now)
    verdict = may_claim(seen)
    _note(group, verdict.reason)
    if verdict.allowed:
        claiming.begin(group, verdict.reason, now)
    elif verdict.reason is Reason.PROMOTE_PENDING:
        _ask_to_promote(group, seen.loss, now)
    elif verdict.reason is not Reason.GUARD_PENDING:
        group.promotion.forget()


def _ask_to_promote(group: Group, reason: Reason, now: Instant) -> None:
    question = group.promotion.ask(group.policy, reason, now, group.context.next_ids())
    if question is not None:
        group.emit(question)
    if not group.wait_until(group.promotion.give_up_at(group.policy), now):
        group.wait_until(now + 1, now)  # the answer that did not come was a no: look again


def follow(group: Group, now: Instant) -> None:
    """Keep up with the master that is heard: its term, and since when there is none."""
    master = group.heard_master(now)
    if master is None:
        group.absent_since = now if group.absent_since is None else group.absent_since
        return
    group.absent_since = None
    if (master.peer.name, master.advert.term) != (group.last_master, group.last_master_term):
        group.last_master, group.last_master_term = master.peer.name, master.advert.term
        group.wish = None
        group.outdate(now)
    if master.peer.confirmed:
        group.term = max(group.term, master.advert.term)
        group.hold_down.explained(now)


def drop_leftovers(group: Group, now: Instant) -> None:
    """Take off the guest what somebody else holds: by the cloud's word, or a confirmed master's."""
    master = group.heard_master(now)
    told = master is not None and master.peer.confirmed and master.advert.term >= group.term
    stopping = group.context.leaving is Leaving.STOPPING
    for resource in tuple(group.guest.carries):
        sighting = group.context.holders.sighting(resource, after=group.context.trust_after)
        elsewhere = sighting is not None and sighting.settled and not group.mine(sighting)
        if elsewhere or told or stopping:
            group.guest.disarm(resource)


def _suspect(group: Group, now: Instant) -> None:
    """At the first doubt about the master, gather what a claim will need while the dead interval runs on."""
    if group.context.me.witness or not _doubtful(group, now):
        group.suspected, group.guards = False, None
        return
    context = group.context
    if not group.suspected:
        group.suspected = True
        context.holders.need(now)
    if not group.policy.guards or not holding.needs_guards(group, now):
        return
    asked = group.guards
    again = asked is not None and asked.status(now) is not GuardStatus.PENDING
    if asked is None or (again and not group.wait_until(asked.asked_at + context.timing.dead_interval_ms, now)):
        _ask_guards(group, now)


def _ask_guards(group: Group, now: Instant) -> None:
    patience_ms = group.context.timing.dead_interval_ms // 2 + GUARD_SLACK_MS
    asked = tuple(guard for guard in group.policy.guards if guard != QUORUM)
    group.guards = GuardRound(asked, group.context.next_ids(), now, patience_ms)
    group.wait_until(group.guards.expires_at, now)
    for guard in asked:
        group.emit(AskGuard(group.name, guard, group.guards.round_id))


def _doubtful(group: Group, now: Instant) -> bool:
    master = group.heard_master(now)
    return master is None or master.liveness is not Liveness.ALIVE


def situation(group: Group, now: Instant) -> Situation:
    """Gather what the rules need; each thing that may change by time alone wakes the group then."""
    context = group.context
    master = group.heard_master(now)
    sightings = group.sightings(group.trust_after)
    absent_since, left_until = group.absent_since, holding.left_to_them_until(group, now)
    rank = rank_of(context.me.name, (*group.candidates(now), group.candidate))
    rivals, waited_ms = _rival_claims(group, now), 0
    stranger = any(context.is_stranger(sighting) for sighting in sightings or ())
    _note_hindrance(group, now, hindered=rivals or stranger)
    if absent_since is not None:  # the turns begin when it is anybody's turn
        turns_from = max(absent_since, left_until, group.hindered_at)
        waited_ms = max(0, now - turns_from)
        group.wait_until(turns_from + rank * context.timing.dead_interval_ms, now)
    if group.guards is not None:
        group.wait_until(group.guards.expires_at, now)
    group.wait_until(group.promotion.refused_until, now)
    return Situation(
        witness=context.me.witness,
        checks_pending=group.tracking.pending,
        drained=context.drained,
        stopping=context.leaving is not Leaving.NO,
        listening=_listening(group, now),
        settling=group.wait_until(_settled_at(group), now),
        paused=group.pause.holds(now),
        distrust=group.wait_until(context.distrust_until, now),
        offered=_offered(group, master, now),
        master=None if master is None else master.liveness,
        silent_for_dead_interval=_silent(group, master, now),
        loss=_loss(group, now),
        hold_down=group.wait_until(group.hold_down.until, now) and not _nobody_else(group, now),
        taken_unheard=group.takeovers.forbid,
        holder_known=sightings is not None,
        held_by_me=sightings is not None and all(group.mine(sighting) for sighting in sightings),
        stranger=stranger,
        holder_knows_not=holding.unaware(group, now),
        holder_vouched=holding.vouched(group, now),
        returning=group.returns.pending(group.policy.resources, now) is not None,
        holder_may_go_on=group.wait_until(left_until, now),
        rival_claims=rivals,
        rank=rank,
        waited_ms=waited_ms,
        turn_ms=context.timing.dead_interval_ms,
        guarded=holding.needs_guards(group, now),
        quorum=holding.quorum(group, now),
        votes_due=absent_since is None or group.wait_until(absent_since + context.timing.interval_ms, now),
        guards=GuardStatus.NONE if group.guards is None else group.guards.status(now),
        consent=group.promotion.consent(group.policy, now),
    )


def _note_hindrance(group: Group, now: Instant, *, hindered: bool) -> None:
    """Note until when something has kept all nodes from claiming: it has until the moment in which it is over."""
    if hindered or group.hindered:
        group.hindered_at = now
    group.hindered = hindered


def _listening(group: Group, now: Instant) -> bool:
    """Return whether a peer may just not have been heard yet: a daemon can leave INIT before that, at fault say."""
    context = group.context
    members = [peer for peer in context.peers if not peer.member.witness]
    if all(peer.confirmed and peer.group(group.name) is not None for peer in members):
        return False
    return group.wait_until(group.started_at + context.timing.dead_interval_ms, now)


def _settled_at(group: Group) -> Instant:
    """Return when a node that has started may move something here, for all that its group's startup_delay says."""
    return group.started_at + group.policy.startup_delay_ms


def _nobody_else(group: Group, now: Instant) -> bool:
    """Return whether a hold-down keeps the address from everybody: then there is nobody to be at odds with.

    All other members are heard, none has it or could take it, and that has been so for this node's turn and one
    more, for who holds everything needs a moment to see it.
    """
    others = [peer.member for peer in group.context.peers if not peer.member.witness]
    voices = {voice.peer.name: voice for voice in group.voices(now) if voice.peer.sure}
    heard = [voices[member.name] for member in others if member.name in voices]
    if group.absent_since is None or len(heard) < len(others):
        return False
    for voice in heard:
        busy = voice.advert.eligible or voice.advert.state is State.CLAIMING or voice.advert.state.serves
        if busy or voice.liveness not in AUDIBLE:
            return False
    rivals = [
        Candidate(voice.peer.name, voice.advert.priority, voice.peer.member.order)
        for voice in heard
        if voice.advert.state is not State.FAULT
    ]
    rank = rank_of(group.context.me.name, (*rivals, group.candidate))
    return not group.wait_until(group.absent_since + (rank + 1) * group.context.timing.dead_interval_ms, now)


def _offered(group: Group, master: Voice | None, now: Instant) -> bool:
    """Return whether the master hands over to this node, and cannot have taken it for silent meanwhile.

    A giver goes back to serving when its successor has been silent for a dead interval. So an offer that was held
    back counts no longer than that after the newest of this node's own words that the giver had heard by then.
    """
    if master is None or not master.peer.confirmed or master.advert.state is not State.RELEASING:
        return False
    if master.advert.successor != group.context.me.name:
        return False
    timing, said_after = group.context.timing, master.peer.said_after(group.name)
    if said_after is None or now - said_after < min(timing.dead_interval_ms, master.peer.asked_ms):
        return True
    group.wait_until(now + timing.interval_ms, now)  # the same words, said later, are no reason to look again
    return False


def _silent(group: Group, master: Voice | None, now: Instant) -> bool:
    """Return whether the master that is waited for has itself been silent for the dead interval."""
    if master is None or master.peer.last_heard is None:
        return False
    return not group.wait_until(master.peer.last_heard + master.peer.dead_interval_ms, now)


def _loss(group: Group, now: Instant) -> Reason:
    """Return how the last known master was lost."""
    peer = None if group.last_master is None else group.context.peers.get(group.last_master)
    if peer is None:
        return Reason.MASTER_ABSENT
    liveness = peer.liveness(now)
    if liveness in (Liveness.DOWN, Liveness.RESTARTING):
        return Reason.MASTER_GONE if peer.refused else Reason.MASTER_DEAD
    advert = peer.group(group.name)
    at_fault = liveness.heard and advert is not None and advert.state is State.FAULT
    return Reason.MASTER_FAULT if at_fault else Reason.MASTER_ABSENT


def _rival_claims(group: Group, now: Instant) -> bool:
    """Return whether a peer is already asking the cloud, without failing at it.

    One whose daemon has just died may have what it asked for: it is given the dead interval like any other. And one
    to which this node has just lost a part may be failing at the rest only because this node had asked for it too.
    """
    gave_way = group.reason is Reason.CLAIM_LOST and group.wait_until(group.since + RELEASE_MS, now)
    winners = (
        [voice.peer.name for voice in holding.voices_of_holders(group, now) if voice is not None]
        if gave_way
        else []
    )
    return any(
        voice.advert.state is State.CLAIMING
        and (voice.advert.eligible or voice.peer.name in winners)
        and (voice.liveness in AUDIBLE or not _silent(group, voice, now))
        for voice in group.voices(now)
    )


def _note(group: Group, reason: Reason) -> None:
    """Say once why nothing moves although no master is heard; anew when there was a master meanwhile."""
    group.verdict_reason = reason
    if reason is Reason.MASTER_ALIVE:
        group.noted = None
    elif reason in NOTEWORTHY and reason is not group.noted:
        group.noted = reason
        group.emit(Refrained(group.name, reason))
