"""What an ENI lacks for being as it is to be, and what it has too much. PURE.

One comparison serves for setting up, checking and watching. An ENI is had as follows, after Tencent's guide for
secondary ENIs on Linux and what its container network does:

- Each address as ADDRESS/32 (/128), which brings no route of its own; see `netlink` for why. The subnet's
  connected route in the main table, which somebody else's ADDRESS/24 has brought, goes: by it the node's own
  traffic to that subnet would leave through this ENI with the source address of another, and the VPC drops that.
- A route table of its own with the subnet and, through the subnet's gateway, everything else; and for each
  address a rule by which what comes from it looks there. Without them answers would leave through the first
  network card, and the VPC drops what does not come from the ENI that has the address.
- In IPv6 the gateway is the same for all, also within the subnet, so there is only the default route.
- Where IPv6 is switched off on the interface, its IPv4 addresses are set up all the same.
- The reverse path filter is loose (2). A strict one drops, where two cards are in one subnet, what comes in on
  one and would be answered on the other. The kernel takes the greater one of the card's value and that of "all",
  so the card's is enough: 2 is the greatest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Network, ip_address
from typing import TYPE_CHECKING, Final

from hafailover.guest.interface import PRIORITY, PROTOCOL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hafailover.guest.interface import Interface

KERNEL_PROTOCOL: Final = 2  # of the routes that come with an address (rt_protos)
LOOSE: Final = 2
_STRICT: Final = 1
ANY4, ANY6 = "0.0.0.0/0", "::/0"


def canonical(address: str) -> str:
    """Return an IP address as the kernel's answers have it. Raises ValueError for what is none."""
    return str(ip_address(address))


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """What comes from `source` looks into `table`; of our protocol, all of them."""

    source: str
    table: int
    priority: int = PRIORITY


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """A route out of the interface `index`; `gateway` is empty where the destination is on the link."""

    destination: str
    gateway: str
    index: int
    table: int
    protocol: int = PROTOCOL


@dataclass(frozen=True, slots=True)
class Seen:
    """What the kernel has: of the link `index`, of our rules (whatever their table), and of the ENI's routes.

    `ipv6` is whether the interface can have IPv6 addresses. `filters` are the reverse path filters of the card
    and of all. `routes` are those of the ENI's table and the connected ones in the main table out of the link,
    without IPv6's link-local ones.
    """

    index: int
    up: bool
    ipv6: bool
    filters: tuple[int, int]
    addresses: frozenset[str]
    rules: frozenset[Rule]
    routes: frozenset[Route]


@dataclass(frozen=True, slots=True)
class Difference:
    """What is to be done, in the order in which the kernel takes it; false where that is nothing."""

    bring_up: bool
    loosen: bool
    surplus_routes: tuple[Route, ...]
    lacking_routes: tuple[Route, ...]
    surplus_rules: tuple[Rule, ...]
    lacking_rules: tuple[Rule, ...]
    lacking_addresses: tuple[str, ...]
    surplus_addresses: tuple[str, ...]

    def __bool__(self) -> bool:
        return any(
            (
                *(self.bring_up, self.loosen, self.surplus_routes, self.lacking_routes),
                *(self.surplus_rules, self.lacking_rules, self.lacking_addresses, self.surplus_addresses),
            )
        )


def difference(interface: Interface, seen: Seen) -> Difference:
    """Return what makes of what is seen what is wanted.

    An address too many is one that a rule of ours tells to have been the ENI's before; those of others stay.
    """
    possible = (address for address in interface.addresses if seen.ipv6 or ":" not in address)
    addresses = {canonical(address): None for address in possible}
    rules = {Rule(address, interface.table) for address in addresses}
    routes = _routes(interface, addresses, seen.index)
    ours = {rule for rule in seen.rules if rule.table == interface.table or rule.source in addresses}
    former = {rule.source for rule in ours if rule.source not in addresses}
    return Difference(
        bring_up=not seen.up,
        loosen=max(seen.filters) == _STRICT,
        surplus_routes=tuple(sorted(seen.routes.difference(routes))),
        lacking_routes=tuple(route for route in routes if route not in seen.routes),
        surplus_rules=tuple(sorted(ours - rules)),
        lacking_rules=tuple(sorted(rules - ours)),
        lacking_addresses=tuple(address for address in addresses if address not in seen.addresses),
        surplus_addresses=tuple(sorted(former & seen.addresses)),
    )


def addition(own: Interface, address: str, seen: Seen) -> Difference:
    """Return what a node's own ENI lacks for answers from one more address; nothing is taken off it.

    Only where the same place is taken, by another route in its table or another rule of ours, that makes room.
    """
    whole = difference(replace(own, addresses=(address,)), seen)
    six, source = ":" in address, canonical(address)
    in_the_way = (each for each in whole.surplus_routes if each.table == own.table)
    return replace(
        whole,
        surplus_routes=tuple(each for each in in_the_way if (":" in each.destination) == six),
        surplus_rules=tuple(rule for rule in whole.surplus_rules if rule.source == source),
        lacking_addresses=(),
        surplus_addresses=(),
    )


def _routes(interface: Interface, addresses: Iterable[str], index: int) -> tuple[Route, ...]:
    """Return the routes of the ENI's own table, the one by which the gateway is found first."""
    routes: list[Route] = []
    if any(":" not in address for address in addresses):
        subnet = str(IPv4Network((interface.gateway, interface.prefix), strict=False))
        routes.append(Route(subnet, "", index, interface.table))
        routes.append(Route(ANY4, canonical(interface.gateway), index, interface.table))
    if any(":" in address for address in addresses):
        routes.append(Route(ANY6, canonical(interface.gateway6), index, interface.table))
    return tuple(routes)
