"""The least that the cloud must allow: the CAM policy and the security group rules of one configuration. PURE.

Which actions can be limited to which resources is the API's choice (VPC and CVM documents, "resource types that
can be authorised"): reads need "*", writes on addresses name the ENIs on both sides, StopInstances the instances.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hafailover.cloud.plan import Verb, action_of
from hafailover.election.values import ResourceKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hafailover.config.model import Config, Node

# Reads with which a node sees beforehand whether a failover to it would work: doctor's, and the first the daemon's.
FORESIGHT = ("vpc:DescribeNetworkInterfaceLimit", "vpc:DescribeSubnets", "vpc:DescribeHaVips")
WRITES = {"migrate": (Verb.MIGRATE, Verb.TAKE), "reassign": (Verb.RELEASE, Verb.TAKE)}


@dataclass(frozen=True, slots=True)
class Rule:
    """What a security group of a node must let in: `port` over `protocol` from an address; `what` it is for."""

    node: str
    protocol: str
    port: int
    source: str
    what: str


def missing(config: Config) -> tuple[str, ...]:
    """Return the keys that the file leaves to the cloud and without which no policy can name its resources."""
    keys = ["cloud.region"] if config.cloud.region is None else []
    for node in _members(config):
        keys += [f'eni of node "{node.name}"'] if node.eni is None else []
        keys += [f'instance_id of node "{node.name}"'] if _fenced(config) and node.instance_id is None else []
    return tuple(keys)


def policy(config: Config, account: str) -> dict[str, Any]:
    """Return the policy document for the role of all nodes; `account` is the id of the main account (uin)."""
    members, region = _members(config), config.cloud.region
    enis = [f"qcs::vpc:{region}:uin/{account}:eni/{node.eni}" for node in members]
    instances = [f"qcs::cvm:{region}:uin/{account}:instance/{node.instance_id}" for node in members]
    statements = [_allow(_reads(config), ["*"])]
    if any(group.addresses for group in config.groups):
        verbs = WRITES[config.cloud.strategy]
        statements.append(_allow([f"vpc:{action_of(ResourceKind.ADDRESS, verb)}" for verb in verbs], enis))
    if _fenced(config):
        statements.append(_allow(["cvm:StopInstances"], instances))
    return {"version": "2.0", "statement": statements}


def rules(config: Config) -> tuple[Rule, ...]:
    """Return what each node's security group must let in from the others."""
    return tuple(
        rule
        for node in config.nodes
        for other in config.nodes
        if other is not node
        for rule in _rules(config, node, other)
    )


def _rules(config: Config, node: Node, other: Node) -> Iterator[Rule]:
    yield Rule(node.name, "UDP", node.port, other.host, "heartbeats")
    if "witness" in (node.role, other.role):
        return
    ports = {group.vip_port for group in config.groups if "vip" in group.guards and group.vip_port is not None}
    for port in sorted(ports):
        yield Rule(node.name, "TCP", port, other.host, 'the guard "vip"')


def _reads(config: Config) -> list[str]:
    states = _fenced(config) or any("cloud" in group.guards for group in config.groups)
    reads = ["vpc:DescribeNetworkInterfaces", "vpc:DescribeVpcTaskResult", *FORESIGHT]
    return [*reads, "cvm:DescribeInstancesStatus"] if states else reads


def _allow(actions: Iterable[str], resources: Iterable[str]) -> dict[str, Any]:
    return {"effect": "allow", "action": list(actions), "resource": list(resources)}


def _members(config: Config) -> list[Node]:
    return [node for node in config.nodes if node.role != "witness"]


def _fenced(config: Config) -> bool:
    return any(group.fence == "stop-instance" for group in config.groups)
