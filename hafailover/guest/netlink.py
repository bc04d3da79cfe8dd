"""Makes this node's kernel answer for an address, or stop doing so (rtnetlink(7)).

An address is added as ADDRESS/32 and not with its subnet's prefix, for three reasons:

- It is a subnet of its own, hence never anybody's primary or secondary address: removing it cannot take other
  addresses with it, whatever net.ipv4.conf.*.promote_secondaries says.
- It brings no route but the local one: the routes to the subnet and to the gateway stay as they are.
- As the source of the node's own traffic the kernel takes an address whose subnet contains the next hop, and
  that of a /32 does not: the node goes on calling out from its own address, while answers leave from the one
  that was asked.

Nothing is announced: a VPC ignores gratuitous ARP and learns from the cloud's API who holds an address.
No lifetime is set on it either, since a restarted or upgraded daemon is to find its address in place.

pyroute2 costs about 13 MB and 0.2 s to import; it is imported by `Guest.open`, so that a daemon whose groups
all say guest = "none" does without (`NullGuest`).
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hafailover.errors import GuestError
from hafailover.guest.network import NO_CAPABILITY, Link, require_capability

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

DEADLINE_S = 2.0
_IFA_F_SECONDARY = 0x01  # linux/if_addr.h
_RTEXT_FILTER_SKIP_STATS = 0x08  # linux/rtnetlink.h: counters nobody here looks at
_RTMGRP_IPV4_IFADDR = 0x10  # linux/rtnetlink.h
_SETTLE_S = 0.05  # a change seldom comes alone
_RECEIVE_BYTES = 64 * 1024
_CHECKED_AGAIN_S = 30.0  # for what no notification tells
_DRAINED = 100  # notifications thrown away at once: they only say that something has changed
_LISTED = 20


@dataclass(frozen=True, slots=True)
class _Entry:
    """An address as one interface carries it."""

    address: str
    prefix: int
    index: int
    secondary: bool

    def shares_subnet(self, other: _Entry) -> bool:
        return (self.index, self.prefix) == (other.index, other.prefix) and self._subnet == other._subnet

    @property
    def _subnet(self) -> IPv4Network:
        return IPv4Network((self.address, self.prefix), strict=False)


class Guest:
    """The network of this node, by netlink. Every operation ends within `deadline_s` and raises GuestError.

    Operations may be called at the same time; they are carried out one after another.
    """

    def __init__(self, deadline_s: float = DEADLINE_S) -> None:
        self._deadline_s = deadline_s
        self._lock = asyncio.Lock()
        self._armed: set[str] = set()
        self._route: Any = None  # an AsyncIPRoute of pyroute2, which is not typed
        self._new_route: Any = None
        self._refusal: type[Any] = GuestError  # pyroute2's NetlinkError, once that is imported

    async def open(self, *, to_change: bool = True) -> None:
        """Import the library and see that the kernel answers.

        Raises GuestError, also where CAP_NET_ADMIN is missing and something is to be changed.
        """
        if to_change:
            require_capability()
        importing = asyncio.get_running_loop().run_in_executor(None, _import_library)
        self._new_route, self._refusal = await importing
        await self.present(())

    async def close(self) -> None:
        """Close the socket; addresses stay as they are, and a further operation opens it again."""
        route, self._route = self._route, None
        if route is not None:
            route.close()

    async def find_link(self, *, mac: str | None = None, name: str | None = None) -> Link:
        """Return the interface of this name (alternative names too), else of this MAC address.

        Bridges, VLANs and bonds share a MAC address with what they are made of: a part of another interface
        is passed over, and one made of another. Raises GuestError where none or several fit.
        """
        if name and (index := _index_of(name)):
            return Link(index, name)
        async with self._kernel("read interfaces") as route:
            messages = [m async for m in await route.link("dump", ext_mask=_RTEXT_FILTER_SKIP_STATS)]
        found = [] if name else [m for m in messages if _mac(m) == (mac or "").lower()]
        if len(found) > 1:
            found = [m for m in found if not m.get("master") and not m.get("link")]
        if len(found) == 1:
            return _link(found[0])
        raise GuestError(_not_found(name, mac, [_link(m) for m in messages]))

    async def arm(self, address: str, link: Link) -> None:
        """Add ADDRESS/32 to the interface. Raises GuestError where it is gone or the kernel refuses."""
        async with self._kernel(f"add {address} to {link.name}") as route:
            try:
                await route.addr("add", index=link.index, address=address, prefixlen=32, family=socket.AF_INET)
            except self._refusal as error:
                if error.code != errno.EEXIST:
                    raise
            self._armed.add(address)

    async def disarm(self, address: str) -> None:
        """Remove the address, with whatever prefix, from all interfaces.

        So leftovers go too: of a crash, of an interface configured earlier, of a static configuration. Raises
        GuestError, also where removing it would take this node's other addresses with it.
        """
        self._armed.discard(address)
        async with self._kernel(f"remove {address}") as route:
            entries = await _entries(route)
            for entry in entries:
                if entry.address == address:
                    _refuse_to_take_others(entry, entries)
                    await self._remove(route, entry)

    async def _remove(self, route: Any, entry: _Entry) -> None:  # noqa: ANN401 - pyroute2 is not typed
        try:
            await route.addr("del", index=entry.index, address=entry.address, prefixlen=entry.prefix)
        except self._refusal as error:
            if error.code not in (errno.EADDRNOTAVAIL, errno.ENODEV):  # somebody was faster
                raise

    async def present(self, addresses: Iterable[str]) -> frozenset[str]:
        """Return those of the addresses that an interface carries. Raises GuestError."""
        async with self._kernel("read addresses") as route:
            return frozenset(addresses) & {entry.address for entry in await _entries(route)}

    async def watch(self, on_change: Callable[[str], None]) -> None:
        """Call back, for ever, with each armed address that is gone though nobody has disarmed it.

        networkd, NetworkManager, DHCP clients and people do that, and so does a detached ENI. The callback
        repeats with every further change for as long as it is gone. A notification only wakes: what is there
        is read anew, so that lost ones (ENOBUFS) do no harm. Raises GuestError where there is no such socket.
        """
        with _notifications() as sock:
            while True:
                await self._tell_missing(on_change)
                await _wait_for_change(sock)

    async def _tell_missing(self, on_change: Callable[[str], None]) -> None:
        armed = frozenset(self._armed)  # before the kernel is read: what is armed meanwhile is not missing
        try:
            missing = armed - await self.present(armed)
        except GuestError:
            return  # it is tried again soon, and the next operation that matters says so
        for address in sorted(missing & self._armed):  # what was disarmed meanwhile is not missing either
            on_change(address)

    @asynccontextmanager
    async def _kernel(self, doing: str) -> AsyncIterator[Any]:
        """Lend the socket for one operation and turn its failures into a GuestError.

        After anything but a plain refusal the socket is given up, for an answer may still be on its way.
        """
        try:
            async with asyncio.timeout(self._deadline_s), self._lock:
                if self._route is None:
                    self._route = self._new_route(groups=0)
                yield self._route
        except self._refusal as error:
            raise GuestError(f"cannot {doing}: {_explain(error.code)}") from error
        except TimeoutError:
            await self.close()
            raise GuestError(f"cannot {doing}: the kernel did not answer in {self._deadline_s:g} s") from None
        except OSError as error:
            await self.close()
            raise GuestError(f"cannot {doing}: {error.strerror or error}") from error
        except BaseException:
            await self.close()
            raise


def _import_library() -> tuple[Any, type[Any]]:
    from pyroute2.iproute.linux import AsyncIPRoute  # noqa: PLC0415 - 13 MB that guest = "none" does without
    from pyroute2.netlink.exceptions import NetlinkError  # noqa: PLC0415 - the same

    return AsyncIPRoute, NetlinkError


async def _entries(route: Any) -> list[_Entry]:  # noqa: ANN401 - pyroute2 is not typed
    return [
        _Entry(m.get("local"), m["prefixlen"], m["index"], bool(m["flags"] & _IFA_F_SECONDARY))
        async for m in await route.addr("dump", family=socket.AF_INET)
    ]


def _mac(message: Any) -> str:  # noqa: ANN401 - pyroute2 is not typed
    return str(message.get("address") or "").lower()


def _link(message: Any) -> Link:  # noqa: ANN401 - pyroute2 is not typed
    return Link(message["index"], str(message.get("ifname")), _mac(message))


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


def _refuse_to_take_others(entry: _Entry, entries: list[_Entry]) -> None:
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


def _explain(code: int) -> str:
    if code in (errno.EPERM, errno.EACCES):
        return NO_CAPABILITY
    if code == errno.ENODEV:
        return "the interface is gone"
    return os.strerror(code)


def _notifications() -> socket.socket:
    try:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
    except OSError as error:
        raise GuestError(f"cannot watch addresses: {error.strerror}") from error
    try:
        sock.bind((0, _RTMGRP_IPV4_IFADDR))
    except OSError as error:
        sock.close()
        raise GuestError(f"cannot watch addresses: {error.strerror}") from error
    return sock


async def _wait_for_change(sock: socket.socket) -> None:
    """Wait for a notification, or half a minute; then for the others that come with it."""
    try:
        async with asyncio.timeout(_CHECKED_AGAIN_S):
            await asyncio.get_running_loop().sock_recv(sock, _RECEIVE_BYTES)
    except OSError:  # nothing has come (TimeoutError), or more than there was room for (ENOBUFS)
        pass
    await asyncio.sleep(_SETTLE_S)
    for _ in range(_DRAINED):
        try:
            sock.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            continue
