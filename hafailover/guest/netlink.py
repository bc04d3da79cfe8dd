"""Makes this node's kernel answer for an address, or stop doing so (rtnetlink(7)).

An address is added as ADDRESS/32 and not with its subnet's prefix, for three reasons:

- It is a subnet of its own, hence never anybody's primary or secondary address: removing it cannot take other
  addresses with it, whatever net.ipv4.conf.*.promote_secondaries says.
- It brings no route but the local one: the routes to the subnet and to the gateway stay as they are.
- As the source of the node's own traffic the kernel takes an address whose subnet contains the next hop, and
  that of a /32 does not: the node goes on calling out from its own address, while answers leave from the one
  that was asked.

An IPv6 address is added as ADDRESS/128, with "nodad", since the cloud has one holder of it and looking for another
would cost a second; without the route that the kernel would make for its prefix; and as deprecated (preferred for
0 s), by which it answers as any other, while the node's own traffic takes another source: the rules for choosing
one (RFC 6724) would otherwise prefer it to the node's own wherever more of its bits are those of the destination.
No rule is needed for an address on the primary card: in IPv6 too everything leaves by the default route, and that
is there. On a secondary one the way back is needed too: see `ways`.

Nothing is announced: a VPC ignores gratuitous ARP and learns from the cloud's API who holds an address.
No lifetime is set on it either, since a restarted or upgraded daemon is to find its address in place.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from hafailover.errors import GuestError
from hafailover.guest import notices, seen
from hafailover.guest.changes import Changes
from hafailover.guest.difference import canonical
from hafailover.guest.flows import close_flows
from hafailover.guest.kernel import Kernel
from hafailover.guest.network import Link
from hafailover.guest.plugs import Plugs
from hafailover.guest.virtuals import Virtuals
from hafailover.guest.ways import Ways

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hafailover.config.model import Group
    from hafailover.guest.interface import Interface

DEADLINE_S = 2.0
_CHECKED_AGAIN_S = 30.0  # for what no notification tells
_LISTED = 20

log = structlog.get_logger()


class Guest:
    """The network of this node, by netlink. Every operation ends within `deadline_s` and raises GuestError.

    Operations may be called at the same time; they are carried out one after another.
    """

    def __init__(self, deadline_s: float = DEADLINE_S) -> None:
        self._kernel = Kernel(deadline_s)
        self._plugs = Plugs(self._kernel, self._end_flows)
        self._ways = Ways(self._kernel)
        self._virtuals = Virtuals(self._kernel)
        self._armed: set[str] = set()
        self._said: set[str] = set()

    async def open(self, *, to_change: bool = True) -> None:
        """Import the library and see that the kernel answers.

        Raises GuestError, also where CAP_NET_ADMIN is missing and something is to be changed.
        """
        await self._kernel.open(to_change=to_change)
        await self.present(())

    async def close(self) -> None:
        """Close the socket; addresses stay as they are, and a further operation opens it again."""
        self._kernel.close()

    async def find_link(self, *, mac: str | None = None, name: str | None = None) -> Link:
        """Return the interface of this name (alternative names too), else of this MAC address.

        Bridges, VLANs and bonds share a MAC address with what they are made of: a part of another interface
        is passed over, and one made of another. Raises GuestError where none or several fit.
        """
        if name and (index := _index_of(name)):
            return Link(index, name)
        async with self._kernel.lend("read interfaces") as route:
            messages = await seen.links(route)
        found = [] if name else seen.with_mac(messages, (mac or "").lower())
        if len(found) == 1:
            return seen.link_of(found[0])
        raise GuestError(_not_found(name, mac, [seen.link_of(m) for m in messages]))

    async def arm(self, address: str, link: Link, eni: Interface | None = None) -> None:
        """Add ADDRESS/32 (/128) to the interface. Raises GuestError where it is gone or the kernel refuses.

        Where that is the interface of a secondary ENI, `eni` describes it: answers are to leave by it too.
        """
        async with self._kernel.lend(f"add {address} to {link.name}") as route:
            await self._ways.pave(route, address, link, eni)
            await Changes(self._kernel, route).add_address(address, link.index)
            self._armed.add(address)

    async def disarm(self, address: str) -> None:
        """Remove the address, with whatever prefix, from all interfaces, and its way; end its TCP connections here.

        So leftovers go too: of a crash, of an interface configured earlier, of a static configuration. Raises
        GuestError, also where removing it would take this node's other addresses with it.
        """
        self._armed.discard(address)
        async with self._kernel.lend(f"remove {address}") as route:
            entries = await seen.entries(route)
            leaving = [entry for entry in entries if entry.address == canonical(address)]
            for entry in leaving:
                _refuse_to_take_others(entry, entries)
            await self._end_flows((address,))  # while their resets can still leave, see `flows`
            for entry in leaving:
                await Changes(self._kernel, route).remove_address(entry)
            await self._ways.close(route, address)
        await self._end_flows((address,))

    async def present(self, addresses: Iterable[str]) -> frozenset[str]:
        """Return those of the addresses that an interface carries. Raises GuestError."""
        async with self._kernel.lend("read addresses") as route:
            there = {entry.address for entry in await seen.entries(route)}
        return frozenset(address for address in addresses if canonical(address) in there)

    async def plug(self, interface: Interface, *, deadline_s: float) -> None:
        """Set a secondary ENI up as described, as soon as it has an interface; see `difference` for how.

        It waits for the kernel's notification, `deadline_s` altogether. Only what differs is changed. Raises
        GuestError, also where somebody else keeps changing it.
        """
        await self._plugs.plug(interface, deadline_s)

    async def unplug(self, mac: str) -> None:
        """Take off everything of an ENI (MAC address in lower case) and end its connections. Raises GuestError.

        Where its interface is still there that loses all its addresses and is set down, so that it answers no
        longer. What a `plug` still waits for is not set up any more.
        """
        await self._plugs.unplug(mac)

    async def unplug_others(self, keep: Iterable[str] = ()) -> None:
        """Unplug every ENI of which the kernel has rules or routes of ours, but for these MAC addresses.

        So go those that a configuration of before had, and a daemon that is not to come back. Raises GuestError.
        """
        await self._plugs.unplug_others(keep)

    async def plugged(self, macs: Iterable[str]) -> frozenset[str]:
        """Return those of the ENIs (MAC addresses) that are as `plug` was last asked to have them.

        One that only an earlier process has plugged is judged by what that has left. Raises GuestError.
        """
        return await self._plugs.plugged(macs)

    async def lay(self, group: Group, link: Link) -> None:
        """Have the routes and rules that follow the group's addresses, which are on this interface already.

        Raises GuestError with the one in it that the kernel refuses.
        """
        await self._virtuals.lay(group, link)

    async def lift(self, group: Group) -> None:
        """Take them off, also those that an earlier process has left. Raises GuestError."""
        await self._virtuals.lift(group)

    async def lift_others(self, keep: Iterable[Group]) -> None:
        """Take off all of that kind which are of none of these groups. Raises GuestError."""
        await self._virtuals.lift_others(keep)

    async def lacking(self, group: Group, link: Link) -> Mapping[str, str]:
        """Return those that are not there, as text, each with what is in its way, "" where nothing is.

        Nothing is changed. Raises GuestError.
        """
        return await self._virtuals.lacking(group, link)

    async def watch(self, on_change: Callable[[str], None]) -> None:
        """Call back, for ever, with each armed address that is gone, or its way, though nobody has disarmed it.

        Also with an armed address of a group of whose routes and rules any is gone.

        Likewise with the MAC address of each plugged ENI that is not as it is to be: rules flushed, an address
        removed, set down, gone. `interface.is_mac` tells one from the other. networkd, NetworkManager, DHCP
        clients and people do that, and so does a detached ENI. The callback repeats with every further change
        for as long as it is so. Raises GuestError where the kernel tells of no changes.

        Changes of routes, which may be many, are only listened to where some follow addresses.
        """
        told = notices.LINKS | notices.ADDRESSES | notices.RULES | notices.FILTERS
        told |= notices.ROUTES if self._virtuals.expected else 0
        with notices.subscribe(told) as sock:
            while True:
                await self._tell_missing(on_change)
                await notices.wait(sock, _CHECKED_AGAIN_S)
                await notices.settle(sock)

    async def _tell_missing(self, on_change: Callable[[str], None]) -> None:
        armed = frozenset(self._armed)  # before the kernel is read: what is armed meanwhile is not missing
        try:
            missing = armed - await self.present(armed) | await self._ways.lost() | await self._virtuals.lost()
            lost = await self._plugs.lost()
        except GuestError:
            return  # it is tried again soon, and the next operation that matters says so
        for address in sorted(missing & self._armed):  # what was disarmed meanwhile is not missing either
            on_change(address)
        for mac in lost:
            on_change(mac)

    async def _end_flows(self, addresses: Iterable[str]) -> None:
        """End connections as far as the kernel does that; what keeps it from it is said once."""
        for address in addresses:
            try:
                closed = await close_flows(address)
            except GuestError as error:
                if str(error) not in self._said:
                    self._said.add(str(error))
                    log.warning("connections_not_ended", address=address, error=str(error))
            else:
                if closed:
                    log.info("connections_ended", address=address, connections=closed)


def _index_of(name: str) -> int:
    try:
        return socket.if_nametoindex(name)
    except (OSError, ValueError):
        return 0


def _not_found(name: str | None, mac: str | None, links: list[Link]) -> str:
    wanted = f"interface {name}" if name else f"interface with the MAC address {mac or '(unknown)'}"
    fitting = [link.name for link in links if not name and link.mac == (mac or "").lower()]
    if fitting:
        return f"more than one {wanted}: {', '.join(fitting)}; name the right one with the node's key interface"
    there = ", ".join(f"{link.name} ({link.mac})" if link.mac else link.name for link in links[:_LISTED])
    return f"there is no {wanted}; there are: {there}{', ...' if len(links) > _LISTED else ''}"


def _refuse_to_take_others(entry: seen.Entry, entries: list[seen.Entry]) -> None:
    """Raise GuestError where the kernel would remove other addresses along with this one.

    It does so with the secondary addresses of a subnet when their primary one goes, unless
    promote_secondaries is set for the interface or for all (Linux, networking/ip-sysctl). It cannot happen to
    what `arm` has added.
    """
    if entry.secondary:
        return
    others = [e.address for e in entries if e.secondary and e.shares_subnet(entry)]
    if others and not _promotes(entry.index):
        raise GuestError(
            f"{entry.address}/{entry.prefix} is the primary address of its subnet here, and removing it would"
            f" remove {', '.join(others)} too: take it out of the static network configuration, or set"
            " net.ipv4.conf.all.promote_secondaries = 1"
        )


def _promotes(index: int) -> bool:
    for name in ("all", _name_of(index)):
        try:
            if Path(f"/proc/sys/net/ipv4/conf/{name}/promote_secondaries").read_text("ascii").strip() != "0":
                return True
        except OSError:
            continue
    return False


def _name_of(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return "default"
