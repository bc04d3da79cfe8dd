"""The API's answers, checked: whatever JSON arrives, either the values below come out or a CloudError.

Only the fields in use are read, and each is checked for its type before it is believed; what else an answer
carries is ignored, because the API grows new fields all the time (API documents: data types of VPC and CVM).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, TypeVar

from hafailover.cloud.eips import Eip
from hafailover.cloud.outcome import CLIENT_REPLY
from hafailover.errors import CloudError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_TEXT = 256

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Address:
    """A private IP on an ENI, IPv6 in its short form. `state` as the API gives it, or ""; `eip_id` "" for none."""

    ip: str
    primary: bool
    state: str
    eip_id: str = ""


@dataclass(frozen=True, slots=True)
class Eni:
    """An ENI as the cloud describes it. `mac` in lower case; `instance_id` None while it is detached."""

    id: str
    mac: str
    instance_id: str | None
    primary: bool
    state: str
    subnet_id: str
    zone: str
    addresses: tuple[Address, ...]
    security_groups: tuple[str, ...]
    vpc_id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet; `cidr` such as 10.0.1.0/24, `ipv6_cidr` "" where it has no such block."""

    id: str
    vpc_id: str
    zone: str
    cidr: str
    ipv6_cidr: str = ""

    def objection(self, address: str) -> str:
        """Return why no ENI of it can get an address, "" where nothing is known to be in the way.

        The cloud keeps the first two addresses of an IPv4 block and its last for itself; of IPv6 no document says.
        """
        version = ip_address(address).version
        block = self.cidr if version == 4 else self.ipv6_cidr  # noqa: PLR2004 - the IP version
        if not block:
            return f"{self.id} has no IPv6 block"
        try:
            network = ip_network(block)
        except ValueError:
            return ""  # of a spelling that the documents do not have: the cloud itself will say
        if ip_address(address) not in network:
            return f"it is not within {network}, the range of {self.id}"
        kept = (network[0], network[1], network[-1]) if version == 4 else ()  # noqa: PLR2004 - as above
        return f"the cloud keeps it for itself in {self.id}" if ip_address(address) in kept else ""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many ENIs an instance may have, and how many addresses each of them; the primary ones count."""

    enis: int
    private_ips: int


@dataclass(frozen=True, slots=True)
class HaVip:
    """An address that the VPC gives to whoever announces it. `range` are the instances or ENIs that may."""

    id: str
    address: str
    range: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Size:
    """An instance's cores and GiB of memory."""

    instance_id: str
    cpu: int
    memory_gb: int


class TaskStatus(Enum):
    """Where an asynchronous task stands (API document: DescribeVpcTaskResult)."""

    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    RUNNING = "RUNNING"


def _bad(where: str, wanted: str) -> CloudError:
    return CloudError(CLIENT_REPLY, f"{where} is not {wanted}")


