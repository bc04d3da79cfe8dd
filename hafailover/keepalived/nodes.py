"""Nodes: who they are, out of the files of one or several of them. PURE."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from hafailover.config.schema import MOST_NODES
from hafailover.keepalived import numbers
from hafailover.keepalived.draft import NodeDraft

if TYPE_CHECKING:
    from hafailover.keepalived.facts import Instance, View
    from hafailover.keepalived.remarks import Remarks

_OF_SAMPLES = {"LVS_DEVEL", "keepalived"}  # what sample files call every node, and the name of every file
_STEP = 10  # of a guessed priority
_LEAST, _MOST = 1, 255


def make(views: list[View], remarks: Remarks) -> list[NodeDraft]:
    """Return a node for each view, and one for each peer that has no view; at least two."""
    nodes: list[NodeDraft] = []
    for view, name in zip(views, _names(views), strict=True):
        nodes.append(_node(view, name, views, remarks))
    if all(node.host for node in nodes) or len(nodes) == 1:
        _add_peers(views[0], nodes, remarks)
    if len(nodes) == 1:
        nodes.append(_unknown(views[0].instances[0], nodes[0], remarks))
    return nodes


def _add_peers(view: View, nodes: list[NodeDraft], remarks: Remarks) -> None:
    """Add the peers that have no file of their own; heartbeats take one path, that of the first instance."""
    own = {node.host for node in nodes}
    for instance in view.instances:
        aside = instance.source not in ("", nodes[0].host)
        for host in instance.peers:
            if aside:
                how = f"heartbeats are sent from {nodes[0].host} only, once for all groups"
                remarks.changed(instance.at.all("unicast_peer")[-1], how)
            elif host not in own and len(nodes) < MOST_NODES:
                own.add(host)
                nodes.append(_peer(instance, host, nodes, remarks))


def _names(views: list[View]) -> list[str]:
    """Return the nodes' names: the config ids, else the router_ids, else the files' names, else node-a and on."""
    router_ids = [each.value if (each := view.global_value("router_id")) else "" for view in views]
    stems = [PurePath(view.file).name.partition(".")[0] for view in views]
    for candidates in ([view.config_id for view in views], router_ids, stems):
        names = [numbers.name(candidate) for candidate in candidates]
        if all(candidates) and len(set(names)) == len(names) and not _OF_SAMPLES & set(names):
            return names
    return [f"node-{letter}" for letter in "abcdefghijklmnop"[: len(views)]]


def _node(view: View, name: str, views: list[View], remarks: Remarks) -> NodeDraft:
    first = view.instances[0]
    node = NodeDraft(name, host=_host(view, views), interface=first.interface)
    node.priority = within(first.priority)
    for line in first.at.all("priority"):
        remarks.carried(line, f'node "{name}"')
    if not node.host:
        remarks.fill(first.at, f'the heartbeat address of node "{name}" (unicast_src_ip is not given)')
    for line in first.at.all("unicast_src_ip"):
        remarks.carried(line, f'the heartbeat address of node "{name}"')
    _say_interfaces(view, node, remarks)
    return node


def _host(view: View, views: list[View]) -> str:
    """Return the address that a node's heartbeats come from: as it says, or the only one that others name."""
    for instance in view.instances:
        if instance.source:
            return instance.source
    others = [each for each in views if each is not view]
    sources = {instance.source for each in others for instance in each.instances}
    named = {peer for each in others for instance in each.instances for peer in instance.peers} - sources
    return named.pop() if len(named) == 1 else ""


def _say_interfaces(view: View, node: NodeDraft, remarks: Remarks) -> None:
    for instance in view.instances:
        for line in instance.at.all("interface"):
            if line.value == node.interface:
                remarks.carried(line, f'node "{node.name}"; must be that of its ENI')
            else:
                remarks.changed(line, f'a node has one ENI that takes addresses, here that of "{node.interface}"')


def _peer(instance: Instance, host: str, nodes: list[NodeDraft], remarks: Remarks) -> NodeDraft:
    name = numbers.name(f"node-{'abcdefghijklmnopqrstuvwxyz'[len(nodes) % 26]}", {node.name for node in nodes})
    line = instance.at.all("unicast_peer")[-1]
    guess = guessed(instance, [node.priority for node in nodes])
    remarks.fill(
        line, f'the name and priority of the node at {host} (here "{name}" and {guess}), or give its file too'
    )
    return NodeDraft(name, host=host, interface=nodes[0].interface, priority=guess)


def within(priority: int) -> int:
    """Return the nearest priority that a node can have."""
    return max(_LEAST, min(_MOST, priority))


def guessed(instance: Instance, known: list[int]) -> int:
    """Return a priority for a node of which no file is there: keepalived's MASTER has mostly the highest."""
    state = next((line.value for line in instance.at.all("state")), "BACKUP")
    below = state.upper() == "MASTER" or len(known) > 1
    return within(min(known) - _STEP if below else max(known) + _STEP)


def _unknown(instance: Instance, node: NodeDraft, remarks: Remarks) -> NodeDraft:
    remarks.fill(instance.at, "the other node: there is no unicast_peer, and a VPC carries no multicast")
    return NodeDraft("node-b", interface=node.interface, priority=guessed(instance, [node.priority]))
