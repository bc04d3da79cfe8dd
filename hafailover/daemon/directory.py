"""What the cloud says of the nodes' ENIs: their ids, MAC addresses and instances, as of the last read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from hafailover.cloud.lookup import eni_of
from hafailover.cloud.plan import sightings
from hafailover.election.values import ResourceKind
from hafailover.errors import CloudError, StartError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hafailover.cloud.client import Cloud
    from hafailover.cloud.replies import Eni
    from hafailover.config.model import Node
    from hafailover.election.values import Resource, Sighting

ENI_RETRY_S = 2.0

log = structlog.get_logger()


class Directory:
    """The ENIs of all nodes; every read of the holders brings them up to date at no further cost.

    An address that none of them has may be on somebody else's ENI: then, and only then, that is asked too.
    """

    def __init__(self, eni_ids: Iterable[str]) -> None:
        self._eni_ids = tuple(eni_ids)
        self._enis: dict[str, Eni] = {}

    @property
    def known(self) -> tuple[Eni, ...]:
        """The ENIs as last read, none before the first read."""
        return tuple(self._enis.values())

    async def read(self, cloud: Cloud, resources: Sequence[Resource]) -> tuple[Sighting, ...]:
        """Ask the cloud once for everything, and again where an address is on no node's ENI. Raises CloudError."""
        enis = await cloud.describe_enis(self._eni_ids)
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
        subnets = sorted({eni.subnet_id for eni in self._enis.values() if eni.subnet_id})
        if not vacant or not subnets:
            return ()
        try:
            return sightings(vacant, await cloud.carriers([each.id for each in vacant], subnets))
        except CloudError:
            return ()

    def is_stranger(self, resource: Resource, holder: str | None) -> bool:
        """Return whether an address is on an ENI that is no node's."""
        return resource.kind is ResourceKind.ADDRESS and holder is not None and holder not in self._eni_ids

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
