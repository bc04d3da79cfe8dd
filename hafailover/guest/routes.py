"""The way out of this node: its default gateway, as the kernel's main table has it.

Read from /proc/net/route, which shows that table, and not by netlink: pyroute2 costs 13 MB, and a daemon whose
groups all say guest = "none" does without it.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path

TABLE = Path("/proc/net/route")
_RTF_UP, _RTF_GATEWAY = 0x1, 0x2  # linux/route.h
_MOST_BYTES = 1 << 20


def default_gateway(interface: str | None = None, table: Path = TABLE) -> str | None:
    """Return the IPv4 address of the default gateway, None where there is none or the table cannot be read.

    Of several it is one out of `interface`, and of those the one with the lowest metric.
    """
    best = min(_defaults(table), key=lambda route: (route[0] != interface, route[1]), default=None)
    return None if best is None else best[2]


def way_out(table: Path = TABLE) -> str | None:
    """Return the interface of the default route with the lowest metric, None where there is none."""
    best = min(_defaults(table), key=lambda route: route[1], default=None)
    return None if best is None else best[0]


def _defaults(table: Path) -> list[tuple[str, int, str]]:
    try:
        with table.open("rb") as file:
            lines = file.read(_MOST_BYTES).decode("ascii", "replace").splitlines()[1:]
    except OSError:
        return []
    return [route for route in map(_default, lines) if route is not None]


def _default(line: str) -> tuple[str, int, str] | None:
    """Return interface, metric and gateway of a line that is a default route with a gateway and up."""
    try:
        name, target, gateway, flags, _, _, metric, mask = line.split()[:8]
        wanted = _RTF_UP | _RTF_GATEWAY
        if int(target, 16) or int(mask, 16) or int(flags, 16) & wanted != wanted:
            return None
        # the kernel prints the four bytes as one number in its own order
        return name, int(metric), socket.inet_ntoa(struct.pack("=I", int(gateway, 16)))
    except (ValueError, struct.error):
        return None
