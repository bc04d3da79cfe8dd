"""Looks at this machine without changing it: rights, interface, addresses, filters."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from hafailover.doctor.guest import Guest
from hafailover.errors import GuestError
from hafailover.guest.netlink import Guest as Kernel
from hafailover.guest.network import require_capability
from hafailover.guest.routes import way_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CONNECT_S = 2.0
FILTERS = Path("/proc/sys/net/ipv4/conf")
_UCRED = struct.Struct("iII")  # pid, uid, gid: struct ucred of socket(7)


async def look(
    addresses: Iterable[str], *, interface: str | None, mac: str | None, daemon_pid: int | None
) -> Guest:
    """Return what there is to see; raises nothing."""
    capable = _capable(daemon_pid)
    filters, out = await asyncio.gather(asyncio.to_thread(rp_filters), asyncio.to_thread(way_out))
    kernel = Kernel()
    try:
        await kernel.open(to_change=False)
        present = await kernel.present(addresses)
    except GuestError as error:
        return Guest(capable, error=str(error), filters=filters, way_out=out)
    try:
        link = await kernel.find_link(mac=mac, name=interface) if interface or mac else None
    except GuestError as error:
        return Guest(capable, link_error=str(error), present=present, filters=filters, way_out=out)
    finally:
        await kernel.close()
    return Guest(capable, "" if link is None else link.name, "", present, "", filters, out)


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
