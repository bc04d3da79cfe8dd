"""The tables and keys of a world file: what the emulated cloud is when it starts.

A default is that of the field that a key fills; docs/emulator.md has an example with every table.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from hafailover.config import kinds
from hafailover.config.kinds import Kind, Many, choice, integer, matching
from hafailover.config.schema import Child, Key, Table
from hafailover.emulator import faults
from hafailover.emulator.faults import Fault
from hafailover.emulator.network import InstanceState
from hafailover.emulator.reads import CREATED
from hafailover.emulator.repair_reads import NUMBERS, TIME
from hafailover.emulator.world import GROUP_ID, REGION, SUBNET_ID, VPC_ID

MOST = 200  # of each table, a fault apart
MOST_ADDRESSES = 30
MOST_GROUPS = 100


@dataclass(frozen=True, slots=True)
class VpcSpec:
    """A [[vpc]]."""

    id: str
    cidr: IPv4Network
    ipv6_cidr: IPv6Network | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class SubnetSpec:
    """A [[subnet]], in one zone of a VPC."""

    id: str
    zone: str
    cidr: IPv4Network
    ipv6_cidr: IPv6Network | None = None
    vpc: str = VPC_ID
    name: str = ""


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """A [[security_group]]."""

    id: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class InstanceSpec:
    """An [[instance]], whose zone and VPC are its subnet's; the quota is for its size where the file says none."""

    id: str
    name: str = ""
    subnet: str = SUBNET_ID
    cpu: int = 2
    memory_gb: int = 4
    role: str = "hafailover"
    state: InstanceState = InstanceState.RUNNING
    most_enis: int | None = None
    most_addresses: int | None = None
    termination_time: str = ""


@dataclass(frozen=True, slots=True)
class RepairSpec:
    """A [[repair]] of an instance's host; the numbers are those of DescribeTaskInfo."""

    id: str
    instance: str
    type: int = 107
    status: int = 1
    planned: str = ""
    created: str = ""


@dataclass(frozen=True, slots=True)
class EniFileSpec:
    """An [[eni]]; the first of its addresses is its primary one."""

    id: str
    addresses: tuple[str, ...]
    name: str = ""
    subnet: str = SUBNET_ID
    instance: str | None = None
    primary: bool = False
    ipv6: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = (GROUP_ID,)
    traffic_protection: bool = False


@dataclass(frozen=True, slots=True)
class EipSpec:
    """An [[eip]]; `bound_to` is a private address."""

    id: str
    address: str
    name: str = ""
    bound_to: str | None = None


@dataclass(frozen=True, slots=True)
class HaVipSpec:
    """A [[havip]]; its drift range are instances or ENIs."""

    id: str
    vip: str
    name: str = ""
    subnet: str = SUBNET_ID
    eni: str | None = None
    drift_range: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WorldSpec:
    """A whole file; there is one VPC, subnet and security group where it has none of a kind."""

    vpcs: tuple[VpcSpec, ...]
    subnets: tuple[SubnetSpec, ...]
    security_groups: tuple[GroupSpec, ...]
    instances: tuple[InstanceSpec, ...]
    enis: tuple[EniFileSpec, ...]
    eips: tuple[EipSpec, ...]
    havips: tuple[HaVipSpec, ...]
    repairs: tuple[RepairSpec, ...]
    faults: tuple[Fault, ...]
    region: str = REGION


def _id(prefix: str, kind: Kind | None = None) -> Key:
    pattern = rf"{prefix}-[0-9a-z]{{8}}"
    return Key("id", kind or matching(pattern, f'"{prefix}-" and 8 lower-case letters or digits'), required=True)


def _reference(key: str, prefix: str) -> Key:
    return Key(key, _id(prefix).kind)


def _v4(text: str) -> str:
    return str(IPv4Address(text))


def _v6(text: str) -> str:
    if "%" in text:
        raise ValueError("has a scope")
    return str(IPv6Address(text))


