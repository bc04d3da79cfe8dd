"""Wishes for a planned hand-over: an operator's, told to this node or by a peer, and passed on to the master."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election.ranking import ranked
from hafailover.election.reasons import Reason
from hafailover.election.values import Instant, NodeName, Wish

if TYPE_CHECKING:
    from hafailover.election.group import Group

WISH_MS = 5_000  # for how long a wish is repeated to the master


def heard(group: Group, now: Instant) -> NodeName | None:
    """Return to whom a peer's new wish asks this master to hand over, None where none asks for what can be done."""
    for wish in new_wishes(group, now):
        target, _ = choose(group, wish.target, now)
        if target is not None:
            return target
    return None


def new_wishes(group: Group, now: Instant) -> list[Wish]:
    """Return the peers' new wishes. Noted in any state, for each is meant for who is master when it is told."""
    new = []
    for voice in group.voices(now):
        wish, name = voice.advert.wish, voice.peer.name
        if wish is not None and voice.peer.confirmed and group.wishes_seen.get(name) != wish.serial:
            group.wishes_seen[name] = wish.serial
            new.append(wish)
    return new


def pass_on(group: Group, wanted: NodeName | None, now: Instant) -> Reason | None:
    """Tell the master of a wish that this node cannot carry out itself; return why not, None where it is told."""
    master = group.heard_master(now)
    if master is None or not master.peer.confirmed:
        return Reason.NO_MASTER
    if wanted == master.peer.name:
        return Reason.ALREADY_MASTER
    refusal = _judge_target(group, wanted, master.peer.name, now)
    if refusal is not None:
        return refusal
    serial = now if group.wish is None else max(group.wish.serial + 1, now)
    group.wish = Wish(serial=serial % 2**32, target=wanted)
    group.wish_until = now + WISH_MS
    return None


def _judge_target(group: Group, wanted: NodeName | None, master: NodeName, now: Instant) -> Reason | None:
    """Return why, as far as this node can tell, the master will find nobody to hand over to."""
    able = [candidate.name for candidate in group.candidates(now) if candidate.name != master]
    if group.advert().eligible:
        able.append(group.context.me.name)
    if wanted is None:
        return None if able else Reason.NO_CANDIDATE
    if wanted in able:
        return None
    there = wanted == group.context.me.name or group.voice_of(wanted, now) is not None
    return Reason.TARGET_NOT_READY if there else Reason.TARGET_UNREACHABLE


def choose(group: Group, wanted: NodeName | None, now: Instant) -> tuple[NodeName | None, Reason | None]:
    """Return who is to take over, or why nobody can."""
    candidates = ranked(group.candidates(now))
    if wanted is None:
        return (candidates[0].name, None) if candidates else (None, Reason.NO_CANDIDATE)
    if wanted == group.context.me.name:
        return None, Reason.ALREADY_MASTER
    if any(candidate.name == wanted for candidate in candidates):
        return wanted, None
    heard = group.voice_of(wanted, now) is not None
    return None, Reason.TARGET_NOT_READY if heard else Reason.TARGET_UNREACHABLE
