"""What the kernel has, read by netlink: links, addresses, rules and routes as values.

A route is not read by its table but out of all of them, as the kernel gives them: about 20 000 in a second.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hafailover.config.routing import MAIN_TABLE, VirtualRoute, VirtualRule
from hafailover.guest.difference import ANY4, ANY6, KERNEL_PROTOCOL, Route, Rule, Seen
from hafailover.guest.interface import PROTOCOL, is_moving, is_own
from hafailover.guest.network import Link
from hafailover.guest.virtual import VIRTUAL_PROTOCOL, Standing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hafailover.config.routing import RouteType

_IPV6_IS_THERE = Path("/proc/net/if_inet6")  # not on a kernel that was started with ipv6.disable=1
_IFA_F_SECONDARY = 0x01  # linux/if_addr.h
_IFF_UP = 0x1  # linux/if.h
_RTEXT_FILTER_SKIP_STATS = 0x08  # linux/rtnetlink.h: counters nobody here looks at
_RTN_UNICAST = 1
_TYPES: dict[int, RouteType] = {_RTN_UNICAST: "unicast", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
_RTNH_F_ONLINK = 4
_LINK_LOCAL6 = "fe80:"
_ALL_FILTER = Path("/proc/sys/net/ipv4/conf/all/rp_filter")


@dataclass(frozen=True, slots=True)
class Entry:
    """An address as one interface carries it."""

    address: str
    prefix: int
    index: int
    secondary: bool

    def shares_subnet(self, other: Entry) -> bool:
        """Tell whether both are IPv4 addresses of one subnet on one interface."""
        return (self.index, self.prefix) == (other.index, other.prefix) and self._subnet == other._subnet

    @property
    def _subnet(self) -> IPv4Network:
        return IPv4Network((self.address, self.prefix), strict=False)


def families() -> tuple[socket.AddressFamily, ...]:
    """Return the families that this kernel has."""
    return (socket.AF_INET, socket.AF_INET6) if _IPV6_IS_THERE.exists() else (socket.AF_INET,)


def family_of(address: str) -> socket.AddressFamily:
    """Return the family of a valid IP address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


async def links(route: Any) -> list[Any]:  # noqa: ANN401 - pyroute2 is not typed
    """Return the messages of all interfaces."""
    return [m async for m in await route.link("dump", ext_mask=_RTEXT_FILTER_SKIP_STATS)]


def mac_of(message: Any) -> str:  # noqa: ANN401 - pyroute2 is not typed
    """Return an interface's MAC address in lower case, empty where it has none."""
    return str(message.get("address") or "").lower()


def link_of(message: Any) -> Link:  # noqa: ANN401 - pyroute2 is not typed
    """Return the interface that a message is of."""
    return Link(message["index"], str(message.get("ifname")), mac_of(message))


def with_mac(messages: Iterable[Any], mac: str) -> list[Any]:
    """Return the interfaces of this MAC address (lower case): of several those that are no part of another."""
    found = [m for m in messages if mac_of(m) == mac]
    if len(found) > 1:
        found = [m for m in found if not m.get("master") and not m.get("link")]
    return found


async def entries(route: Any) -> list[Entry]:  # noqa: ANN401 - pyroute2 is not typed
    """Return all addresses of all interfaces."""
    return [
        Entry(
            m.get("local") or m.get("address"),
            m["prefixlen"],
            m["index"],
            # the same bit says "temporary" of an IPv6 address
            m["family"] == socket.AF_INET and bool(m["flags"] & _IFA_F_SECONDARY),
        )
        async for m in await route.addr("dump", family=socket.AF_UNSPEC)
        if m["family"] in (socket.AF_INET, socket.AF_INET6)
    ]


async def rules(route: Any) -> frozenset[Rule]:  # noqa: ANN401 - pyroute2 is not typed
    """Return all rules of our protocol."""
    return frozenset(
        Rule(m.get("src") or "", _table(m), m.get("priority") or 0)
        for m in await _rules(route)
        if m.get("protocol") == PROTOCOL
    )


async def _rules(route: Any) -> list[Any]:  # noqa: ANN401 - pyroute2 is not typed
    return [m for family in families() for m in [m async for m in await route.rule("dump", family=family)]]


async def _routes(route: Any) -> list[Any]:  # noqa: ANN401 - pyroute2 is not typed
    return [m for family in families() for m in [m async for m in await route.route("dump", family=family)]]


