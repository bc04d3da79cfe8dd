"""The reviews of a node that serves: MASTER and RELEASING. How mastership is kept, given and lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import claiming, wishes
from hafailover.election.effects import Answer, RunHook
from hafailover.election.peers import AUDIBLE
from hafailover.election.ranking import Candidate, preempts, ranked
from hafailover.election.reasons import Reason
from hafailover.election.release import release_quietly, release_to
from hafailover.election.values import Handover, Instant, Leaving, NodeName, Sighting, State

if TYPE_CHECKING:
    from hafailover.election.events import FailoverAsked
    from hafailover.election.group import Group
    from hafailover.election.release import Release

RELEASE_RETRY_MS = 5_000  # after a hand-over that failed
RIVAL_READ_MS = 1_000  # between readings while another master of the same term is heard


def review_master(group: Group, now: Instant) -> None:
    """Serve, unless something speaks against it: a newer master, the cloud, a fault, a hand-over."""
    if _deposed(group, now):
        return
    if group.fault:
        _fail(group, now)
        return
    _watch_claimants(group, now)
    if _isolated(group, now):
        step_down(group, Reason.ISOLATED, now)
        return
    _hear_wishes(group, now)
    if group.state is State.MASTER:
        _hand_over_if_due(group, now)


def _fail(group: Group, now: Instant) -> None:
    """Go out of service; with a strict hand-over only after the hook, for the peers claim when they hear of it."""
    reason = Reason.CHECK_FAILED if group.tracking.fault else Reason.GUEST_FAILED
    if group.policy.handover is Handover.STRICT:
        _go_quiet(group, None, reason, now, hook="fault")
    else:
        group.become(State.FAULT, reason, now)


# -- losing it ---------------------------------------------------------------------------------------------------


def _deposed(group: Group, now: Instant) -> bool:
    newer = group.sure_master(now)
    if newer is not None and newer.advert.term > group.term:
        group.term = newer.advert.term
        done = group.state is State.RELEASING
        if not done:
            group.hold_down.lost_to_heard(now)
        step_down(group, Reason.HANDOVER_DONE if done else Reason.DEPOSED_BY_PEER, now)
        return True
    if _arrived(group, now):
        step_down(group, Reason.HANDOVER_DONE, now)
        return True
    _question_rival(group, now)
    if not _contradicted(group, now):
        return False
    vacant = all(sighting.holder is None for sighting in _elsewhere(group, group.since, now))
    if vacant and group.sure_master(now) is None and claiming.bars(group) is None:
        claiming.begin(group, Reason.ADDRESS_LOST, now)
        return True
    if not vacant and group.release is None:
        group.hold_down.lost(now)
    step_down(group, Reason.DEPOSED_BY_CLOUD, now)
    return True


def _arrived(group: Group, now: Instant) -> bool:
    """Return whether the successor serves and the cloud says that it has everything, whatever its term is.

    It need not have claimed for that: the address may have been moved to it by hand.
    """
    release = group.release
    if release is None or release.successor is None:
        return False
    voice = group.voice_of(release.successor, now)
    if voice is None or not voice.peer.confirmed or not voice.advert.state.serves:
        return False
    member = voice.peer.member
    seen = group.sightings(release.began) or ()
    return bool(seen) and all(each.settled and each.holder == member.holder_id(each.resource) for each in seen)


def step_down(group: Group, reason: Reason, now: Instant) -> None:
    """Stop serving: the guest first, then the word to others."""
    group.guest.disarm_all()
    group.outdate(now)
    group.become(State.BACKUP, reason, now)


def _elsewhere(group: Group, after: Instant, now: Instant) -> list[Sighting]:
    """Return what the cloud says is not here, save what is on its way to the successor in a hand-over.

    With the strategy "reassign" that leads by way of nobody. What a successor got that has fallen silent since is
    not here either.
    """
    release, successor = group.release, None
    if release is not None and release.successor is not None and _awaited(group, release, now):
        successor = group.context.member(release.successor)
    return [
        sighting
        for sighting in group.sightings(after) or ()
        if sighting.settled
        and not group.mine(sighting)
        and (successor is None or sighting.holder not in (None, successor.holder_id(sighting.resource)))
    ]


def _contradicted(group: Group, now: Instant) -> bool:
    """Return whether two readings in a row, both asked since this node became master, name another holder.

    One alone may come from a replica that lags behind.
    """
    asked_at = group.context.holders.asked_at
    if asked_at is None or not _elsewhere(group, group.since, now):
        group.doubted_at = None
        return False
    if group.doubted_at is None:
        group.doubted_at = asked_at
        group.context.holders.need(group.context.holders.after(now))
        return False
    return asked_at > group.doubted_at


def _question_rival(group: Group, now: Instant) -> None:
    """Where another master is heard that may be the newer one, let the cloud say which of the two it is."""
    rival = group.heard_master(now)
    if rival is None or rival.advert.term < group.term:
        return
    asked_at = group.context.holders.asked_at
    if asked_at is None or not group.wait_until(asked_at + RIVAL_READ_MS, now):
        group.context.holders.need(now)


def _watch_claimants(group: Group, now: Instant) -> None:
    """Where a peer asks the cloud for what this node has, not hearing it perhaps, see soon what came of that."""
    if any(voice.advert.state is State.CLAIMING for voice in group.voices(now)):
        _watch(group, now)


def _watch(group: Group, now: Instant) -> None:
    """Read ownership often for a while, once it is time for that again."""
    if not group.wait_until(group.context.watch_until, now):
        group.context.watch(now)


def _isolated(group: Group, now: Instant) -> bool:
    if not group.policy.demote_when_isolated:
        return False
    if any(peer.liveness(now).heard for peer in group.context.peers):
        group.isolated_since = None
        return False
    holders = group.context.holders
    if group.isolated_since is None:
        group.isolated_since = now
        holders.need(now)  # does at least the API answer? The next audit would be too late a question
    if holders.failures == 0:
        return False
    since = max(group.isolated_since, holders.asked_at or 0)
    return not group.wait_until(since + group.policy.isolation_timeout_ms, now)


# -- giving it ---------------------------------------------------------------------------------------------------


def _hand_over_if_due(group: Group, now: Instant) -> None:
    candidates = ranked(group.candidates(now))
    leaving = group.context.leaving is Leaving.STOPPING
    if leaving and not candidates:
        if not _somebody_may_yet(group, now):
            _stop_alone(group, now)
    elif not candidates or group.wait_until(group.release_not_before, now):
        group.preempt_since = None
    elif leaving or group.context.drained:
        _release(group, candidates[0].name, Reason.STOPPING if leaving else Reason.DRAINED, now)
    elif _preempted(group, candidates[0], now):
        _release(group, candidates[0].name, Reason.PREEMPTED, now)


def _somebody_may_yet(group: Group, now: Instant) -> bool:
    """Return whether a peer that could take over is only late, or its words only in doubt, for a dead interval."""
    for voice in group.voices(now):
        peer = voice.peer
        if not voice.advert.eligible or voice.liveness not in AUDIBLE:
            continue
        doubted_at = peer.present_since if peer.unsure_since is None else peer.unsure_since
        if peer.sure or group.wait_until(doubted_at + peer.dead_interval_ms, now):
            return True
    return False


def _stop_alone(group: Group, now: Instant) -> None:
    """Stop with nobody to hand over to; who is master next may be there in a moment all the same."""
    if group.policy.handover is Handover.STRICT:
        _go_quiet(group, None, Reason.STOPPING, now, hook="backup")
    else:
        step_down(group, Reason.STOPPING, now)


def _preempted(group: Group, best: Candidate, now: Instant) -> bool:
    unsure = group.wait_until(group.context.distrust_until, now)  # what it knew before it slept may be over
    if unsure or not group.policy.preempt or group.pause.holds(now) or not preempts(best, group.candidate):
        group.preempt_since = None
        return False
    if group.preempt_since is None:
        group.preempt_since = now
    return not group.wait_until(group.preempt_since + group.policy.preempt_delay_ms, now)


def _release(group: Group, successor: NodeName, reason: Reason, now: Instant) -> None:
    if group.policy.handover is Handover.STRICT:
        _go_quiet(group, successor, reason, now, hook="backup")
        return
    group.become(State.RELEASING, reason, now)
    group.release = release_to(successor, reason, now, group.context.timing.dead_interval_ms)


def _go_quiet(group: Group, successor: NodeName | None, reason: Reason, now: Instant, *, hook: str) -> None:
    """Begin a strict hand-over: off the guest, and the hook has to end, before anybody is named."""
    group.guest.disarm_all()
    group.become(State.RELEASING, reason, now)
    run = RunHook(group.name, hook, run_id=group.context.next_ids())
    dead_ms, hook_ms = group.context.timing.dead_interval_ms, group.policy.hook_timeout_ms
    group.release = release_quietly(successor, reason, now, dead_ms, run=run, hook_ms=hook_ms)
    group.emit(run)


def review_releasing(group: Group, now: Instant) -> None:
    """Go on serving until the successor is master; take it back where it does not become that."""
    release = group.release
    assert release is not None  # noqa: S101 - an invariant of the state
    if release.quiet and release.offered is None:
        release.offered = _awaited(group, release, now)
    if _deposed(group, now):
        return
    if release.hook is None and group.fault:
        group.become(State.FAULT, Reason.CHECK_FAILED, now)
    elif release.successor is None and (release.quiet or release.overdue(now)):
        group.become(State.BACKUP if release.hook == "backup" else State.FAULT, release.reason, now)
    elif release.quiet or release.overdue(now):
        _await_successor(group, release, now)
    else:
        group.wait_until(release.deadline, now)


def _awaited(group: Group, release: Release, now: Instant) -> bool:
    """Return whether the hand-over may still come about: in time, and its successor, once named, is heard."""
    successor = group.voice_of(release.successor, now)
    there = not release.quiet or (successor is not None and successor.liveness in AUDIBLE)
    return there and release.offered is not False and not release.overdue(now)


def _await_successor(group: Group, release: Release, now: Instant) -> None:
    successor = group.voice_of(release.successor, now)
    if successor is not None and successor.advert.state is State.CLAIMING:
        release.claimed = True
    if not _awaited(group, release, now):
        group.release_not_before = now + RELEASE_RETRY_MS
        _watch(group, now)
        if group.context.leaving is Leaving.STOPPING:
            step_down(group, Reason.STOPPING, now)
            return
        if group.doubted_at is not None or not _may_take_back(group, release, now):
            return
        if release.hook is not None:
            group.guest.arm()
        group.become(State.MASTER, Reason.HANDOVER_FAILED, now)
        return
    group.wait_until(release.deadline, now)


def _may_take_back(group: Group, release: Release, now: Instant) -> bool:
    """Return whether a giver may answer again: after going quiet, only by the cloud's word that it holds all."""
    if release.hook is None or not release.quiet:
        return True  # it has answered all the time, or nobody was named
    holders = group.context.holders
    if release.given_up_at is None:
        release.given_up_at = holders.after(now)
    holders.need(release.given_up_at)
    seen = group.sightings(release.given_up_at)
    return seen is not None and all(group.mine(each) for each in seen)


# -- being asked for it ------------------------------------------------------------------------------------------


def _hear_wishes(group: Group, now: Instant) -> None:
    target = wishes.heard(group, now)
    if target is not None:
        _release(group, target, Reason.OPERATOR, now)


def answer_operator(group: Group, asked: FailoverAsked, now: Instant) -> None:
    """Begin a planned hand-over, or pass the wish on to the master; say at once whether that can work."""
    refusal = _begin_asked(group, asked.target, now)
    reason = Reason.ACCEPTED if refusal is None else refusal
    group.emit(Answer(asked.request_id, accepted=refusal is None, reason=reason))


def _begin_asked(group: Group, wanted: NodeName | None, now: Instant) -> Reason | None:
    if wanted is not None and group.context.member(wanted) is None:
        return Reason.UNKNOWN_NODE
    if group.state in (State.CLAIMING, State.RELEASING):
        return Reason.BUSY
    if group.state is State.MASTER:
        target, refusal = wishes.choose(group, wanted, now)
        if target is not None:
            _release(group, target, Reason.OPERATOR, now)
        return refusal
    return wishes.pass_on(group, wanted, now)
