"""The changes that are made to the kernel's network, by a socket that `Kernel` has lent.

Each is nothing where it is so already, and where the interface is gone, what was to be taken off is gone too.
"""

from __future__ import annotations

import errno
import socket
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from hafailover.config.routing import VirtualRoute
from hafailover.guest.difference import LOOSE
from hafailover.guest.interface import PROTOCOL
from hafailover.guest.message import Conversation, attribute
from hafailover.guest.seen import family_of
from hafailover.guest.virtual import VIRTUAL_PROTOCOL

if TYPE_CHECKING:
    from hafailover.config.routing import Virtual, VirtualRule
    from hafailover.guest.difference import Difference, Route, Rule
    from hafailover.guest.kernel import Kernel
    from hafailover.guest.seen import Entry

# linux/if_addr.h. The cloud has one holder of an address: looking for another one would cost a second.
_IFA_F_NODAD, _IFA_F_NOPREFIXROUTE = 0x02, 0x200

_RTM_SETLINK: Final = 19  # linux/rtnetlink.h
_LINK_MESSAGE: Final = Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, mask
_IFLA_AF_SPEC, _IFLA_INET_CONF, _RP_FILTER = 26, 1, 8  # linux/if_link.h; IPV4_DEVCONF_RP_FILTER of linux/ip.h
_VALUE: Final = Struct("=I")


class Changes:
    """Changes by one lent socket. Raises the library's refusals, and OSError."""

    def __init__(self, kernel: Kernel, route: Any) -> None:  # noqa: ANN401 - pyroute2 is not typed
        self._kernel = kernel
        self._route = route

    async def add_address(self, address: str, index: int) -> None:
        """Add ADDRESS/32, or an IPv6 one as ADDRESS/128: see `netlink` for both."""
        family = family_of(address)
        how: dict[str, int] = {"prefixlen": 32}
        if family == socket.AF_INET6:
            how = {"prefixlen": 128, "flags": _IFA_F_NODAD | _IFA_F_NOPREFIXROUTE, "preferred_lft": 0}
        asked = self._route.addr("add", index=index, address=address, family=family, **how)
        await self._kernel.unless((errno.EEXIST,), asked)

    async def remove_address(self, entry: Entry) -> None:
        """Remove an address as it is there."""
        asked = self._route.addr("del", index=entry.index, address=entry.address, prefixlen=entry.prefix)
        await self._kernel.unless((errno.EADDRNOTAVAIL, errno.ENODEV), asked)  # somebody was faster

    async def add_rule(self, rule: Rule) -> None:
        """Add a rule of ours."""
        await self._kernel.unless((errno.EEXIST,), self._rule("add", rule))

    async def remove_rule(self, rule: Rule) -> None:
        """Remove a rule of ours."""
        await self._kernel.unless((errno.ENOENT,), self._rule("del", rule))

    async def add_route(self, route: Route) -> None:
        """Add a route."""
        await self._kernel.unless((errno.EEXIST,), self._change_route("add", route))

    async def remove_route(self, route: Route) -> None:
        """Remove a route."""
        await self._kernel.unless((errno.ESRCH, errno.ENODEV), self._change_route("del", route))

    async def add_virtual(self, each: Virtual) -> None:
        """Add a route or rule that follows an address. One that somebody else has in its place is a refusal."""
        await self._change_virtual("add", each)

    async def remove_virtual(self, each: Virtual) -> None:
        """Remove a route or rule that follows an address."""
        gone = (errno.ESRCH, errno.ENOENT, errno.ENODEV)
        await self._kernel.unless(gone, self._change_virtual("del", each))

    async def bring_up(self, index: int) -> None:
        """Set an interface up."""
        await self._route.link("set", index=index, state="up")

    async def take_down(self, index: int) -> None:
        """Set an interface down."""
        await self._kernel.unless((errno.ENODEV,), self._route.link("set", index=index, state="down"))

    async def carry_out(self, index: int, todo: Difference, present: list[Entry]) -> None:
        """Make an ENI what it is to be; `present` are the addresses that its interface has."""
        if todo.bring_up:
            await self.bring_up(index)
        if todo.loosen:
            await loosen(index)
        for route in todo.surplus_routes:
            await self.remove_route(route)
        for route in todo.lacking_routes:
            await self.add_route(route)
        for rule in todo.surplus_rules:
            await self.remove_rule(rule)
        for rule in todo.lacking_rules:
            await self.add_rule(rule)
        for address in todo.lacking_addresses:
            await self.add_address(address, index)
        for entry in present:
            if entry.address in todo.surplus_addresses:
                await self.remove_address(entry)

    async def _rule(self, command: str, rule: Rule) -> None:
        await self._route.rule(
            command,
            family=family_of(rule.source),
            src=rule.source,
            table=rule.table,
            priority=rule.priority,
            protocol=PROTOCOL,
        )

    async def _change_route(self, command: str, route: Route) -> None:
        where: dict[str, str] = {"gateway": route.gateway} if route.gateway else {"scope": "link"}
        await self._route.route(
            command,
            dst=route.destination,
            family=family_of(route.destination),
            oif=route.index,
            table=route.table,
            proto=route.protocol,
            **where,
        )

    async def _change_virtual(self, command: str, each: Virtual) -> None:
        if isinstance(each, VirtualRoute):
            await self._route.route(command, proto=VIRTUAL_PROTOCOL, **_of_route(each))
        else:
            await self._route.rule(command, protocol=VIRTUAL_PROTOCOL, **_of_rule(each))


def _of_route(route: VirtualRoute) -> dict[str, Any]:
    optional = {"gateway": route.gateway, "prefsrc": route.source, "priority": route.metric}
    where: dict[str, Any] = {key: value for key, value in optional.items() if value}
    if route.device:
        where["oif"] = socket.if_nametoindex(route.device)
    if route.type == "unicast" and not route.gateway:
        where["scope"] = "link"
    if route.onlink:
        where["flags"] = ["onlink"]
    family = family_of(route.destination)
    return {"family": family, "type": route.type, "dst": route.destination, "table": route.table, **where}


def _of_rule(rule: VirtualRule) -> dict[str, Any]:
    ends = {"src": rule.source, "dst": rule.destination}
    where = {key: value for key, value in ends.items() if value}
    family = family_of(rule.source or rule.destination)
    return {"family": family, "table": rule.table, "priority": rule.priority, **where}


async def loosen(index: int) -> None:
    """Set the reverse path filter of an interface to loose (net.ipv4.conf.*.rp_filter = 2).

    By netlink and not in /proc/sys, which the unit's ProtectKernelTunables= makes read-only. Raises OSError.
    """
    values = attribute(_IFLA_INET_CONF, attribute(_RP_FILTER, _VALUE.pack(LOOSE)))
    body = _LINK_MESSAGE.pack(socket.AF_UNSPEC, 0, index, 0, 0)
    with Conversation(socket.NETLINK_ROUTE) as conversation:
        await conversation.order(_RTM_SETLINK, body + attribute(_IFLA_AF_SPEC, attribute(socket.AF_INET, values)))