NAME = Key("name", kinds.NAME)
V4 = Kind((str,), 'an IPv4 address such as "10.0.1.100"', _v4)
V6 = Kind((str,), 'an IPv6 address such as "2001:db8:1::100"', _v6)
CIDR = Kind((str,), 'an IPv4 block such as "10.0.1.0/24"', IPv4Network)
CIDR6 = Kind((str,), 'an IPv6 block such as "2001:db8:1::/64"', IPv6Network)
ZONE = matching(r"[a-z]{2,10}(-[a-z0-9]{1,20}){1,4}", 'a zone such as "ap-guangzhou-3"')
TEXT = matching(r"[ -~]{1,256}", "1 to 256 printable ASCII characters")
MEMBER = matching(r"(ins|eni)-[0-9a-z]{8}", "the id of an instance or an ENI")

MOMENT = matching(TIME.pattern, f'a time such as "{CREATED}", UTC+8')

VPC = Table("vpc", VpcSpec, (_id("vpc"), NAME, Key("cidr", CIDR, required=True), Key("ipv6_cidr", CIDR6)))
SUBNET = Table(
    "subnet",
    SubnetSpec,
    (
        _id("subnet"),
        NAME,
        _reference("vpc", "vpc"),
        Key("zone", ZONE, required=True),
        Key("cidr", CIDR, required=True),
        Key("ipv6_cidr", CIDR6),
    ),
)
GROUP = Table("security_group", GroupSpec, (_id("sg"), NAME))
INSTANCE = Table(
    "instance",
    InstanceSpec,
    (
        _id("ins"),
        NAME,
        _reference("subnet", "subnet"),
        Key("cpu", integer(1, 1024)),
        Key("memory_gb", integer(1, 65536)),
        Key("role", matching(r"[\w+=,.@-]{0,128}", "the name of a CAM role, empty for none")),
        Key("state", choice(*(state.value for state in InstanceState), enum=InstanceState)),
        Key("most_enis", integer(1, 64)),
        Key("most_addresses", integer(1, MOST_ADDRESSES)),
        Key("termination_time", MOMENT),
    ),
)
ENI = Table(
    "eni",
    EniFileSpec,
    (
        _id("eni"),
        NAME,
        _reference("subnet", "subnet"),
        _reference("instance", "ins"),
        Key("primary", kinds.FLAG),
        Key("addresses", Many(V4, MOST_ADDRESSES, 1), required=True),
        Key("ipv6", Many(V6, MOST_ADDRESSES)),
        Key("security_groups", Many(matching(r"sg-[0-9a-z]{8}", "the id of a security group"), MOST_GROUPS)),
        Key("traffic_protection", kinds.FLAG),
    ),
)
EIP = Table("eip", EipSpec, (_id("eip"), NAME, Key("address", V4, required=True), Key("bound_to", V4)))
HAVIP = Table(
    "havip",
    HaVipSpec,
    (
        _id("havip"),
        NAME,
        _reference("subnet", "subnet"),
        Key("vip", V4, required=True),
        _reference("eni", "eni"),
        Key("drift_range", Many(MEMBER, MOST)),
    ),
)
REPAIR = Table(
    "repair",
    RepairSpec,
    (
        _id("rep"),
        Key("instance", _id("ins").kind, required=True),
        Key("type", integer(NUMBERS["TaskTypeIds"][0], NUMBERS["TaskTypeIds"][-1])),
        Key("status", integer(NUMBERS["TaskStatus"][0], NUMBERS["TaskStatus"][-1])),
        Key("planned", MOMENT),
        Key("created", MOMENT),
    ),
)
FAULT = Table(
    "fault",
    Fault,
    (
        Key("kind", choice(*(kind.value for kind in faults.Kind), enum=faults.Kind), required=True),
        Key("action", TEXT),
        Key("caller", TEXT),
        Key("code", TEXT),
        Key("count", integer(1, faults.MAX_COUNT)),
        Key("ms", integer(0, faults.MAX_MS)),
    ),
)
ROOT = Table(
    "",
    WorldSpec,
    (Key("region", kinds.REGION),),
    (
        Child(VPC, "vpcs", MOST),
        Child(SUBNET, "subnets", MOST),
        Child(GROUP, "security_groups", MOST),
        Child(INSTANCE, "instances", MOST, 1),
        Child(ENI, "enis", MOST, 1),
        Child(EIP, "eips", MOST),
        Child(HAVIP, "havips", MOST),
        Child(REPAIR, "repairs", MOST),
        Child(FAULT, "faults", faults.MAX_FAULTS),
    ),
)
