"""From a world file to the network that the emulator starts with, or to one ConfigError with what is wrong.

What the tables say is looked at first, then what they name; only where that is all in order, whether it can be.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from hafailover.cloud.quota import Quota
from hafailover.config import loader, reader
from hafailover.config.findings import Findings
from hafailover.emulator.faults import Kind
from hafailover.emulator.model import MAX_STALE_MS
from hafailover.emulator.network import (
    Eip,
    Eni,
    HaVip,
    Instance,
    Network,
    PrivateIp,
    Repair,
    SecurityGroup,
    Subnet,
    Vpc,
)
from hafailover.emulator.world import GROUP_ID, SUBNET_ID, VPC_ID, ZONE, mac_of
from hafailover.emulator.world_schema import ROOT, GroupSpec, SubnetSpec, VpcSpec, WorldSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hafailover.config.section import Section
    from hafailover.emulator.faults import Fault
    from hafailover.emulator.world_schema import EipSpec, EniFileSpec, HaVipSpec, InstanceSpec

DEFAULT_CIDR = IPv4Network("10.0.1.0/24")
# What there is where a file has no table of a kind.
DEFAULTS = {"vpcs": VPC_ID, "subnets": SUBNET_ID, "security_groups": GROUP_ID}
# Table and key -> the tables of which it names one or more.
REFERENCES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("subnets", "vpc", ("vpcs",)),
    ("instances", "subnet", ("subnets",)),
    ("enis", "subnet", ("subnets",)),
    ("enis", "instance", ("instances",)),
    ("enis", "security_groups", ("security_groups",)),
    ("repairs", "instance", ("instances",)),
    ("havips", "subnet", ("subnets",)),
    ("havips", "eni", ("enis",)),
    ("havips", "drift_range", ("instances", "enis")),
)
WITH_IDS = ("vpcs", "subnets", "security_groups", "instances", "enis", "eips", "havips", "repairs")


@dataclass(frozen=True, slots=True)
class World:
    """What the emulator starts with."""

    network: Network
    faults: tuple[Fault, ...]


def parse(text: str, file: str) -> World:
    """Return what a world file says. Raises ConfigError, in which it is called `file`."""
    findings = Findings(file)
    root = reader.read(ROOT, loader.toml(text, findings), findings)
    _judge_names(root, findings)
    findings.raise_if_any()
    spec: WorldSpec = root.build()
    network = _network(_completed(spec))
    for section, key, message in _impossible(root, spec, network):
        findings.add(section.at(key), message)
    findings.raise_if_any()
    return World(network, spec.faults)


def _judge_names(root: Section, findings: Findings) -> None:
    """Note what is there twice, and what is named and not there."""
    ids = {table: [section.get("id") for section in root.many(table)] for table in WITH_IDS}
    for table in WITH_IDS:
        count = Counter(ids[table])
        for section in root.many(table):
            if section.get("id") is not None and count[section.get("id")] > 1:
                findings.add(section.at("id"), f"{section.get('id')} is there {count[section.get('id')]} times")
    there = {table: set(found) if found else {DEFAULTS.get(table)} for table, found in ids.items()}
    for table, key, targets in REFERENCES:
        known = set().union(*(there[target] for target in targets))
        for section in root.many(table):
            for wanted in _named(section, key):
                if wanted not in known:
                    findings.add(section.at(key), f"there is no {wanted} in this file")


def _named(section: Section, key: str) -> Iterable[str]:
    value = section.get(key)
    values = value if isinstance(value, tuple) else (value,)
    return [each for each in values if each is not None]


def _completed(spec: WorldSpec) -> WorldSpec:
    """Return the file with what it need not say."""
    return replace(
        spec,
        vpcs=spec.vpcs or (VpcSpec(VPC_ID, DEFAULT_CIDR),),
        subnets=spec.subnets or (SubnetSpec(SUBNET_ID, ZONE, DEFAULT_CIDR),),
        security_groups=spec.security_groups or (GroupSpec(GROUP_ID, "default"),),
    )


def _network(spec: WorldSpec) -> Network:
    subnets = {each.id: _subnet(each) for each in spec.subnets}
    network = Network(
        region=spec.region,
        vpcs={each.id: Vpc(each.id, each.name or each.id, each.cidr, each.ipv6_cidr) for each in spec.vpcs},
        subnets=subnets,
        enis=dict(_enis(spec, subnets)),
        instances={each.id: _instance(each, subnets[each.subnet]) for each in spec.instances},
        eips={},
        havips={each.id: _havip(each, subnets[each.subnet]) for each in spec.havips},
        repairs={each.id: Repair(**asdict(each)) for each in spec.repairs},
        security_groups={each.id: SecurityGroup(each.id, each.name or each.id) for each in spec.security_groups},
    )
    return replace(network, eips={each.id: _eip(each, network) for each in spec.eips})


def _subnet(spec: SubnetSpec) -> Subnet:
    return Subnet(spec.id, spec.vpc, spec.name or spec.id, spec.zone, spec.cidr, spec.ipv6_cidr)


def _instance(spec: InstanceSpec, subnet: Subnet) -> Instance:
    given = spec.most_enis is not None and spec.most_addresses is not None
    return Instance(
        id=spec.id,
        name=spec.name or spec.id,
        vpc_id=subnet.vpc_id,
        subnet_id=subnet.id,
        zone=subnet.zone,
        cpu=spec.cpu,
        memory_gb=spec.memory_gb,
        state=spec.state,
        role=spec.role,
        termination_time=spec.termination_time,
        own_quota=Quota(spec.most_enis or 0, spec.most_addresses or 0) if given else None,
    )


def _enis(spec: WorldSpec, subnets: dict[str, Subnet]) -> Iterator[tuple[str, Eni]]:
    """Yield the ENIs; the secondary ones of an instance are in its places in the order of the file."""
    places: Counter[str] = Counter()
    for each in spec.enis:
        secondary = each.instance is not None and not each.primary
        places[each.instance or ""] += secondary
        yield each.id, _eni(each, subnets[each.subnet], places[each.instance or ""] if secondary else 0)


def _eni(spec: EniFileSpec, subnet: Subnet, place: int) -> Eni:
    return Eni(
        id=spec.id,
        name=spec.name or spec.id,
        vpc_id=subnet.vpc_id,
        subnet_id=subnet.id,
        mac=mac_of(spec.id),
        primary=spec.primary,
        ips=tuple(PrivateIp(address, address == spec.addresses[0]) for address in spec.addresses),
        instance_id=spec.instance,
        device_index=place,
        security_groups=spec.security_groups,
        ipv6s=tuple(PrivateIp(address) for address in spec.ipv6),
        traffic_protection=spec.traffic_protection,
    )


def _eip(spec: EipSpec, network: Network) -> Eip:
    carrier = next(network.carriers(spec.bound_to), None) if spec.bound_to else None
    vpc_id = carrier[0].vpc_id if carrier else ""
    return Eip(spec.id, spec.address, vpc_id, spec.bound_to, name=spec.name)


def _havip(spec: HaVipSpec, subnet: Subnet) -> HaVip:
    return HaVip(spec.id, spec.name or spec.id, spec.vip, subnet.vpc_id, subnet.id, spec.eni, spec.drift_range)


def _impossible(root: Section, spec: WorldSpec, network: Network) -> Iterator[tuple[Section, str, str]]:
    """Yield what can not be: the table, the key, and why."""
    for table, judge in (
        ("subnets", _wrong_subnet),
        ("instances", _wrong_instance),
        ("enis", _wrong_eni),
        ("eips", _wrong_eip),
        ("havips", _wrong_havip),
    ):
        for section in root.many(table):
            for key, message in judge(section.get("id"), network):
                yield section, key, message
    for section, instance in zip(root.many("instances"), spec.instances, strict=True):
        if (instance.most_enis is None) != (instance.most_addresses is None):
            yield section, "most_enis", "most_enis and most_addresses are given together"
    for section, fault in zip(root.many("faults"), spec.faults, strict=True):
        if fault.kind is Kind.STALE and fault.ms > MAX_STALE_MS:
            yield section, "ms", f"{fault.ms} is out of range; allowed for stale: up to {MAX_STALE_MS}"


def _wrong_subnet(subnet_id: str, network: Network) -> Iterator[tuple[str, str]]:
    subnet = network.subnets[subnet_id]
    vpc = network.vpcs[subnet.vpc_id]
    if not subnet.cidr.subnet_of(vpc.cidr):
        yield "cidr", f"{subnet.cidr} is not within {vpc.cidr} of {vpc.id}"
    sixes = subnet.ipv6_cidr
    if sixes is not None and (vpc.ipv6_cidr is None or not sixes.subnet_of(vpc.ipv6_cidr)):
        yield "ipv6_cidr", f"{sixes} is not within {vpc.ipv6_cidr or 'any block'} of {vpc.id}"


def _wrong_instance(instance_id: str, network: Network) -> Iterator[tuple[str, str]]:
    count = sum(eni.primary for eni in network.enis_of(instance_id))
    if count != 1:
        yield "id", f"{instance_id} has {count} primary ENIs; allowed: one"


def _wrong_eni(eni_id: str, network: Network) -> Iterator[tuple[str, str]]:
    eni = network.enis[eni_id]
    subnet = network.subnets[eni.subnet_id]
    for key, ips in (("addresses", eni.ips), ("ipv6", eni.ipv6s)):
        for ip in ips:
            if not subnet.contains(ip.address) or subnet.reserves(ip.address):
                block = subnet.block_of(ip.address)
                yield key, f"{ip.address} is not one for ENIs within {block} of {subnet.id}"
            if len(list(network.carriers(ip.address, eni.vpc_id))) > 1:
                yield key, f"{ip.address} is there more than once"
    if eni.primary and eni.instance_id is None:
        yield "primary", f"{eni_id} is a primary ENI without an instance"
    instance = network.instances.get(eni.instance_id or "")
    if instance and (instance.vpc_id, instance.zone) != (eni.vpc_id, subnet.zone):
        yield "instance", f"{instance.id} is in {instance.zone} of {instance.vpc_id}, and {eni_id} is not"


def _wrong_eip(eip_id: str, network: Network) -> Iterator[tuple[str, str]]:
    eip = network.eips[eip_id]
    if eip.private_ip is not None:
        if network.carrier_of(eip) is None:
            yield "bound_to", f"no ENI has {eip.private_ip}"
        elif network.eip_of(eip.vpc_id, eip.private_ip) is not eip:
            yield "bound_to", f"{eip.private_ip} has an EIP already"


def _wrong_havip(havip_id: str, network: Network) -> Iterator[tuple[str, str]]:
    havip = network.havips[havip_id]
    subnet = network.subnets[havip.subnet_id]
    if not subnet.contains(havip.vip):
        yield "vip", f"{havip.vip} is not within {subnet.cidr} of {subnet.id}"
