"""Looks at this machine without changing it: rights, interface, addresses, filters, who else sets it up."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hafailover.doctor.guest import TO_COME, Guest
from hafailover.errors import GuestError
from hafailover.guest.netlink import Guest as Kernel
from hafailover.guest.network import Link, require_capability
from hafailover.guest.routes import way_out
from hafailover.guest.writers import second_writers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hafailover.config.model import Group
    from hafailover.guest.network import GuestNetwork

CONNECT_S = 2.0
FILTERS = Path("/proc/sys/net/ipv4/conf")
_UCRED = struct.Struct("iII")  # pid, uid, gid: struct ucred of socket(7)


async def look(
    groups: Sequence[Group],
    *,
    interface: str | None,
    mac: str | None,
    daemon_pid: int | None,
    secondary: Sequence[str] = (),
    to_come: bool = False,
) -> Guest:
    """Return what there is to see; raises nothing.

    `secondary` are the MAC addresses of secondary ENIs, which may be here or not; `to_come`: whether any may come.
    """
    capable = _capable(daemon_pid)
    filters, out = await asyncio.gather(asyncio.to_thread(rp_filters), asyncio.to_thread(way_out))
    kernel = Kernel()
    try:
        await kernel.open(to_change=False)
        present = await kernel.present(address for group in groups for address in group.addresses)
    except GuestError as error:
        return Guest(capable, error=str(error), filters=filters, way_out=out)
    try:
        link = await kernel.find_link(mac=mac, name=interface) if interface or mac else None
        cards = await _cards(kernel, link, mac, secondary)
        routes = {} if link is None else await lacking(kernel, groups, link)
    except GuestError as error:
        return Guest(capable, link_error=str(error), present=present, filters=filters, way_out=out)
    finally:
        await kernel.close()
    cards += [Link(0, TO_COME)] if to_come else []
    writers = await asyncio.to_thread(_writers, cards)
    return Guest(capable, "" if link is None else link.name, "", present, "", filters, out, writers, routes)


async def lacking(kernel: GuestNetwork, groups: Iterable[Group], link: Link) -> Mapping[str, Mapping[str, str]]:
    """Return by group what is not there of routes and rules, and what is in its way. Raises GuestError."""
    return {group.name: await kernel.lacking(group, link) for group in groups if group.followers}


async def _cards(kernel: Kernel, own: Link | None, own_mac: str | None, macs: Iterable[str]) -> list[Link]:
    """Return the interfaces of those of the ENIs that are here; the node's own may have been found by its name."""
    found = []
    for mac in macs:
        try:
            link = own if mac == own_mac and own is not None else await kernel.find_link(mac=mac)
        except GuestError:
            continue
        found.append(replace(link, mac=mac))
    return found


def _writers(cards: Iterable[Link]) -> tuple[tuple[str, str], ...]:
    """Return what there is to say of who else may set up these cards: each once, with the first that it is of."""
    said: dict[str, str] = {}
    for card in cards:
        for text in second_writers(card):
            said.setdefault(text, card.name)
    return tuple((name, text) for text, name in said.items())


def _capable(daemon_pid: int | None) -> bool | None:
    """Return whether the daemon may change addresses, or this process where none runs and this one is root."""
    if daemon_pid is None and os.geteuid() != 0:
        return None
    try:
        require_capability(Path(f"/proc/{daemon_pid or 'self'}/status"))
    except GuestError:
        return False
    except OSError:
        return None
    return True


def rp_filters(folder: Path = FILTERS) -> Mapping[str, int]:
    """Return rp_filter by interface, with "all" and "default"; without those that cannot be read."""
    found = {}
    for path in folder.glob("*/rp_filter"):
        try:
            found[path.parent.name] = int(path.read_text("ascii"))
        except (OSError, ValueError):
            continue
    return found


def nobody_listens(path: Path) -> bool:
    """Return whether it is certain that no process listens on a Unix socket."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(CONNECT_S)
            sock.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def listener_pid(path: Path) -> int | None:
    """Return the process that listens on a Unix socket (SO_PEERCRED, unix(7)), None where that cannot be told."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(CONNECT_S)
            sock.connect(str(path))
            pid, _, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    except OSError:
        return None
    return int(pid) or None
