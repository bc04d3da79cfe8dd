"""What the guest lacks of the routes and rules that follow addresses, has too much, and what is in their way. PURE.

They carry a number of their own (`VIRTUAL_PROTOCOL`), another one than what is made for ENIs: what a crash has left
is known by it, and whatever has another number is somebody else's and stays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final

from hafailover.config.routing import MAIN_TABLE, VirtualRoute, VirtualRule
from hafailover.errors import GuestError
from hafailover.guest.interface import PROTOCOL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from hafailover.config.routing import Virtual

VIRTUAL_PROTOCOL: Final = PROTOCOL + 1  # of routes and rules (rt_protos of iproute2); `ip route` shows "proto 77"
_LINK_LOCAL6: Final = "fe80:"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the kernel has: all routes but the local table's, with `ours` apart, our rules, and all addresses.

    `links` tells of each interface whether it is up. A `device` is one of them, or empty: none, or several.
    """

    ours: frozenset[VirtualRoute]
    others: frozenset[VirtualRoute]
    rules: frozenset[VirtualRule]
    addresses: frozenset[str]
    links: Mapping[str, bool]

    @property
    def virtual(self) -> frozenset[Virtual]:
        """All of it that is ours."""
        return self.ours | self.rules


def on_device(wanted: Iterable[Virtual], device: str) -> tuple[Virtual, ...]:
    """Return them with this interface where a route names none and needs one."""
    return tuple(
        replace(each, device=device)
        if isinstance(each, VirtualRoute) and each.type == "unicast" and not each.device
        else each
        for each in wanted
    )


def matching(there: Iterable[Virtual], meant: Iterable[Virtual]) -> frozenset[Virtual]:
    """Return what stands where any of the others is meant to: a route's place has room for one, whatever it is."""
    places = {_place(each) for each in meant}
    return frozenset(each for each in there if _place(each) in places)


def _place(each: Virtual) -> object:
    return each.place if isinstance(each, VirtualRoute) else each


def missed(wanted: Iterable[Virtual], standing: Standing) -> bool:
    """Return whether anything is gone that was there; while its interface is down, a route is not missed."""
    gone = (each for each in wanted if each not in standing.virtual)
    return any(not isinstance(each, VirtualRoute) or standing.links.get(each.device, True) for each in gone)


def obstacles(wanted: Collection[Virtual], standing: Standing, coming: Collection[str]) -> dict[Virtual, str]:
    """Return what is not there, each with what is in its way, "" where nothing is.

    `wanted` is as of `on_device`, `coming` are addresses that the node is to have before.
    """
    lacking = (each for each in wanted if each not in standing.virtual)
    return {each: next(_in_the_way(each, wanted, standing, coming), "") for each in lacking}


def refuse(lacking: Mapping[Virtual, str] | Mapping[str, str]) -> None:
    """Raise GuestError where something is in the way of a route or rule."""
    for each, obstacle in lacking.items():
        if obstacle:
            raise GuestError(f'cannot set "{each}": {obstacle}')


def _in_the_way(
    route: Virtual, wanted: Iterable[Virtual], standing: Standing, coming: Collection[str]
) -> Iterator[str]:
    if isinstance(route, VirtualRule):
        return
    if route.device and route.device not in standing.links:
        yield f"there is no interface {route.device}"
    for other in standing.others:
        if other.place == route.place:
            yield f"the place is taken by a route of somebody else, {other}: one of the two needs another metric"
    if route.source and route.source not in standing.addresses and route.source not in coming:
        yield f"{route.source} is no address of this node"
    if route.gateway and not route.onlink and not _reaches(route, wanted, standing):
        yield f"the gateway {route.gateway} is not on the link of {route.device}"


def _reaches(route: VirtualRoute, wanted: Iterable[Virtual], standing: Standing) -> bool:
    """Return whether the kernel would find the gateway on the link: by the longest prefix out of the interface.

    It looks into the table of the route, and into those that all look into, of which here the main one counts.
    """
    if route.gateway.startswith(_LINK_LOCAL6):
        return True
    gateway, tables = ip_address(route.gateway), (route.table, MAIN_TABLE)
    before = (each for each in wanted if isinstance(each, VirtualRoute) and each != route)
    fitting = [
        (ip_network(each.destination).prefixlen, not each.gateway)
        for each in (*standing.ours, *standing.others, *before)
        if each.device == route.device and each.table in tables and gateway in ip_network(each.destination)
    ]
    return max(fitting, default=(0, False))[1]
