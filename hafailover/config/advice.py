"""What is allowed and yet can never work, or means something that one should know: the warnings of `check`."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

from hafailover.config.model import Group
from hafailover.config.routing import MAIN_TABLE
from hafailover.election.values import Handover
from hafailover.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hafailover.config.model import Check, Config, Mqtt, Node

_DEFAULT = Group(name="default")


def warnings(config: Config) -> tuple[Problem, ...]:
    """Return what an operator should know before this configuration runs, in the order of the file."""
    found = [*_cluster(config)]
    for group in config.groups:
        at = f'group "{group.name}"'
        found += [(at + key, message) for key, message in _group(config, group, members(config, group))]
    return tuple(Problem(str(config.path), key, message) for key, message in found)


def members(config: Config, group: Group) -> list[Node]:
    """Return the nodes that may be a group's master, the best first: by priority, then by place in the file."""
    ranked = (node for node in config.nodes if node.role == "member")
    return sorted(ranked, key=lambda node: -group.priority_of(node))


def _cluster(config: Config) -> Iterator[tuple[str, str]]:
    if config.cloud.region is None:
        yield "cloud.region", f"not given: asked of the metadata service ({config.cloud.metadata_url}) at the start"
    if sum(node.role == "member" for node in config.nodes) == 1:
        yield "node", "only one node may become master: nothing can take over from it"
    if config.mqtt is not None:
        yield from _mqtt(config, config.mqtt)
    for node in config.nodes:
        if node.role == "witness":
            yield from _witness(config, node)
        elif node.eni is None:
            means = "the cloud is asked for it when the daemon starts, and must answer then"
            yield f'node "{node.name}".eni', f"not given: {means}"


def _mqtt(config: Config, mqtt: Mqtt) -> Iterator[tuple[str, str]]:
    if not mqtt.tls:
        means = "heartbeats are signed all the same; the user name, the password and the events are not"
        yield "mqtt.tls", f"false: everybody on the way can read along and write; {means}"
    if mqtt.tls and mqtt.cert_file is None and not mqtt.username:
        yield "mqtt.username", "neither user name nor certificate: the broker cannot tell who may publish what"
    if config.heartbeat.paths == ("mqtt",):
        means = "a daemon that is killed is not given restart_grace, since no host tells of it"
        yield "heartbeat.paths", f"MQTT alone: while the broker is away nobody takes over; {means}"


def _witness(config: Config, node: Node) -> Iterator[tuple[str, str]]:
    at = f'node "{node.name}"'
    for key in ("eni", "interface"):
        if getattr(node, key) is not None:
            yield f"{at}.{key}", "has no effect: a witness never has an address"
    if not any("quorum" in group.guards for group in config.groups):
        yield f"{at}.role", 'has no effect: a witness is asked by the guard "quorum", and no group has it'


def _group(config: Config, group: Group, nodes: list[Node]) -> Iterator[tuple[str, str]]:
    if not group.guards:
        means = "a cut heartbeat path alone makes another node take the addresses from a master that serves"
        yield ".guards", f"empty: {means}"
    if not group.checks:
        yield ".check", "none: a service that fails while its host and daemon live is not noticed"
    yield from _without_effect(group)
    yield from _single_writer(group)
    yield from _own_calls(group)
    if group.preempt and len(nodes) > 1 and group.priority_of(nodes[0]) == group.priority_of(nodes[1]):
        means = f'the first of them in the file ("{nodes[0].name}") always takes the mastership back'
        yield ".preempt", f"the highest priority belongs to several nodes: {means}"
    for check in group.checks:
        at = f'.check "{check.name}"'
        if check.timeout_ms == check.interval_ms:
            yield f"{at}.timeout", "as long as the interval: a service that hangs is asked without a pause"
    yield from _weights(config, group, nodes)


def _without_effect(group: Group) -> Iterator[tuple[str, str]]:
    if not group.preempt and group.preempt_delay_ms != _DEFAULT.preempt_delay_ms:
        yield ".preempt_delay", "has no effect with preempt = false"
    if group.on_isolation == "hold" and group.isolation_timeout_ms != _DEFAULT.isolation_timeout_ms:
        yield ".isolation_timeout", 'has no effect with on_isolation = "hold"'
    if group.vip_port is not None and "vip" not in group.guards:
        yield ".vip_port", 'has no effect without the guard "vip"'


def _single_writer(group: Group) -> Iterator[tuple[str, str]]:
    if group.fence == "stop-instance":
        means = "without it, and until the cloud confirms that the old master is off, nobody takes over from it"
        yield ".fence", f"the key or role needs the permission cvm:StopInstances on every member: {means}"
    if group.handover is Handover.STRICT and not group.notify.backup:
        means = "only the address is taken from the old master before the new one claims, its service runs on"
        yield ".handover", f'"strict" without the hook notify.backup: {means}'


def _own_calls(group: Group) -> Iterator[tuple[str, str]]:
    """Yield the default routes by which a master leaves with an address that may be moved away from it."""
    for route in group.routes:
        leads_all = ip_network(route.destination).prefixlen == 0 and route.table == MAIN_TABLE
        if leads_all and route.source in group.addresses:
            means = "once that is moved away and no peer is heard, this node cannot ask; better a table and a rule"
            yield ".routes", f'"{route}": the calls to the cloud leave from {route.source} too: {means}'


def _weights(config: Config, group: Group, nodes: list[Node]) -> Iterator[tuple[str, str]]:
    """Yield the checks whose weight cannot turn the order of the two best nodes, alone or with others.

    A failing check lowers its node's rank by |weight|, be the weight negative (subtracted when the check fails) or
    positive (added while it passes), see keepalived.conf(5), "track_script".
    """
    weighted = [check for check in group.checks if check.weight]
    if not group.preempt:
        for check in weighted:
            yield _at(check), "can never cause a failover: preempt = false, so a master that works is kept"
    elif len(nodes) > 1:
        ahead = group.priority_of(nodes[0]) - group.priority_of(nodes[1])
        least = _least_loss(config, nodes, ahead)
        for check in weighted:
            others = [abs(each.weight) for each in weighted if each is not check]
            if not _decides(abs(check.weight), others, least):
                lead = f'"{nodes[0].name}" leads "{nodes[1].name}" by {ahead}'
                means = f"{lead}, so the checks that fail must weigh {least} or more together"
                yield _at(check), f"can never cause a failover: {means}"


def _at(check: Check) -> str:
    return f'.check "{check.name}".weight'


def _least_loss(config: Config, nodes: list[Node], ahead: int) -> int:
    """Return the least loss of priority that puts the best node behind the second; ties go by the file's order."""
    wins_tie = config.nodes.index(nodes[0]) < config.nodes.index(nodes[1])
    return ahead + wins_tie


def _decides(weight: int, others: Iterable[int], least: int) -> bool:
    """Return whether some of the others fall short of the least loss without this weight and reach it with it."""
    losses = {0}
    for other in others:
        losses |= {loss + other for loss in losses}
    return any(loss < least <= loss + weight for loss in losses)
