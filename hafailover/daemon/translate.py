"""From what the file says to what the election understands."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hafailover.cloud.dating import GRAIN_S, life_s
from hafailover.config.model import Announced, Notify
from hafailover.election.values import GroupName, Member, NodeName, Policy, Resource, ResourceKind, Timing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hafailover.config.model import Config, Group, Node


def timing(config: Config) -> Timing:
    """Return the cluster's intervals."""
    heartbeat = config.heartbeat
    return Timing(
        interval_ms=heartbeat.interval_ms,
        dead_interval_ms=heartbeat.dead_interval_ms,
        restart_grace_ms=heartbeat.restart_grace_ms,
        audit_interval_ms=config.cloud.audit_interval_ms,
        request_life_ms=int(1000 * (life_s(config.cloud.timeout_ms / 1000) + GRAIN_S)),
    )


def members(config: Config, enis: Mapping[str, str], instances: Mapping[str, str]) -> tuple[Member, ...]:
    """Return the nodes in file order; the mappings give the ids of the ENI and the instance of each by its name.

    Where no instance is given it is the file's, if that names one: only groups with ENIs need it.
    """
    return tuple(
        _member(node, order, enis[node.name], instances.get(node.name, node.instance_id or ""))
        for order, node in enumerate(config.nodes)
    )


def _member(node: Node, order: int, eni_id: str, instance_id: str) -> Member:
    return Member(
        name=NodeName(node.name),
        order=order,
        priority=node.priority,
        eni_id=eni_id,
        instance_id=instance_id,
        witness=node.role == "witness",
    )


def policies(config: Config) -> tuple[Policy, ...]:
    """Return how each group wants to be treated, in file order."""
    return tuple(_policy(group) for group in config.groups)


def resources(group: Group) -> tuple[Resource, ...]:
    """Return what moves for a group."""
    addresses = (Resource(ResourceKind.ADDRESS, address) for address in group.addresses)
    enis = (Resource(ResourceKind.ENI, eni) for eni in group.enis)
    return (*addresses, *enis)


def _policy(group: Group) -> Policy:
    return Policy(
        group=GroupName(group.name),
        resources=resources(group),
        priorities=tuple((NodeName(name), priority) for name, priority in group.priorities),
        preempt=group.preempt,
        preempt_delay_ms=group.preempt_delay_ms,
        startup_delay_ms=group.startup_delay_ms,
        handover=group.handover,
        demote_when_isolated=group.on_isolation == "demote",
        isolation_timeout_ms=group.isolation_timeout_ms,
        hold_down_ms=group.hold_down_ms,
        guards=group.guards,
        checks=tuple((check.name, check.weight) for check in group.checks),
        fence=group.fence == "stop-instance",
        hook_timeout_ms=group.notify.timeout_ms * (2 if group.notify.notify else 1),
        promote=bool(group.notify.promote),
    )


def for_witness(config: Config) -> Config:
    """Return the file as a witness lives by it: it holds nothing, so it checks, runs and configures nothing.

    Nor does it ask the cloud anything, so that a region that is not given need not be looked for.
    """
    groups = tuple(
        replace(group, routes=(), rules=(), guards=(), fence="none", guest="none", checks=(), notify=Notify())
        for group in config.groups
    )
    cloud = replace(config.cloud, region=config.cloud.region or "none")
    return replace(config, groups=groups, cloud=cloud, announced=Announced())
