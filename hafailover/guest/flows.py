"""Ends the TCP connections of an address that leaves this node (sock_diag(7), SOCK_DESTROY; as `ss -K` does).

Nobody answers them any more: the address is another's, and that one knows nothing of them. A client that only
waits would do so until its own timeout, often minutes or for ever; and the service here would keep dead sockets.
So the kernel ends each: the service sees ECONNABORTED, and the client a reset, which the kernel sends at once.

That reset is sent from the address and by the routes of it, so it leaves only while this node still has both
(tried in namespaces: after an IPv4 address is off, the socket is closed and nothing is sent). Hence it is done
before the address comes off, while in a planned hand-over the network still brings it to the client, and once
more afterwards for what came in between. After an unplanned move the network drops it; then the new holder, which
knows no such connection, refuses the client's next packet.

Only connections: who listens on the address is left alone, and so is what waits out its TIME_WAIT. The kernel
needs CONFIG_INET_DIAG_DESTROY, which the distributions' kernels have.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from contextlib import suppress
from ipaddress import ip_address
from struct import Struct
from typing import Final

from hafailover.errors import GuestError
from hafailover.guest.message import Conversation, attribute
from hafailover.guest.network import NO_CAPABILITY

MOST_FLOWS: Final = 5_000  # at once: each takes about 50 us
DEADLINE_S: Final = 0.5
_PER_TURN: Final = 50  # then the loop's other work has its turn

_IPV4_BYTES: Final = 4
_NETLINK_SOCK_DIAG: Final = 4  # linux/netlink.h
_SOCK_DIAG_BY_FAMILY, _SOCK_DESTROY = 20, 21  # linux/sock_diag.h
# linux/inet_diag.h: family, protocol, extensions, padding, states, then the socket's id of 48 bytes
_REQUEST: Final = Struct("=BBBxI48s")
_ID: Final = slice(4, 52)  # of inet_diag_msg, after family, state, timer, retransmits
_NO_ID: Final = bytes(40) + b"\xff" * 8  # ports, addresses, interface; no cookie (INET_DIAG_NOCOOKIE)
_REQ_BYTECODE: Final = 1
_SOURCE_CONDITION: Final = 7  # INET_DIAG_BC_S_COND
_OPERATION: Final = Struct("=BBH")  # code, where to go on if it is so, and if not
_CONDITION: Final = Struct("=BBxxi")  # family, prefix length, port (-1: any)
# all of include/net/tcp_states.h, but for TIME_WAIT (6), CLOSE (7) and LISTEN (10)
_CONNECTED: Final = sum(1 << state for state in (1, 2, 3, 4, 5, 8, 9, 11, 12))


async def close_flows(address: str) -> int:
    """End the TCP connections that have this IPv4 or IPv6 address here, and return how many they were.

    At most `MOST_FLOWS`, in at most `DEADLINE_S`. Raises GuestError where the kernel does not do that, and
    ValueError for what is no IP address.
    """
    source = ip_address(address).packed
    family = socket.AF_INET if len(source) == _IPV4_BYTES else socket.AF_INET6
    closed = 0
    try:
        async with asyncio.timeout(DEADLINE_S):
            # an IPv4 connection to a service that listens with one socket for both is an IPv6 one
            for sockets in dict.fromkeys((family, socket.AF_INET6)):
                closed += await _close_those(sockets, family, source)
    except TimeoutError:
        raise GuestError(f"cannot end all connections in {DEADLINE_S:g} s") from None
    except OSError as error:
        raise GuestError(f"cannot end connections: {_explain(error)}") from error
    return closed


async def _close_those(sockets: socket.AddressFamily, family: socket.AddressFamily, source: bytes) -> int:
    """End those among the sockets of one family whose own address is this one of the other family."""
    with Conversation(_NETLINK_SOCK_DIAG) as conversation:
        request = _request(sockets, _NO_ID) + attribute(_REQ_BYTECODE, _has_source(family, source))
        found = await conversation.dump(_SOCK_DIAG_BY_FAMILY, request, MOST_FLOWS)
    closed = 0
    with Conversation(_NETLINK_SOCK_DIAG) as conversation:
        for number, message in enumerate(found):
            if number % _PER_TURN == 0:
                await asyncio.sleep(0)
            with suppress(FileNotFoundError):  # it has ended by itself
                await conversation.order(_SOCK_DESTROY, _request(sockets, message[_ID]))
                closed += 1
    return closed


def _request(family: socket.AddressFamily, identity: bytes) -> bytes:
    return _REQUEST.pack(family, socket.IPPROTO_TCP, 0, _CONNECTED, identity)


def _has_source(family: socket.AddressFamily, source: bytes) -> bytes:
    """Return the program by which the kernel finds sockets: the end of it is yes, and beyond the end is no."""
    condition = _CONDITION.pack(family, 8 * len(source), -1) + source
    length = _OPERATION.size + len(condition)
    return _OPERATION.pack(_SOURCE_CONDITION, length, length + 4) + condition


def _explain(error: OSError) -> str:
    if error.errno in (errno.EOPNOTSUPP, errno.ENOENT):
        return "the kernel cannot do that (CONFIG_INET_DIAG_DESTROY, module tcp_diag)"
    if error.errno == errno.EPERM:
        return NO_CAPABILITY
    return error.strerror or str(error)
