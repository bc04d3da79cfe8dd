"""Addresses of nodes: literals at once, DNS names without blocking the loop and never for long."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

RESOLVE_DEADLINE_S: Final = 2.0

SocketAddress = tuple[str, int] | tuple[str, int, int, int]
Found = tuple[socket.AddressFamily, SocketAddress]


def literal(host: str, port: int) -> Found | None:
    """Return family and socket address of an IP literal (with a scope, if any), None for a name."""
    try:
        return _first(socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST))
    except (OSError, UnicodeError):
        return None


async def lookup(host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC) -> Found | None:
    """Return family and socket address of a literal or a name; None where there is none within 2 s."""
    known = literal(host, port)
    if known is not None:
        return known if family in (socket.AF_UNSPEC, known[0]) else None
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_DEADLINE_S):
            return _first(await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_DGRAM))
    except (OSError, UnicodeError):  # TimeoutError is an OSError; UnicodeError: no valid host name
        return None


def _first(found: Sequence[tuple[Any, ...]]) -> Found | None:
    return (found[0][0], found[0][4]) if found else None