def _object(value: object, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _bad(where, "an object")
    return value


def _text(source: dict[str, object], key: str, where: str) -> str:
    value = source.get(key)
    if not isinstance(value, str) or not value or len(value) > MAX_TEXT:
        raise _bad(f"{where}{key}", f"a text of 1..{MAX_TEXT} characters")
    return value


def _text_or_empty(source: dict[str, object], key: str, where: str) -> str:
    return _text(source, key, where) if source.get(key) not in (None, "") else ""


def _flag(source: dict[str, object], key: str, where: str) -> bool:
    value = source.get(key)
    if not isinstance(value, bool):
        raise _bad(f"{where}{key}", "a boolean")
    return value


def _count(source: dict[str, object], key: str, where: str) -> int:
    value = source.get(key)
    if type(value) is not int or value < 0:
        raise _bad(f"{where}{key}", "a number of 0 or more")
    return value


def _list(source: dict[str, object], key: str, where: str, parse: Callable[[object, str], _T]) -> tuple[_T, ...]:
    value = source.get(key)
    if not isinstance(value, list):
        raise _bad(f"{where}{key}", "a list")
    return tuple(parse(item, f"{where}{key}[{index}].") for index, item in enumerate(value))


def _address(value: object, where: str) -> Address:
    source = _object(value, where)
    return Address(
        _text(source, "PrivateIpAddress", where),
        _flag(source, "Primary", where),
        _text_or_empty(source, "State", where),
        _text_or_empty(source, "AddressId", where),
    )


def _ipv6_address(value: object, where: str) -> Address:
    source = _object(value, where)
    text = _text(source, "Address", where)
    try:
        short = str(IPv6Address(text))
    except ValueError:
        raise _bad(f"{where}Address", "an IPv6 address") from None
    return Address(short, _flag(source, "Primary", where), _text_or_empty(source, "State", where))


def _optional_list(
    source: dict[str, object], key: str, where: str, parse: Callable[[object, str], _T]
) -> tuple[_T, ...]:
    return () if source.get(key) is None else _list(source, key, where, parse)


def _group(value: object, where: str) -> str:
    return _text({"id": value}, "id", where)


def _attachment(source: dict[str, object], where: str) -> str | None:
    # both null and an empty instance id have been seen for a detached ENI
    value = source.get("Attachment")
    if value is None:
        return None
    return _text_or_empty(_object(value, f"{where}Attachment"), "InstanceId", f"{where}Attachment.") or None


def _eni(value: object, where: str) -> Eni:
    source = _object(value, where)
    return Eni(
        id=_text(source, "NetworkInterfaceId", where),
        mac=_text_or_empty(source, "MacAddress", where).lower(),
        instance_id=_attachment(source, where),
        primary=_flag(source, "Primary", where),
        state=_text_or_empty(source, "State", where),
        subnet_id=_text_or_empty(source, "SubnetId", where),
        zone=_text_or_empty(source, "Zone", where),
        addresses=(
            *_list(source, "PrivateIpAddressSet", where, _address),
            *_optional_list(source, "Ipv6AddressSet", where, _ipv6_address),
        ),
        security_groups=_optional_list(source, "GroupSet", where, _group),
        vpc_id=_text_or_empty(source, "VpcId", where),
        name=_text_or_empty(source, "NetworkInterfaceName", where),
    )


def parse_subnets(response: object) -> tuple[Subnet, ...]:
    """Read the answer to DescribeSubnets."""
    return _list(_object(response, "Response"), "SubnetSet", "", _subnet)


def _subnet(value: object, where: str) -> Subnet:
    source = _object(value, where)
    return Subnet(
        id=_text(source, "SubnetId", where),
        vpc_id=_text(source, "VpcId", where),
        zone=_text(source, "Zone", where),
        cidr=_text(source, "CidrBlock", where),
        ipv6_cidr=_text_or_empty(source, "Ipv6CidrBlock", where),
    )


def parse_limits(response: object) -> Limits:
    """Read the answer to DescribeNetworkInterfaceLimit."""
    source = _object(response, "Response")
    return Limits(*(_count(source, key, "") for key in ("EniQuantity", "EniPrivateIpAddressQuantity")))


def parse_havips(response: object) -> tuple[HaVip, ...]:
    """Read the answer to DescribeHaVips."""
    return _list(_object(response, "Response"), "HaVipSet", "", _havip)


def _havip(value: object, where: str) -> HaVip:
    source = _object(value, where)
    key = "HaVipAssociationSet"
    inside = () if source.get(key) is None else _list(source, key, where, _association)
    return HaVip(_text(source, "HaVipId", where), _text_or_empty(source, "Vip", where), inside)


def _association(value: object, where: str) -> str:
    return _text(_object(value, where), "InstanceId", where)


def parse_sizes(response: object) -> tuple[Size, ...]:
    """Read the answer to DescribeInstances as far as the sizes of the instances go."""
    return _list(_object(response, "Response"), "InstanceSet", "", _size)


def _size(value: object, where: str) -> Size:
    source = _object(value, where)
    return Size(_text(source, "InstanceId", where), _count(source, "CPU", where), _count(source, "Memory", where))


def parse_enis(response: object) -> tuple[Eni, ...]:
    """Read the answer to DescribeNetworkInterfaces.

    An answer that says of itself that it is not complete, or that lists an ENI twice, is an error: to the
    election, an ENI that is missing is one that holds nothing.
    """
    source = _object(response, "Response")
    enis = _list(source, "NetworkInterfaceSet", "", _eni)
    total = source.get("TotalCount")
    if type(total) is not int or total != len(enis):
        raise _bad("TotalCount", "the number of ENIs listed")
    if len({eni.id for eni in enis}) != len(enis):
        raise _bad("NetworkInterfaceSet", "free of duplicates")
    return enis


def parse_created_eni(response: object) -> str:
    """Read the id of the ENI that CreateNetworkInterface has begun to make; much else of it is still empty."""
    source = _object(_object(response, "Response").get("NetworkInterface"), "NetworkInterface")
    return _text(source, "NetworkInterfaceId", "NetworkInterface.")


def parse_instance_state(response: object, instance_id: str) -> str:
    """Read the answer to DescribeInstancesStatus, such as RUNNING; CloudError ResourceNotFound if absent."""
    states = _list(_object(response, "Response"), "InstanceStatusSet", "", _instance)
    for found, state in states:
        if found == instance_id:
            return state
    raise CloudError("ResourceNotFound", f"{instance_id} is not listed")


def _instance(value: object, where: str) -> tuple[str, str]:
    source = _object(value, where)
    return _text(source, "InstanceId", where), _text(source, "InstanceState", where)


def parse_eips(response: object) -> tuple[Eip, ...]:
    """Read the answer to DescribeAddresses."""
    return _list(_object(response, "Response"), "AddressSet", "", _eip)


def _eip(value: object, where: str) -> Eip:
    source = _object(value, where)
    return Eip(
        _text(source, "AddressId", where),
        _text(source, "AddressStatus", where),
        _text_or_empty(source, "PrivateAddressIp", where),
        _text_or_empty(source, "NetworkInterfaceId", where),
    )


def parse_bind_task(response: object) -> int:
    """Read the id of the task that AssociateAddress has begun: it comes as a text, and is asked for as a number."""
    text = _text(_object(response, "Response"), "TaskId", "")
    if not (text.isascii() and text.isdecimal()):
        raise _bad("TaskId", "a text of digits")
    return int(text)


def parse_eip_task(response: object) -> TaskStatus:
    """Read the answer to DescribeTaskResult, which is for the tasks of EIPs."""
    return _status(_object(response, "Response"), "Result")


def parse_task(response: object) -> TaskStatus:
    """Read the answer to DescribeVpcTaskResult."""
    return _status(_object(response, "Response"), "Status")


def _status(source: dict[str, object], key: str) -> TaskStatus:
    try:
        return TaskStatus(_text(source, key, ""))
    except ValueError:
        raise _bad(key, "one of SUCCESS, FAILED, RUNNING") from None
