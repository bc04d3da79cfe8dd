"""The other nodes that hold what a claim would take: whether they are left to go on, and who has lost them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election.guards import QUORUM, majority
from hafailover.election.peers import AUDIBLE, Liveness
from hafailover.election.values import Instant, State

if TYPE_CHECKING:
    from hafailover.election.context import Voice
    from hafailover.election.group import Group
    from hafailover.election.values import NodeName


def voices_of_holders(group: Group, now: Instant) -> list[Voice | None]:
    """Return what the other nodes that hold a resource say, None for each that is not there."""
    context = group.context
    seen = group.sightings(group.trust_after) or ()
    names = dict.fromkeys(context.node_holding(each.resource, each.holder) for each in seen)
    return [group.voice_of(name, now) for name in names if name not in (None, context.me.name)]


def unaware(group: Group, now: Instant) -> bool:
    """Return whether a holder is heard whose file has no such group.

    That files differ is no reason to move anything: they are read on one node after another.
    """
    holders = _holders(group)
    there = (peer for peer in group.context.peers if peer.name in holders and peer.confirmed)
    return any(peer.liveness(now).heard and peer.group(group.name) is None for peer in there)


def vouched(group: Group, now: Instant) -> bool:
    """Return whether a holder that was never heard here is heard by another, which hears this node too.

    Then the holder's file may just not name this node yet, which is new: its silence says nothing.
    """
    context, holders = group.context, _holders(group)
    unheard = [peer.name for peer in context.peers if peer.name in holders and peer.advert is None]
    if not unheard:
        return False
    say = (peer for peer in context.peers if peer.sure and peer.liveness(now) in AUDIBLE)
    return any(peer.hears(context.me.name) and peer.hears_any(unheard) for peer in say)


def _holders(group: Group) -> set[NodeName | None]:
    seen = group.sightings(group.trust_after) or ()
    return {group.context.node_holding(each.resource, each.holder) for each in seen}


def needs_guards(group: Group, now: Instant) -> bool:
    """Return whether the holder is somebody whose silence, and not whose word, is the reason to claim.

    That it is no master is not enough of a word where it holds everything and cannot become one: the service may
    go on under a daemon that has just started and has not reached the API yet.
    """
    return any(_is_silent_or_silenced(group, voice) for voice in voices_of_holders(group, now))


def _is_silent_or_silenced(group: Group, voice: Voice | None) -> bool:
    if voice is None or voice.liveness is not Liveness.ALIVE or not voice.peer.confirmed:
        return True
    out = voice.advert.eligible or voice.advert.state is State.FAULT
    drained = voice.peer.advert is not None and voice.peer.advert.drained
    return not out and not drained and _holds_everything(group, voice)


def _holds_everything(group: Group, voice: Voice) -> bool:
    member = voice.peer.member
    return all(each.holder == member.holder_id(each.resource) for each in group.sightings(group.trust_after) or ())


def quorum(group: Group, now: Instant) -> bool:
    """Return whether a majority of all nodes, witnesses and this one included, does not hear the holder.

    Only who hears this node has a say: one that does not knows no more of it than of the holder.
    """
    context = group.context
    if QUORUM not in group.policy.guards:
        return True
    holders = _holders(group)
    say = [peer for peer in context.peers if peer.sure and peer.liveness(now) in AUDIBLE]
    agree = sum(peer.hears(context.me.name) and not peer.hears_any(holders) for peer in say)
    return majority(1 + agree, context.size)


def left_to_them_until(group: Group, now: Instant) -> Instant:
    """Return until when holders that are there are given to go on as master, after a restart say."""
    ends = [_may_go_on_until(group, voice) for voice in voices_of_holders(group, now) if voice is not None]
    return max((*(end for end in ends if end is not None), *_silent_restarts(group, now)), default=0)


def _silent_restarts(group: Group, now: Instant) -> list[Instant]:
    """Return until when holders are waited for that are not heard yet, but whose kernel answers."""
    context = group.context
    holders = _holders(group)
    unheard = [peer for peer in context.peers if peer.name in holders and peer.advert is None]
    return [peer.grace_ends for peer in unheard if peer.liveness(now) is Liveness.RESTARTING]


def _may_go_on_until(group: Group, voice: Voice) -> Instant | None:
    """Return until when one holder is waited for, None where it has said that it will not.

    So is one whose words are not confirmed yet: that it is at fault, or drained, may be a recording. One that has
    not been there for long and is not able to yet may just not have reached the API. Where another has claimed
    meanwhile and lost, both wait from then on: who has a part and who has the rest would else begin in step.
    """
    peer = voice.peer
    grace_ms = peer.restart_grace_ms
    if peer.advert is None or group.absent_since is None or (peer.sure and peer.advert.drained):
        return None
    since = max(group.absent_since, group.hindered_at, peer.present_since, peer.unsure_since or 0)
    if not peer.sure or voice.advert.state is State.INIT:
        return since + grace_ms
    if voice.advert.state is State.BACKUP:
        return (since if voice.advert.eligible else peer.present_since) + grace_ms
    return None
