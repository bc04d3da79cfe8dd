"""The writes that create and delete ENIs, with the error codes of their lists in the VPC API.

A new ENI is there at once, PENDING as its addresses are, and is nobody's until the effect.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from hafailover.emulator.eni_attributes import known_groups, label
from hafailover.emulator.eni_moves import plugged, require_place, require_slot
from hafailover.emulator.network import Eni, EniState, IpState, Network, PrivateIp
from hafailover.emulator.params import MAX_ADDRESSES, Params
from hafailover.emulator.quota import MAX_VPC_ENIS
from hafailover.emulator.reads import render_eni
from hafailover.emulator.values import ApiError
from hafailover.emulator.wanted import V4, V6, Family, chosen, named, require_free
from hafailover.emulator.world import mac_of
from hafailover.emulator.writing import INVALID_STATE, MUTEX, known_eni, require_room, require_settled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hafailover.emulator.network import Subnet
    from hafailover.emulator.writing import Parser

FIELDS = (
    "VpcId",
    "NetworkInterfaceName",
    "SubnetId",
    "NetworkInterfaceDescription",
    "QosLevel",
    "SecurityGroupIds",
    "Tags",
    "IsRdma",
    "ClientToken",
    "TerminationProtection",
    "TrafficProtection",
    *(field for family in (V4, V6) for field in (family.items, family.count)),
)
QOS_LEVELS = ("PT", "AU", "AG", "DEFAULT")


@dataclass(frozen=True, slots=True)
class CreateEni:
    """CreateNetworkInterface, and CreateAndAttachNetworkInterface where `target` is an instance."""

    eni: Eni
    target: str = ""

    @property
    def enis(self) -> tuple[str, ...]:
        """The new ENI."""
        return (self.eni.id,)

    @property
    def touches(self) -> tuple[str, ...]:
        """The ENI and its addresses."""
        return (self.eni.id, *(ip.address for ip in self.eni.all_ips))

    def busy(self, _network: Network) -> str:
        """Return the code for an address that is being worked on."""
        return V4.in_use

    def begin(self, network: Network) -> Network:
        """Create it, PENDING."""
        subnet = network.subnets[self.eni.subnet_id]
        for family in (V4, V6):
            for ip in family.carried(self.eni):
                require_free(network, subnet, ip.address, family)
        self._check_target(network)
        count = sum(eni.vpc_id == self.eni.vpc_id for eni in network.enis.values())
        if count >= MAX_VPC_ENIS:
            code = "LimitExceeded.NetworkInterfaceLimitExceeded"
            raise ApiError(code, f"{self.eni.vpc_id} may have {MAX_VPC_ENIS} ENIs.")
        return network.with_enis(replace(self.eni, bound_for=self.target or None))

    def _check_target(self, network: Network) -> None:
        if self.target:
            require_place(network, self.eni, self.target, INVALID_STATE)
            require_slot(network, self.target, besides=self.eni.id)
        for family in (V4, V6):
            require_room(network, replace(self.eni, instance_id=self.target or None), 0, family)

    def finish(self, network: Network) -> Network:
        """Let it be there, attached if that was asked for."""
        eni = known_eni(network, self.eni.id)
        self._check_target(network)
        there = tuple(replace(ip, state=IpState.AVAILABLE) for ip in eni.all_ips)
        return network.with_enis(plugged(network, eni.with_ips(*there), self.target or eni.instance_id))

    def cancel(self, network: Network) -> Network:
        """Take it away again."""
        return network.without_eni(self.eni.id)

    def reply(self, network: Network) -> dict[str, Any]:
        """Return the ENI, PENDING: much is still empty, but the instance is told already (API's examples)."""
        shown = render_eni(network, replace(network.enis[self.eni.id], instance_id=self.target or None))
        return {"NetworkInterface": {**shown, "Zone": "", "CreatedTime": "", "GroupSet": []}}


def _create(raw: Mapping[str, Any], network: Network, request_id: str, *, attach: bool) -> CreateEni:
    """Read the request and choose the addresses that it leaves to the cloud. Raises ApiError."""
    params = Params(raw, (*FIELDS, "InstanceId", "AttachType") if attach else (*FIELDS, "TrunkingFlag"))
    name = label(params, "NetworkInterfaceName", params.text("NetworkInterfaceName"))
    subnet = _subnet(params, network)
    target = params.id("InstanceId", "ins") if attach else ""
    if params.has("QosLevel") and params.text("QosLevel") not in QOS_LEVELS:
        raise ApiError("InvalidParameterValue", f"`QosLevel` is one of {', '.join(QOS_LEVELS)}.")
    params.integer("AttachType", 0, 0, 1)
    eni_id = f"eni-{sha256(request_id.encode()).hexdigest()[:8]}"
    eni = Eni(
        id=eni_id,
        name=name,
        vpc_id=subnet.vpc_id,
        subnet_id=subnet.id,
        mac=mac_of(eni_id),
        primary=False,
        ips=_with_primary(network, subnet, _wanted(params, network, subnet, V4)),
        security_groups=known_groups(params, network),
        description=label(params, "NetworkInterfaceDescription", ""),
        state=EniState.PENDING,
        ipv6s=_wanted(params, network, subnet, V6),
        traffic_protection=params.flag("TrafficProtection"),
    )
    return CreateEni(eni, target)


def _subnet(params: Params, network: Network) -> Subnet:
    vpc_id, subnet_id = params.id("VpcId", "vpc"), params.id("SubnetId", "subnet")
    for wanted, there in ((vpc_id, network.vpcs), (subnet_id, network.subnets)):
        if wanted not in there:
            raise ApiError("ResourceNotFound", f"{wanted} does not exist.")
    subnet = network.subnets[subnet_id]
    if subnet.vpc_id != vpc_id:
        raise ApiError("UnsupportedOperation.ResourceMismatch", f"{subnet_id} is not in {vpc_id}.")
    return subnet


def _wanted(params: Params, network: Network, subnet: Subnet, family: Family) -> tuple[PrivateIp, ...]:
    ips = named(params, family, primary_too=family is V4)
    count = params.integer(family.count, 0, 0, MAX_ADDRESSES)
    return (*ips, *chosen(network, subnet, family, count, tuple(ip.address for ip in ips)))


def _with_primary(network: Network, subnet: Subnet, ips: tuple[PrivateIp, ...]) -> tuple[PrivateIp, ...]:
    """Put the primary address first; the cloud chooses one, besides those asked for, where none is named."""
    primary = [ip for ip in ips if ip.primary]
    if len(primary) > 1:
        raise ApiError("InvalidParameterValue", "An ENI has one primary address.")
    if not primary:
        (first,) = chosen(network, subnet, V4, 1, tuple(ip.address for ip in ips))
        primary = [replace(first, primary=True)]
    return (*primary, *(ip for ip in ips if not ip.primary))


@dataclass(frozen=True, slots=True)
class DeleteEni:
    """DeleteNetworkInterface: of one that no instance has; its addresses go, and EIPs are unbound."""

    eni: str
    addresses: tuple[str, ...]

    @property
    def enis(self) -> tuple[str, ...]:
        """The ENI."""
        return (self.eni,)

    @property
    def touches(self) -> tuple[str, ...]:
        """The ENI and its addresses."""
        return (self.eni, *self.addresses)

    def busy(self, network: Network) -> str:
        """Say first what is wrong with the request; an ENI that is on its way says so itself."""
        self.begin(network)
        return MUTEX

    def begin(self, network: Network) -> Network:
        """Mark it DELETING."""
        eni = known_eni(network, self.eni)
        require_settled(network, eni.id)
        self._check(eni)
        return network.with_enis(replace(eni, state=EniState.DELETING))

    def _check(self, eni: Eni) -> None:
        if eni.primary:
            raise ApiError("UnsupportedOperation", f"{eni.id} is a primary ENI, which goes with its instance.")
        if eni.instance_id is not None:
            raise ApiError("ResourceInUse", f"{eni.id} is attached to {eni.instance_id}.")

    def finish(self, network: Network) -> Network:
        """Let it go."""
        eni = known_eni(network, self.eni)
        self._check(eni)
        addresses = (ip.address for ip in eni.all_ips)
        return network.without_eips_of(eni.vpc_id, *addresses).without_eni(eni.id)

    def cancel(self, network: Network) -> Network:
        """Leave it."""
        eni = network.enis.get(self.eni)
        return network if eni is None else network.with_enis(replace(eni, state=EniState.AVAILABLE))

    def reply(self, _network: Network) -> dict[str, Any]:
        """Nothing but the RequestId."""
        return {}


def _delete(raw: Mapping[str, Any], network: Network, _request_id: str) -> DeleteEni:
    eni = known_eni(network, Params(raw, ("NetworkInterfaceId",)).id("NetworkInterfaceId", "eni"))
    return DeleteEni(eni.id, tuple(ip.address for ip in eni.all_ips))


PARSERS: Mapping[str, Parser] = {
    "CreateNetworkInterface": partial(_create, attach=False),
    "CreateAndAttachNetworkInterface": partial(_create, attach=True),
    "DeleteNetworkInterface": _delete,
}
