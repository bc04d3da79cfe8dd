"""A small cloud to begin with: one VPC and subnet, instances with their primary ENIs, addresses on the first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network

from hafailover.emulator.network import Eip, Eni, Instance, Network, PrivateIp, SecurityGroup, Subnet, Vpc

REGION = "ap-guangzhou"
ZONE = "ap-guangzhou-3"
VPC_ID = "vpc-aaaaaaaa"
SUBNET_ID = "subnet-aaaaaaaa"
GROUP_ID = "sg-aaaaaaaa"
EIP_ADDRESS = "203.0.113.10"


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One instance to create: its ids, its ENI's primary address, cores and GiB of memory, its CAM role."""

    name: str
    instance_id: str
    eni_id: str
    address: str
    cpu: int = 2
    memory_gb: int = 4
    role: str = "hafailover"


@dataclass(frozen=True, slots=True)
class EniSpec:
    """One secondary ENI to create: its primary address first, the instance that it is attached to or None.

    `cidr` is that of its subnet, which is the nodes' own unless it is another one.
    """

    eni_id: str
    addresses: tuple[str, ...]
    instance_id: str | None = None
    ipv6s: tuple[str, ...] = ()
    cidr: str = ""


PAIR = (
    NodeSpec("web-a", "ins-aaaaaaaa", "eni-aaaaaaaa", "10.0.1.17"),
    NodeSpec("web-b", "ins-bbbbbbbb", "eni-bbbbbbbb", "10.0.1.16"),
)
VIP = "10.0.1.100"


def mac_of(eni_id: str) -> str:
    """Return the MAC address that an ENI of this id has here: locally administered, upper case."""
    octets = sha256(eni_id.encode()).digest()[:3]
    return ":".join(f"{octet:02X}" for octet in (0x52, 0x54, 0x00, *octets))


def build(
    nodes: tuple[NodeSpec, ...] = PAIR,
    addresses: tuple[str, ...] = (VIP,),
    *,
    cidr: str = "10.0.1.0/24",
    ipv6_cidr: str | None = None,
    region: str = REGION,
    eip_for: str | None = None,
    enis: tuple[EniSpec, ...] = (),
) -> Network:
    """Return a network in which the first node holds every address; `eip_for` names one that has an EIP.

    `enis` are further ones. Raises ValueError where an address is not within its block or there is no node.
    """
    if not nodes:
        raise ValueError("a world needs at least one node")
    sixes = None if ipv6_cidr is None else IPv6Network(ipv6_cidr)
    subnet = Subnet(SUBNET_ID, VPC_ID, "subnet", ZONE, IPv4Network(cidr), sixes)
    _require_within(subnet, (*addresses, *(node.address for node in nodes)))
    subnets = {"": subnet, **_others(subnet, enis)}
    for spec in enis:
        _require_within(subnets[spec.cidr], (*spec.addresses, *spec.ipv6s))
    held = tuple(PrivateIp(address) for address in addresses)
    primary = [_eni(node, held if node is nodes[0] else ()) for node in nodes]
    secondary = [_secondary(spec, index, subnets[spec.cidr].id) for index, spec in enumerate(enis, start=1)]
    eips = (Eip("eip-aaaaaaaa", EIP_ADDRESS, VPC_ID, eip_for),) if eip_for else ()
    return Network(
        region=region,
        vpcs={VPC_ID: Vpc(VPC_ID, "vpc", subnet.cidr, sixes)},
        subnets={each.id: each for each in subnets.values()},
        enis={eni.id: eni for eni in (*primary, *secondary)},
        instances={node.instance_id: _instance(node) for node in nodes},
        eips={eip.id: eip for eip in eips},
        security_groups={GROUP_ID: SecurityGroup(GROUP_ID, "default")},
    )


def _others(subnet: Subnet, enis: tuple[EniSpec, ...]) -> dict[str, Subnet]:
    """Return the other subnets that ENIs are in, by their blocks."""
    cidrs = dict.fromkeys(spec.cidr for spec in enis if spec.cidr)
    return {
        cidr: replace(subnet, id=f"subnet-{order:08x}", cidr=IPv4Network(cidr), ipv6_cidr=None)
        for order, cidr in enumerate(cidrs, start=1)
    }


def _require_within(subnet: Subnet, addresses: tuple[str, ...]) -> None:
    for address in addresses:
        if not subnet.contains(address):
            raise ValueError(f"{address} is not within {subnet.block_of(address)}")


def _eni(node: NodeSpec, held: tuple[PrivateIp, ...]) -> Eni:
    return Eni(
        id=node.eni_id,
        name=f"{node.name}-primary",
        vpc_id=VPC_ID,
        subnet_id=SUBNET_ID,
        mac=mac_of(node.eni_id),
        primary=True,
        ips=(PrivateIp(node.address, primary=True),),
        instance_id=node.instance_id,
        security_groups=(GROUP_ID,),
    ).with_ips(*held)


def _secondary(spec: EniSpec, index: int, subnet_id: str) -> Eni:
    first, *others = spec.addresses
    return Eni(
        id=spec.eni_id,
        name=f"secondary-{index}",
        vpc_id=VPC_ID,
        subnet_id=subnet_id,
        mac=mac_of(spec.eni_id),
        primary=False,
        ips=(PrivateIp(first, primary=True), *(PrivateIp(other) for other in others)),
        instance_id=spec.instance_id,
        device_index=index if spec.instance_id else 0,
        security_groups=(GROUP_ID,),
        ipv6s=tuple(PrivateIp(address) for address in spec.ipv6s),
    )


def _instance(node: NodeSpec) -> Instance:
    return Instance(
        id=node.instance_id,
        name=node.name,
        vpc_id=VPC_ID,
        subnet_id=SUBNET_ID,
        zone=ZONE,
        cpu=node.cpu,
        memory_gb=node.memory_gb,
        role=node.role,
    )
