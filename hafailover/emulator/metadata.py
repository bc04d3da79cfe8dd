"""The CVM metadata service with the credentials of the instances' roles (CVM document 213/4934).

An instance is told by the first part of the path (/ins-xxxxxxxx/latest/meta-data/...), else by the client's
address: one that was mapped to it, or one that its ENIs carry. Paths are case sensitive, what is not there is 404.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hafailover.emulator.reads import ACCOUNT_ID
from hafailover.http1 import Delivery, Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hafailover.emulator.network import Eni, Instance, Network
    from hafailover.emulator.service import Service

VERSIONS = ("1.0", "2017-09-19", "latest")

Leaf = "str | Callable[[], str]"
Tree = dict[str, "str | Callable[[], str] | Tree"]


class Metadata:
    """Answers the metadata requests of all instances; `sources` maps client addresses to instance ids."""

    def __init__(self, service: Service, sources: Mapping[str, str] | None = None) -> None:
        self._service = service
        self._sources = dict(sources or {})

    async def handle(self, request: Request) -> Response:
        """Answer one HTTP request."""
        settings = self._service.settings
        await asyncio.sleep(settings.metadata_latency_ms / 1000)
        if settings.metadata_down:
            return Response(delivery=Delivery(reset=True))
        if request.method not in ("GET", "HEAD"):
            return Response(405, b"GET is what there is\n")
        parts = request.path.split("/")[1:]
        instance = self._instance(parts, request.peer)
        node = None if instance is None else _walk(self._root(instance), parts)
        if node is None:
            return Response(404, b"Not Found\n")
        return Response(200, _text(node).encode(), "text/plain")

    def _instance(self, parts: list[str], peer: str) -> Instance | None:
        """Return who asks, and take the prefix off the path."""
        network = self._service.model.network
        if parts[0] in network.instances:
            return network.instances[parts.pop(0)]
        holder = self._sources.get(peer) or _by_address(network, peer)
        return network.instances.get(holder or "")

    def _root(self, instance: Instance) -> Tree:
        data = self._data(instance)
        versions: Tree = {version: {"meta-data": data} for version in VERSIONS}
        return {**versions, "meta-data": data}

    def _data(self, instance: Instance) -> Tree:
        network = self._service.model.network
        enis = network.enis_of(instance.id)
        tree: Tree = {
            "app-id": "1250000000",
            "instance-id": instance.id,
            "instance-name": instance.name,
            "placement": {"region": network.region, "zone": instance.zone},
            "network": {"interfaces": {"macs": {eni.mac: _eni_tree(network, eni) for eni in enis}}},
        }
        for eni in enis:
            if eni.primary:
                tree.update({"local-ipv4": eni.ips[0].address, "mac": eni.mac})
        if instance.termination_time:
            tree["spot"] = {"termination-time": instance.termination_time}
        if instance.role:
            roles: Tree = {instance.role: lambda: self._credentials(instance)}
            tree["cam"] = {"security-credentials": roles}
        return tree

    def _credentials(self, instance: Instance) -> str:
        key = self._service.keys.issue(instance.id, self._service.now_s())
        expires_s = key.expires_s or 0
        return json.dumps(
            {
                "TmpSecretId": key.secret_id,
                "TmpSecretKey": key.secret_key,
                "ExpiredTime": expires_s,
                "Expiration": datetime.fromtimestamp(expires_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "Token": key.token,
                "Code": "Success",
            }
        )


def _by_address(network: Network, address: str) -> str | None:
    return next((eni.instance_id for eni, _ip in network.carriers(address)), None)


def _eni_tree(network: Network, eni: Eni) -> Tree:
    subnet = network.subnets[eni.subnet_id]
    eips = {ip.address: network.eip_of(eni.vpc_id, ip.address) for ip in eni.ips}
    addresses: Tree = {}
    for ip in eni.ips:
        eip = eips[ip.address]
        addresses[ip.address] = {
            "gateway": subnet.gateway,
            "local-ipv4": ip.address,
            "public-ipv4": eip.address if eip else "",
            "public-ipv4-mode": "NAT" if eip else "",
            "subnet-mask": str(subnet.cidr.netmask),
        }
    primary = next((ip.address for ip in eni.ips if ip.primary), "")
    return {
        "local-ipv4s": addresses,
        "mac": eni.mac,
        "vpc-id": eni.vpc_id,
        "subnet-id": eni.subnet_id,
        "owner-id": ACCOUNT_ID,
        "primary-local-ipv4": primary,
        "public-ipv4s": "\n".join(eip.address for eip in eips.values() if eip),
    }


def _walk(root: Tree, parts: list[str]) -> str | Callable[[], str] | Tree | None:
    """Return what is at a path; one slash may stand behind a directory, and none behind a value."""
    node: str | Callable[[], str] | Tree | None = root
    for place, part in enumerate(parts):
        if not isinstance(node, dict):
            return None
        if part == "" and place == len(parts) - 1:
            return node
        node = node.get(part)
    return node


def _text(node: str | Callable[[], str] | Tree) -> str:
    if isinstance(node, dict):
        return "\n".join(f"{name}/" if isinstance(child, dict) else name for name, child in node.items())
    return node if isinstance(node, str) else node()
