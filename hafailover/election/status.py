"""What an operator wants to know of a node, as frozen records: who is master, and why it is or is not this node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hafailover.election.peers import Liveness
from hafailover.election.reasons import Reason
from hafailover.election.values import CheckState, GroupName, Instant, Leaving, NodeName, Resource, State

if TYPE_CHECKING:
    from hafailover.election.group import Group
    from hafailover.election.node import Node
    from hafailover.election.peers import Peer
    from hafailover.election.values import GroupAdvert


@dataclass(frozen=True, slots=True)
class ResourceStatus:
    """Who holds a resource according to the cloud; `node` None for nobody, a stranger, or not yet known."""

    resource: Resource
    holder: str | None
    node: NodeName | None
    on_guest: bool


@dataclass(frozen=True, slots=True)
class GroupOnPeer:
    """What a peer said last of a group, and why it is or is not master; `state` None where it said nothing."""

    node: NodeName
    state: State | None
    eligible: bool
    why: Reason


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """One group as this node sees it. `since` is an instant of this node's clock; `successor`: who is named."""

    name: GroupName
    state: State
    master: NodeName | None
    term: int
    since: Instant
    why: Reason
    detail: str
    priority: int
    effective_priority: int
    eligible: bool
    paused_by: tuple[NodeName, ...]
    pause_left_ms: int | None  # None: until told otherwise; 0: not paused
    hold_down_ms: int
    resources: tuple[ResourceStatus, ...]
    checks: tuple[tuple[str, int, CheckState], ...]
    successor: NodeName | None
    peers: tuple[GroupOnPeer, ...]


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """One peer as this node sees it; `config_match` None until it has been heard; `hears` is its own word.

    `dead_interval_ms`: the silence after which it counts as dead here.
    """

    node: NodeName
    liveness: Liveness
    dead_interval_ms: int
    hears_us: bool
    hears: tuple[NodeName, ...]
    config_match: bool | None
    leaving: Leaving


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """The whole node at one instant. `cloud_error` is the code of the last read if that failed, else empty."""

    node: NodeName
    drained: bool
    leaving: Leaving
    cloud_error: str
    read_age_ms: int | None
    peers: tuple[PeerStatus, ...]
    groups: tuple[GroupStatus, ...]


def status(node: Node, now: Instant) -> NodeStatus:
    """Return what there is to say of a node."""
    context = node.context
    asked_at = context.holders.asked_at
    return NodeStatus(
        node=context.me.name,
        drained=context.drained,
        leaving=context.leaving,
        cloud_error=context.holders.last_error,
        read_age_ms=None if asked_at is None else now - asked_at,
        peers=tuple(_peer(peer, node, now) for peer in context.peers),
        groups=tuple(_group(group, now) for group in node.groups.values()),
    )


def _peer(peer: Peer, node: Node, now: Instant) -> PeerStatus:
    advert = peer.advert
    return PeerStatus(
        node=peer.name,
        liveness=peer.liveness(now),
        dead_interval_ms=peer.dead_interval_ms,
        hears_us=peer.hears(node.context.me.name),
        hears=() if advert is None else advert.hears,
        config_match=None if advert is None else advert.config_digest == node.config_digest,
        leaving=Leaving.NO if advert is None else advert.leaving,
    )


def _group(group: Group, now: Instant) -> GroupStatus:
    master = group.heard_master(now)
    mine = group.state.serves
    heard = None if master is None else master.peer.name
    return GroupStatus(
        name=group.name,
        state=group.state,
        master=group.context.me.name if mine else heard,
        term=group.term,
        since=group.since,
        why=group.verdict_reason if group.state is State.BACKUP else group.reason,
        detail=_detail(group),
        priority=group.policy.priority_of(group.context.me),
        effective_priority=group.priority,
        eligible=group.advert().eligible,
        paused_by=group.pause.by(now),
        pause_left_ms=group.pause.left_ms(now),
        hold_down_ms=max(0, group.hold_down.until - now),
        resources=tuple(_resource(group, resource) for resource in group.policy.resources),
        checks=tuple((name, weight, group.tracking.states[name]) for name, weight in group.policy.checks),
        successor=None if group.release is None else group.release.successor,
        peers=tuple(_on_peer(group.name, peer, now) for peer in group.context.peers),
    )


_UNHEARD = {
    Liveness.NEVER: Reason.PEER_NEVER_HEARD,
    Liveness.DOWN: Reason.PEER_SILENT,
    Liveness.LEFT: Reason.PEER_STOPPED,
    Liveness.RESTARTING: Reason.PEER_RESTARTING,
}
_STATES = {
    State.MASTER: Reason.PEER_SERVES,
    State.RELEASING: Reason.PEER_GIVES,
    State.CLAIMING: Reason.PEER_CLAIMS,
    State.FAULT: Reason.PEER_FAULT,
}


def _on_peer(name: GroupName, peer: Peer, now: Instant) -> GroupOnPeer:
    said = peer.group(name)
    why = _why(peer, said, now)
    if said is None:
        return GroupOnPeer(peer.name, None, eligible=False, why=why)
    return GroupOnPeer(peer.name, said.state, eligible=said.eligible and peer.liveness(now).heard, why=why)


def _why(peer: Peer, said: GroupAdvert | None, now: Instant) -> Reason:
    """Return why a peer is or is not master, as far as what it says, and whether it is heard, tell."""
    liveness = peer.liveness(now)
    if liveness in _UNHEARD:
        return _UNHEARD[liveness]
    if peer.member.witness:
        return Reason.PEER_WITNESS
    if said is None:
        return Reason.PEER_KNOWS_NOT
    if said.state in _STATES:
        return _STATES[said.state]
    rules = (
        (peer.advert is not None and peer.advert.drained, Reason.PEER_DRAINED),
        (said.eligible, Reason.PEER_READY),
        (said.state is State.INIT, Reason.PEER_STARTING),
    )
    return next((reason for applies, reason in rules if applies), Reason.PEER_NOT_READY)


def _detail(group: Group) -> str:
    """Return what makes the reason concrete: the guest's complaint, the guards that object."""
    if group.guest.error:
        return group.guest.error
    return ", ".join(group.guards.denied_by) if group.guards is not None else ""


def _resource(group: Group, resource: Resource) -> ResourceStatus:
    sighting = group.context.holders.sighting(resource)
    holder = None if sighting is None else sighting.holder
    return ResourceStatus(
        resource=resource,
        holder=holder,
        node=group.context.node_holding(resource, holder),
        on_guest=resource in group.guest.carries,
    )
