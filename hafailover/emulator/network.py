"""VPCs, subnets, ENIs, addresses, EIPs and instances as one immutable value.

A write makes a new `Network`; older ones stay as they were, which is what lets the model answer a read with
what was true a while ago. Names and rules are those of the VPC API 2017-03-12 (NetworkInterface,
PrivateIpAddressSpecification) and the ENI product pages.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import TYPE_CHECKING

from hafailover.cloud.quota import quota_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hafailover.cloud.quota import Quota


class IpState(Enum):
    """State of a private address on its ENI (PrivateIpAddressSpecification.State)."""

    PENDING = "PENDING"
    MIGRATING = "MIGRATING"
    DELETING = "DELETING"
    AVAILABLE = "AVAILABLE"


class EniState(Enum):
    """State of an ENI (NetworkInterface.State); one that is attached and at rest is AVAILABLE too."""

    PENDING = "PENDING"
    AVAILABLE = "AVAILABLE"
    ATTACHING = "ATTACHING"
    DETACHING = "DETACHING"
    DELETING = "DELETING"


class EipState(Enum):
    """State of an EIP (Address.AddressStatus); BIND_ENI is bound to an ENI that no instance has."""

    BINDING = "BINDING"
    BIND = "BIND"
    UNBINDING = "UNBINDING"
    UNBIND = "UNBIND"
    BIND_ENI = "BIND_ENI"


class InstanceState(Enum):
    """The hypervisor's view of an instance, as far as the emulator plays it (DescribeInstancesStatus)."""

    PENDING = "PENDING"
    LAUNCH_FAILED = "LAUNCH_FAILED"
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    STARTING = "STARTING"
    STOPPING = "STOPPING"
    REBOOTING = "REBOOTING"
    SHUTDOWN = "SHUTDOWN"
    TERMINATING = "TERMINATING"


def is_ipv6(address: str) -> bool:
    """Tell which kind of address a text is, given that it is one."""
    return ":" in address


@dataclass(frozen=True, slots=True)
class Vpc:
    """A virtual private cloud."""

    id: str
    name: str
    cidr: IPv4Network
    ipv6_cidr: IPv6Network | None = None


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet: in one VPC and one zone; its network, first and broadcast addresses are not for ENIs."""

    id: str
    vpc_id: str
    name: str
    zone: str
    cidr: IPv4Network
    ipv6_cidr: IPv6Network | None = None

    @property
    def gateway(self) -> str:
        """The subnet's first address."""
        return str(self.cidr[1])

    def block_of(self, address: str) -> IPv4Network | IPv6Network | None:
        """Return the block that an address of its kind would be in."""
        return self.ipv6_cidr if is_ipv6(address) else self.cidr

    def contains(self, address: str) -> bool:
        """Tell whether the address lies in the subnet."""
        block = self.block_of(address)
        return block is not None and ip_address(address) in block

    def reserves(self, address: str) -> bool:
        """Tell whether the address is one of those that the subnet keeps for itself."""
        block = self.block_of(address)
        return block is not None and address in (str(block[0]), str(block[1]), str(block[-1]))


@dataclass(frozen=True, slots=True)
class PrivateIp:
    """An address on an ENI: a private one, or of IPv6."""

    address: str
    primary: bool = False
    state: IpState = IpState.AVAILABLE
    description: str = ""


@dataclass(frozen=True, slots=True)
class Eni:
    """An elastic network interface; `mac` is upper case with colons, `instance_id` None while detached.

    `bound_for` is the instance that it is being attached to, where it counts already and is not yet to be found.
    `traffic_protection`: it is not taken from an instance that still has traffic.
    """

    id: str
    name: str
    vpc_id: str
    subnet_id: str
    mac: str
    primary: bool
    ips: tuple[PrivateIp, ...]
    instance_id: str | None = None
    device_index: int = 0
    security_groups: tuple[str, ...] = ()
    description: str = ""
    state: EniState = EniState.AVAILABLE
    bound_for: str | None = None
    ipv6s: tuple[PrivateIp, ...] = ()
    traffic_protection: bool = False

    @property
    def all_ips(self) -> tuple[PrivateIp, ...]:
        """Its addresses of both kinds."""
        return (*self.ips, *self.ipv6s)

    def ip(self, address: str) -> PrivateIp | None:
        """Return the address as this ENI carries it."""
        among = self.ipv6s if is_ipv6(address) else self.ips
        return next((ip for ip in among if ip.address == address), None)

    def with_ips(self, *ips: PrivateIp) -> Eni:
        """Return this ENI with these addresses in place of those of the same text, or added."""
        new = {ip.address: ip for ip in ips}
        kept = [new.pop(ip.address, ip) for ip in self.all_ips]
        return self._carrying((*kept, *new.values()))

    def without_ips(self, *addresses: str) -> Eni:
        """Return this ENI without these addresses."""
        return self._carrying(tuple(ip for ip in self.all_ips if ip.address not in addresses))

    def _carrying(self, ips: tuple[PrivateIp, ...]) -> Eni:
        sixes = tuple(ip for ip in ips if is_ipv6(ip.address))
        return replace(self, ips=tuple(ip for ip in ips if not is_ipv6(ip.address)), ipv6s=sixes)


