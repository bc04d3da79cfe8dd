"""The addresses that a request asks for: named by it, or left to the cloud to choose.

IPv4 and IPv6 are asked for alike but for the names of the fields and some error codes, which `Family` holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hafailover.emulator.network import IpState, PrivateIp
from hafailover.emulator.params import MALFORMED, MAX_ADDRESSES, MAX_TEXT, Params, check_address, check_ipv6
from hafailover.emulator.reads import render_ip, render_ipv6
from hafailover.emulator.values import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable
    from ipaddress import IPv4Network, IPv6Network

    from hafailover.emulator.network import Eni, Network, Subnet


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of address: how requests name it, and the codes in which the two kinds differ.

    `items` is the field with the list of them, `item` the address in an entry of it, `besides` what else is there.
    """

    items: str
    item: str
    count: str
    besides: tuple[str, ...]
    check: Callable[[object, str], str]
    block: Callable[[Subnet], IPv4Network | IPv6Network | None]
    carried: Callable[[Eni], tuple[PrivateIp, ...]]
    render: Callable[[Network, Eni, PrivateIp], dict[str, Any]]
    reply: str
    duplicate: str
    in_use: str
    full: str
    not_bound: str
    primary: str


V4 = Family(
    items="PrivateIpAddresses",
    item="PrivateIpAddress",
    count="SecondaryPrivateIpAddressCount",
    besides=("Primary", "Description", "QosLevel", "State", "IsWanIpBlocked"),
    check=check_address,
    block=lambda subnet: subnet.cidr,
    carried=lambda eni: eni.ips,
    render=lambda network, eni, ip: render_ip(network, eni.vpc_id, ip),
    reply="PrivateIpAddressSet",
    duplicate="InvalidParameterValue.DuplicatePara",
    in_use="ResourceInUse",
    full="LimitExceeded",
    not_bound="UnsupportedOperation.AttachmentNotFound",
    primary="UnsupportedOperation",
)
V6 = Family(
    items="Ipv6Addresses",
    item="Address",
    count="Ipv6AddressCount",
    besides=("Primary", "Description", "AddressId", "IsWanIpBlocked", "State", "PublicIpAddress", "AddressType"),
    check=check_ipv6,
    block=lambda subnet: subnet.ipv6_cidr,
    carried=lambda eni: eni.ipv6s,
    render=lambda _network, _eni, ip: render_ipv6(ip),
    reply="Ipv6AddressSet",
    duplicate="InvalidParameterValue",
    in_use="ResourceInUse.Address",
    full="LimitExceeded.Address",
    not_bound="UnauthorizedOperation.AttachmentNotFound",
    primary="UnauthorizedOperation.PrimaryIp",
)


def named(params: Params, family: Family, *, primary_too: bool = False) -> tuple[PrivateIp, ...]:
    """Return the addresses that a request names, PENDING. Raises ApiError."""
    entries = params.list(family.items, MAX_ADDRESSES)
    ips = tuple(_specification(entry, family) for entry in entries)
    if not primary_too and any(ip.primary for ip in ips):
        raise ApiError("UnsupportedOperation", "Only secondary addresses can be assigned.")
    require_distinct(tuple(ip.address for ip in ips), family)
    return ips


def _specification(entry: object, family: Family) -> PrivateIp:
    if not isinstance(entry, dict):
        raise ApiError("InvalidParameter", f"An entry of {family.items} is not an object.")
    params = Params(entry, (family.item, *family.besides))
    text = params.text("Description", MAX_TEXT) if params.has("Description") else ""
    address = family.check(params.text(family.item), family.item)
    return PrivateIp(address, params.flag("Primary"), IpState.PENDING, text)


def addresses_only(params: Params, family: Family) -> tuple[str, ...]:
    """Return the addresses that a request names in order to take them away. Raises ApiError."""
    entries = params.list(family.items, MAX_ADDRESSES)
    if not entries:
        raise ApiError("MissingParameter", f"The request is missing the parameter `{family.items}`.")
    addresses = tuple(_address_of(entry, family) for entry in entries)
    require_distinct(addresses, family)
    return addresses


def _address_of(entry: object, family: Family) -> str:
    if not isinstance(entry, dict) or family.item not in entry:
        raise ApiError(MALFORMED, f"An entry of {family.items} has no {family.item}.")
    return family.check(entry[family.item], family.item)


def require_distinct(addresses: tuple[str, ...], family: Family) -> None:
    """Raise ApiError where an address is there twice."""
    if len(set(addresses)) != len(addresses):
        raise ApiError(family.duplicate, "An address is given twice.")


def require_block(subnet: Subnet, family: Family) -> IPv4Network | IPv6Network:
    """Return the subnet's block of such addresses. Raises ApiError where it has none."""
    block = family.block(subnet)
    if block is None:
        raise ApiError("UnsupportedOperation.UnassignCidrBlock", f"{subnet.id} has no IPv6 block.")
    return block


def require_free(network: Network, subnet: Subnet, address: str, family: Family) -> None:
    """Raise ApiError where an address is not one that an ENI of the subnet can get now."""
    block = require_block(subnet, family)
    if not subnet.contains(address):
        raise ApiError("InvalidParameterValue.Range", f"{address} is not within {block}.")
    if subnet.reserves(address):
        raise ApiError("InvalidParameterValue.Reserved", f"{address} is reserved.")
    if next(network.carriers(address, subnet.vpc_id), None):
        raise ApiError(family.in_use, f"{address} is in use.")


def chosen(
    network: Network, subnet: Subnet, family: Family, count: int, besides: tuple[str, ...] = ()
) -> tuple[PrivateIp, ...]:
    """Return so many free addresses of a subnet, the first ones, PENDING. Raises ApiError."""
    if not count:
        return ()
    taken = {ip.address for eni in network.enis.values() for ip in family.carried(eni)}.union(besides)
    candidates = map(str, require_block(subnet, family).hosts())
    free = (address for address in candidates if address not in taken and not subnet.reserves(address))
    found = tuple(PrivateIp(address, state=IpState.PENDING) for _, address in zip(range(count), free, strict=False))
    if len(found) < count:
        raise ApiError("ResourceInsufficient.Subnet", f"{subnet.id} has no free address left.")
    return found
