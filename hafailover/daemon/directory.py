"""What the cloud says of the nodes' ENIs, and of those that move: as of the last read."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

import structlog

from hafailover.cloud import survey
from hafailover.cloud.lookup import eni_of
from hafailover.cloud.plan import sightings
from hafailover.election.values import ResourceKind
from hafailover.errors import CloudError, GuestError, StartError
from hafailover.guest.interface import Interface

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hafailover.cloud.client import Cloud
    from hafailover.cloud.replies import Eni, Subnet
    from hafailover.config.model import Node
    from hafailover.election.values import Resource, Sighting

ENI_RETRY_S = 2.0

log = structlog.get_logger()


class Directory:
    """The ENIs of all nodes, and those that move; every read of the holders brings them up to date.

    An address that no node's ENI has may be on somebody else's: then, and only then, that is asked too.
    `instances` are those of the nodes, as far as they are known.
    """

    def __init__(self, eni_ids: Iterable[str], instances: Iterable[str] = ()) -> None:
        self.configure(eni_ids, instances)
        self._enis: dict[str, Eni] = {}
        self._subnets: dict[str, Subnet] = {}
        self._asking = asyncio.Lock()

    def configure(self, eni_ids: Iterable[str], instances: Iterable[str]) -> None:
        """Take the nodes of another version of the file."""
        self._eni_ids = tuple(eni_id for eni_id in eni_ids if eni_id)
        self._instances = frozenset(instances)

    @property
    def enis(self) -> tuple[Eni, ...]:
        """All that were described in the last read."""
        return tuple(self._enis.values())

    async def read(self, cloud: Cloud, resources: Sequence[Resource]) -> tuple[Sighting, ...]:
        """Ask the cloud once for everything, and again where an address is on no node's ENI. Raises CloudError."""
        moving = [resource.id for resource in resources if resource.kind is ResourceKind.ENI]
        enis = await cloud.describe_enis([*self._eni_ids, *moving])
        self._enis = {eni.id: eni for eni in enis}
        seen = sightings(resources, enis)
        vacant = [
            each.resource for each in seen if each.holder is None and each.resource.kind is ResourceKind.ADDRESS
        ]
        elsewhere = {each.resource: each for each in await self._elsewhere(cloud, vacant)}
        return tuple(elsewhere.get(each.resource, each) for each in seen)

    async def _elsewhere(self, cloud: Cloud, vacant: Sequence[Resource]) -> tuple[Sighting, ...]:
        """Say who has these addresses in the nodes' subnets, as far as that can be told.

        Without an answer they count as nobody's: the cloud gives away no address that is in use.
        """
        nodes = [self._enis[eni_id] for eni_id in self._eni_ids if eni_id in self._enis]
        subnets = sorted({eni.subnet_id for eni in nodes if eni.subnet_id})
        if not vacant or not subnets:
            return ()
        try:
            return sightings(vacant, await cloud.carriers([each.id for each in vacant], subnets))
        except CloudError:
            return ()

    def is_stranger(self, resource: Resource, holder: str | None) -> bool:
        """Return whether an address is on an ENI, or an ENI on an instance, that is no node's."""
        ours = self._eni_ids if resource.kind is ResourceKind.ADDRESS else self._instances
        return holder is not None and holder not in ours

    async def learn_subnets(self, cloud: Cloud) -> None:
        """Ask for the subnets of all secondary ENIs, all at once, unless they are known. Raises CloudError."""
        async with self._asking:
            unknown = {eni.subnet_id for eni in self._enis.values() if not eni.primary} - self._subnets.keys()
            if unknown:
                self._subnets.update({each.id: each for each in await survey.subnets(cloud, sorted(unknown))})

    async def interface(self, eni_id: str, cloud: Cloud) -> Interface:
        """Return a secondary ENI as the guest is to have it; its subnet is asked for once.

        Raises CloudError, GuestError.
        """
        eni = self._enis.get(eni_id)
        if eni is None:
            raise GuestError(f"the cloud describes no {eni_id}")
        if eni.primary:
            raise GuestError(f"{eni_id} is a primary ENI, which belongs to its CVM for good")
        await self.learn_subnets(cloud)
        known = self._subnets.get(eni.subnet_id)
        if known is None:
            raise GuestError(f"the cloud describes no {eni.subnet_id}, the subnet of {eni_id}")
        try:
            network = IPv4Network(known.cidr, strict=False)
        except ValueError:
            raise GuestError(f"the cloud gives {known.id} the address range {known.cidr}, which is none") from None
        ordered = sorted(eni.addresses, key=lambda each: (":" in each.ip, not each.primary))
        return Interface(
            mac=eni.mac,
            addresses=tuple(each.ip for each in ordered if each.state not in ("DELETING", "PENDING")),
            prefix=network.prefixlen,
            gateway=str(network.network_address + 1),
            own=eni_id in self._eni_ids,
        )

    def is_secondary(self, eni_id: str) -> bool:
        """Return whether an ENI is a secondary one, as far as the cloud has said."""
        eni = self._enis.get(eni_id)
        return eni is not None and not eni.primary

    def addresses(self, eni_id: str) -> tuple[str, ...]:
        """Return the IPv4 addresses of an ENI as last read."""
        eni = self._enis.get(eni_id)
        return () if eni is None else tuple(each.ip for each in eni.addresses if ":" not in each.ip)

    def eni_of_mac(self, mac: str) -> str | None:
        """Return the ENI with this MAC address as last read."""
        return next((eni.id for eni in self._enis.values() if eni.mac == mac), None)

    def mac(self, eni_id: str) -> str | None:
        """Return an ENI's MAC address in lower case, None before the first read."""
        eni = self._enis.get(eni_id)
        return None if eni is None else eni.mac

    def instance_behind(self, resource: Resource, holder: str) -> str | None:
        """Return the instance that stands behind the holder of a resource, None where it is not known."""
        return holder if resource.kind is ResourceKind.ENI else self.instance(holder)

    def instance(self, eni_id: str | None) -> str | None:
        """Return the instance that an ENI is attached to, None where it is not known."""
        eni = None if eni_id is None else self._enis.get(eni_id)
        return None if eni is None else eni.instance_id