def _table(message: Any) -> int:  # noqa: ANN401 - pyroute2 is not typed
    return int(message.get("table") or message["table"])


async def routes(route: Any) -> list[Route]:  # noqa: ANN401 - pyroute2 is not typed
    """Return all routes of our protocol or in a table of ours, and the connected ones of the main table."""
    made = [_route(m) for m in await _routes(route) if m["type"] == _RTN_UNICAST]
    return [one for one in made if _is_ours(one) or _is_connected(one)]


def _is_ours(route: Route) -> bool:
    return route.protocol == PROTOCOL or is_moving(route.table) or is_own(route.table)


def _route(message: Any) -> Route:  # noqa: ANN401 - pyroute2 is not typed
    return Route(
        destination=_network(message, "dst") or _anything(message),
        gateway=message.get("gateway") or "",
        index=message.get("oif") or 0,
        table=_table(message),
        protocol=message["proto"],
    )


def _anything(message: Any) -> str:  # noqa: ANN401 - pyroute2 is not typed
    return ANY6 if message["family"] == socket.AF_INET6 else ANY4


def _network(message: Any, end: str) -> str:  # noqa: ANN401 - pyroute2 is not typed
    """Return where a route or rule leads to ("dst") or comes from ("src"), empty where that is anywhere."""
    address = message.get(end)
    return f"{address}/{message[f'{end}_len']}" if address else ""


async def standing(route: Any) -> Standing:  # noqa: ANN401 - pyroute2 is not typed
    """Return what there is of routes, of the rules that follow addresses, and of addresses."""
    made = [(_virtual(m), m["proto"] == VIRTUAL_PROTOCOL) for m in await _routes(route) if m["type"] in _TYPES]
    return Standing(
        ours=frozenset(one for one, ours in made if ours),
        others=frozenset(one for one, ours in made if not ours),
        rules=frozenset(
            VirtualRule(_network(m, "src"), _network(m, "dst"), _table(m), m.get("priority") or 0)
            for m in await _rules(route)
            if m.get("protocol") == VIRTUAL_PROTOCOL
        ),
        addresses=frozenset(entry.address for entry in await entries(route)),
        links={str(m.get("ifname")): bool(m["flags"] & _IFF_UP) for m in await links(route)},
    )


def _virtual(message: Any) -> VirtualRoute:  # noqa: ANN401 - pyroute2 is not typed
    kind = _TYPES[message["type"]]
    return VirtualRoute(
        destination=_network(message, "dst") or _anything(message),
        type=kind,
        gateway=message.get("gateway") or "",
        device=_device(message.get("oif")) if kind == "unicast" else "",  # IPv6 has "lo" in those of another type
        source=message.get("prefsrc") or "",
        table=_table(message),
        metric=message.get("priority") or 0,
        onlink=bool(message["flags"] & _RTNH_F_ONLINK),
    )


def _device(index: int | None) -> str:
    try:
        return socket.if_indextoname(index) if index else ""
    except OSError:
        return ""  # it has gone meanwhile


def _is_connected(route: Route) -> bool:
    return (route.table, route.protocol) == (MAIN_TABLE, KERNEL_PROTOCOL) and not route.destination.startswith(
        _LINK_LOCAL6
    )


async def of_eni(route: Any, message: Any, table: int) -> Seen:  # noqa: ANN401 - pyroute2 is not typed
    """Return what the kernel has of the ENI whose interface the message is of."""
    index = message["index"]
    all_routes = await routes(route)
    return Seen(
        index=index,
        up=bool(message["flags"] & _IFF_UP),
        ipv6=_has_ipv6(message),
        filters=(_filter_of(message), _filter_of_all()),
        addresses=frozenset(entry.address for entry in await entries(route) if entry.index == index),
        rules=await rules(route),
        routes=frozenset(
            one for one in all_routes if one.table == table or (one.table == MAIN_TABLE and one.index == index)
        ),
    )


def _filter_of(message: Any) -> int:  # noqa: ANN401 - pyroute2 is not typed
    values = message.get(("af_spec", "af_inet")) or {}
    return int(values.get("rp_filter", 0))


def _has_ipv6(message: Any) -> bool:  # noqa: ANN401 - pyroute2 is not typed
    values = message.get_nested("IFLA_AF_SPEC", "AF_INET6", "IFLA_INET6_CONF")
    return bool(values) and not values["disable_ipv6"]


def _filter_of_all() -> int:
    try:
        return int(_ALL_FILTER.read_text("ascii"))
    except (OSError, ValueError):
        return 0