@dataclass(frozen=True, slots=True)
class Instance:
    """A CVM; `memory_gb` in GiB, `role` the name of its CAM role, empty for none.

    `operation` is the last switching of its power: the action, OPERATING, SUCCESS or FAILED, and the request's id.
    `own_quota` holds for it whatever the table says of its size.
    """

    id: str
    name: str
    vpc_id: str
    subnet_id: str
    zone: str
    cpu: int
    memory_gb: int
    state: InstanceState = InstanceState.RUNNING
    role: str = ""
    type: str = "S5.MEDIUM4"
    operation: tuple[str, str, str] = ("", "", "")
    own_quota: Quota | None = None
    termination_time: str = ""

    @property
    def quota(self) -> Quota | None:
        """How many ENIs and addresses it may have, None where nobody knows."""
        return self.own_quota or quota_of(self.cpu, self.memory_gb)


@dataclass(frozen=True, slots=True)
class Eip:
    """An elastic public address, mapped one to one to a private address of `vpc_id`, or to none.

    `passing` is the state that it is in while a task works on it.
    """

    id: str
    address: str
    vpc_id: str = ""
    private_ip: str | None = None
    passing: EipState | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class HaVip:
    """A high-available virtual address, which a guest's ARP moves; `drift_range` are instances or ENIs, by id."""

    id: str
    name: str
    vip: str
    vpc_id: str
    subnet_id: str
    eni_id: str | None = None
    drift_range: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """A security group; its rules are not played."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Repair:
    """A repair task; `planned` is its AuthTime, `created` its CreateTime ("YYYY-MM-DD hh:mm:ss", UTC+8), or ""."""

    id: str
    instance: str
    type: int = 107
    status: int = 1
    planned: str = ""
    created: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """Everything there is in one region at one moment; the mappings are in order of creation."""

    region: str
    vpcs: Mapping[str, Vpc]
    subnets: Mapping[str, Subnet]
    enis: Mapping[str, Eni]
    instances: Mapping[str, Instance]
    eips: Mapping[str, Eip]
    havips: Mapping[str, HaVip] = field(default_factory=dict)
    security_groups: Mapping[str, SecurityGroup] = field(default_factory=dict)
    repairs: Mapping[str, Repair] = field(default_factory=dict)

    def with_enis(self, *enis: Eni) -> Network:
        """Return the network with these ENIs in place of those of the same id."""
        return replace(self, enis={**self.enis, **{eni.id: eni for eni in enis}})

    def without_eni(self, eni_id: str) -> Network:
        """Return the network without an ENI, if there is such a one."""
        return replace(self, enis={name: eni for name, eni in self.enis.items() if name != eni_id})

    def with_eip(self, eip: Eip) -> Network:
        """Return the network with this EIP in place of the one of the same id."""
        return replace(self, eips={**self.eips, eip.id: eip})

    def with_instance(self, instance: Instance) -> Network:
        """Return the network with this instance in place of the one of the same id."""
        return replace(self, instances={**self.instances, instance.id: instance})

    def with_repair(self, repair: Repair) -> Network:
        """Return the network with this repair task in place of the one of the same id."""
        return replace(self, repairs={**self.repairs, repair.id: repair})

    def zone_of(self, eni: Eni) -> str:
        """Return the zone of the ENI's subnet."""
        return self.subnets[eni.subnet_id].zone

    def enis_of(self, instance_id: str) -> tuple[Eni, ...]:
        """Return the ENIs attached to an instance, the primary one first."""
        found = (eni for eni in self.enis.values() if eni.instance_id == instance_id)
        return tuple(sorted(found, key=lambda eni: eni.device_index))

    def carriers(self, address: str, vpc_id: str | None = None) -> Iterator[tuple[Eni, PrivateIp]]:
        """Yield every ENI that carries the address in whatever state; there is at most one in a VPC."""
        for eni in self.enis.values():
            if vpc_id in (None, eni.vpc_id) and (ip := eni.ip(address)):
                yield eni, ip

    def holder_of(self, resource: str) -> str | None:
        """Return who truly has an address (the id of an ENI) or an ENI (of an instance); an EIP's private address.

        An address that is only being assigned has no holder yet; one that moves or goes is where it was.
        """
        if resource in self.enis:
            return self.enis[resource].instance_id
        if resource in self.eips:
            return self.eips[resource].private_ip
        held = (eni.id for eni, ip in self.carriers(resource) if ip.state is not IpState.PENDING)
        return next(held, None)

    def eip_of(self, vpc_id: str, address: str) -> Eip | None:
        """Return the EIP that is mapped to a private address."""
        return next((e for e in self.eips.values() if (e.vpc_id, e.private_ip) == (vpc_id, address)), None)

    def carrier_of(self, eip: Eip) -> tuple[Eni, PrivateIp] | None:
        """Return the ENI and the private address that an EIP is mapped to."""
        return next(self.carriers(eip.private_ip, eip.vpc_id), None) if eip.private_ip else None

    def state_of(self, eip: Eip) -> EipState:
        """Return what the cloud says of an EIP."""
        carrier = self.carrier_of(eip)
        if eip.passing is not None or carrier is None:
            return eip.passing or EipState.UNBIND
        return EipState.BIND if carrier[0].instance_id else EipState.BIND_ENI

    def without_eips_of(self, vpc_id: str, *addresses: str) -> Network:
        """Return the network with no EIP mapped to any of these private addresses."""
        network = self
        for address in addresses:
            if eip := network.eip_of(vpc_id, address):
                network = network.with_eip(replace(eip, private_ip=None))
        return network