async def find_instances(nodes: Sequence[Node], enis: Mapping[str, str], cloud: Cloud) -> dict[str, str]:
    """Return each member's instance by its name, from the file or, however long it takes, from the cloud.

    Raises StartError where a node's ENI is attached to none.
    """
    instances = {node.name: node.instance_id for node in nodes if node.instance_id}
    unknown = [node.name for node in nodes if node.name not in instances and enis[node.name]]
    while unknown:
        try:
            described = {eni.id: eni for eni in await cloud.describe_enis([enis[name] for name in unknown])}
        except CloudError as error:
            log.error("instances_unknown", nodes=unknown, code=error.code, detail=error.detail)  # noqa: TRY400 - one line
            await asyncio.sleep(ENI_RETRY_S)
            continue
        for name in unknown:
            eni = described.get(enis[name])
            if eni is None or eni.instance_id is None:
                raise StartError(f"node {name}: its ENI {enis[name]} is attached to no instance")
            instances[name] = eni.instance_id
        break
    return instances


async def find_enis(nodes: Sequence[Node], me: Node, instance_id: str | None, cloud: Cloud) -> dict[str, str]:
    """Return each node's ENI by its name, from the file or, however long it takes, from the cloud.

    A witness has none, and needs nobody's. Raises StartError where the cloud names none, or several.
    """
    enis = {node.name: "" for node in nodes if "witness" in (node.role, me.role)}
    for node in nodes:
        while node.name not in enis:
            try:
                eni = await eni_of(node, instance_id if node is me else None, cloud)
            except CloudError as error:
                log.error("eni_unknown", node=node.name, code=error.code, detail=error.detail)  # noqa: TRY400 - one line
                await asyncio.sleep(ENI_RETRY_S)
                continue
            if eni is None:
                raise StartError(f"node {node.name}: the cloud names no ENI for it, or several; set its eni")
            enis[node.name] = eni
    return enis
