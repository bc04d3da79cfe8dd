"""The kernel's notifications of changes of its network (rtnetlink(7)). They only wake: what is there is read anew.

So one that was lost (ENOBUFS) does no harm, and none has to be understood.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final

from hafailover.errors import GuestError

# linux/rtnetlink.h, RTMGRP_*; some have no such name: RTNLGRP_IPV6_RULE is 19, RTNLGRP_IPV4_NETCONF 24
LINKS: Final = 0x1
ADDRESSES: Final = 0x10 | 0x100
RULES: Final = 0x80 | 1 << (19 - 1)
ROUTES: Final = 0x40 | 0x400
FILTERS: Final = 1 << (24 - 1)  # of the reverse path, and a card's other values

_SETTLE_S = 0.05  # a change seldom comes alone
_RECEIVE_BYTES = 64 * 1024
_DRAINED = 100  # notifications thrown away at once


def subscribe(groups: int) -> socket.socket:
    """Return a socket that hears of changes from now on. Raises GuestError where there is none."""
    try:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
    except OSError as error:
        raise GuestError(f"cannot watch the network: {error.strerror}") from error
    try:
        sock.bind((0, groups))
    except OSError as error:
        sock.close()
        raise GuestError(f"cannot watch the network: {error.strerror}") from error
    return sock


async def wait(sock: socket.socket, most_s: float) -> None:
    """Wait until something has changed, or for so long. A change may be told more than once."""
    try:
        async with asyncio.timeout(most_s):
            await asyncio.get_running_loop().sock_recv(sock, _RECEIVE_BYTES)
    except OSError:  # nothing has come (TimeoutError), or more than there was room for (ENOBUFS)
        pass


async def settle(sock: socket.socket) -> None:
    """Wait a moment for the other changes that come with one, and take them as told."""
    await asyncio.sleep(_SETTLE_S)
    for _ in range(_DRAINED):
        try:
            sock.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            continue
