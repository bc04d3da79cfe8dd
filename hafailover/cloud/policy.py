"""The least that the cloud must allow: the CAM policy and the security group rules of one configuration. PURE.

Which actions can be limited to which resources is the API's choice (VPC and CVM documents, "resource types that
can be authorised"): reads need "*", writes on addresses name the ENIs on both sides, those on ENIs the ENI and the
instances on both sides, StopInstances the instances. An EIP is bound again with AssociateAddress, for which the
documents name no resource.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hafailover.cloud import announced
from hafailover.cloud.plan import Verb, action_of, is_ipv6
from hafailover.election.values import Resource, ResourceKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hafailover.config.model import Config, Node

# Reads with which a node sees beforehand whether a failover to it would work: doctor's, and the first the daemon's.
FORESIGHT = ("vpc:DescribeNetworkInterfaceLimit", "vpc:DescribeSubnets", "vpc:DescribeHaVips")
WRITES = {"migrate": (Verb.MIGRATE, Verb.TAKE), "reassign": (Verb.RELEASE, Verb.TAKE)}
EIP_READS = ("vpc:DescribeAddresses", "vpc:DescribeTaskResult")
EIP_WRITES = ("vpc:AssociateAddress",)


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
    instances = _fenced(config) or bool(_enis(config))
    for node in _members(config):
        keys += [f'eni of node "{node.name}"'] if _addresses(config) and node.eni is None else []
        keys += [f'instance_id of node "{node.name}"'] if instances and node.instance_id is None else []
    return tuple(keys)


def policy(config: Config, account: str) -> dict[str, Any]:
    """Return the policy document for the role of all nodes; `account` is the id of the main account (uin)."""
    members = _members(config)
    instances = _described(config, account, "cvm", "instance", (str(node.instance_id) for node in members))
    statements = [_allow(_reads(config), ["*"])]
    if addresses := _addresses(config):
        enis = _described(config, account, "vpc", "eni", (str(node.eni) for node in members))
        statements.append(_allow(_writes(config, addresses), enis))
    if moving := _enis(config):
        enis = _described(config, account, "vpc", "eni", (eni.id for eni in moving))
        statements.append(_allow(_writes(config, moving), [*enis, *instances]))
    if releases_eips(config):
        statements.append(_allow(EIP_WRITES, ["*"]))
    if _fenced(config):
        statements.append(_allow(["cvm:StopInstances"], instances))
    return {"version": "2.0", "statement": statements}


def _described(config: Config, account: str, product: str, kind: str, ids: Iterable[str]) -> list[str]:
    return [f"qcs::{product}:{config.cloud.region}:uin/{account}:{kind}/{each}" for each in ids]


def verbs_of(config: Config, resource: Resource) -> tuple[Verb, ...]:
    """Return what moves a resource, each once; an ENI that cannot be migrated is detached and attached."""
    verbs = WRITES["reassign" if is_ipv6(resource) else config.cloud.strategy]
    fallback = (Verb.RELEASE,) if resource.kind is ResourceKind.ENI else ()
    return tuple(dict.fromkeys((*verbs, *fallback)))


def _writes(config: Config, resources: Iterable[Resource]) -> list[str]:
    actions = (f"vpc:{action_of(resource, verb)}" for resource in resources for verb in verbs_of(config, resource))
    return list(dict.fromkeys(actions))


def _addresses(config: Config) -> list[Resource]:
    return [Resource(ResourceKind.ADDRESS, each) for group in config.groups for each in group.addresses]


def _enis(config: Config) -> list[Resource]:
    return [Resource(ResourceKind.ENI, each) for group in config.groups for each in group.enis]


def releases_eips(config: Config) -> bool:
    """Return whether a move unbinds EIPs, so that they have to be bound again."""
    return config.cloud.strategy == "reassign" and any(not is_ipv6(each) for each in _addresses(config))


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
    return [
        "vpc:DescribeNetworkInterfaces",
        "vpc:DescribeVpcTaskResult",
        *FORESIGHT,
        *(EIP_READS if releases_eips(config) else ()),
        *(("cvm:DescribeInstancesStatus",) if states else ()),
        *((f"cvm:{announced.ACTION}",) if "repair" in config.announced.sources else ()),
    ]


def _allow(actions: Iterable[str], resources: Iterable[str]) -> dict[str, Any]:
    return {"effect": "allow", "action": list(actions), "resource": list(resources)}


def _members(config: Config) -> list[Node]:
    return [node for node in config.nodes if node.role != "witness"]


def _fenced(config: Config) -> bool:
    return any(group.fence == "stop-instance" for group in config.groups)
