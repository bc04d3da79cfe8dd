"""The groups of one node: those of the file at the daemon's start, and those that come and go while it runs.

A group that comes begins as at a daemon's start: it listens, has the holders read, and takes nothing blindly. One
that goes is let go of and not handed over, for nobody is to have it after this node. What it has stays where the
cloud has it, and this node's guest goes on answering for what the cloud may still send here: to stop managing an
address is no reason to take it from its users. All else comes off, and nothing is told of the group any more.

What is remembered of a group that has gone is what could do harm if it were forgotten: its term, and what one of
the same name may not ask for yet. A claim or hand-over should have ended before; the shell sees to that. Where one
has begun meanwhile, what it has sent may still take effect, and no group that comes asks for anything before that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election.effects import GroupDismissed
from hafailover.election.group import Group
from hafailover.election.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from hafailover.election.context import Context
    from hafailover.election.effects import Effect
    from hafailover.election.values import GroupName, Instant, NodeName, Policy, Resource


def gather(policies: Iterable[Policy], context: Context, now: Instant, *, lost: bool) -> dict[GroupName, Group]:
    """Return the groups of a daemon that starts; `lost`: what it should remember of them could not be read."""
    return {policy.group: _admit(policy, context, now, doubtful=lost) for policy in policies}


def change(
    groups: Mapping[GroupName, Group], policies: Iterable[Policy], context: Context, now: Instant
) -> tuple[dict[GroupName, Group], list[Effect]]:
    """Return the groups of another version of the file, and what is to be done about those that it leaves out."""
    wanted = {policy.group: policy for policy in policies}
    going = [group for group in groups.values() if group.name not in wanted]
    doubtful = any(unsettled(group, now) for group in going)
    effects = [effect for group in going for effect in _dismiss(group, wanted, now)]
    kept: dict[GroupName, Group] = {}
    for name, policy in wanted.items():
        group = groups.get(name)
        if group is None:
            group = _admit(policy, context, now, doubtful=doubtful)
            context.holders.need(context.holders.after(now))
        else:
            group.reconfigure(policy)
        kept[name] = group
    return kept, [*effects, *_mark(kept.values(), context)]


def unsettled(group: Group, now: Instant) -> bool:
    """Return whether a claim or hand-over of the group is under way here, or a move whose end is not known."""
    return group.claim is not None or group.release is not None or group.ledger.open_until(now) is not None


def staying(group: Group) -> tuple[Resource, ...]:
    """Return what stays on this node's guest if the group goes: all but what the cloud has given to others."""
    seen = {each: group.context.holders.sighting(each) for each in group.guest.carries}
    return tuple(each for each, said in seen.items() if said is None or not said.settled or group.mine(said))


def _admit(policy: Policy, context: Context, now: Instant, *, doubtful: bool) -> Group:
    group = Group(policy, context, now)
    remembered = context.memory_of(group.name)
    group.term = remembered.term
    if remembered.moving or doubtful:
        group.ledger.inherit(policy.resources, now)
    if remembered.held or doubtful:
        group.returns.had(policy.resources, now)
    return group


def _mark(groups: Iterable[Group], context: Context) -> Iterator[Effect]:
    """Note on disk what a pair needs not: a third node has come, and the return rule with it."""
    for group in groups:
        memory = context.memory_of(group.name)
        if group.returns.entangled and not memory.held:
            yield context.remember(group.name, memory.term, moving=memory.moving, held=True)


def blocks(name: NodeName, groups: Iterable[Group], context: Context, now: Instant) -> Reason | None:
    """Return why a node may not be left out of the file now, None where it may.

    What it does would look like a stranger's doing, and it would miss who speaks to it no longer and claim.
    """
    peer = context.peers.get(name)
    if peer is None:
        return None
    if peer.advert is not None and peer.liveness(now).heard:
        return Reason.NODE_RUNS
    life_ms = context.timing.request_life_ms
    for group in groups:
        seen = (context.holders.sighting(each) for each in group.policy.resources)
        if any(each is not None and each.holder == peer.member.holder_id(each.resource) for each in seen):
            return Reason.NODE_HOLDS
        said = peer.group(group.name)
        if said is not None and said.moving and now - (peer.last_heard or 0) < life_ms:
            return Reason.NODE_MOVES
    return None


def _dismiss(group: Group, remaining: Collection[GroupName], now: Instant) -> tuple[Effect, ...]:
    context, stays = group.context, staying(group)
    for resource in tuple(group.guest.carries):
        if resource not in stays:
            group.guest.disarm(resource)
    group.emit(context.retire(group.name, group.term, remaining, moving=unsettled(group, now)))
    context.forget(group.name, group.policy.resources)
    group.emit(GroupDismissed(group.name, group.state, stays))
    return group.drain()
