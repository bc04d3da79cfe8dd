"""The kernel's queue of ICMP errors of a UDP socket (Linux: ip(7) and ipv6(7), IP_RECVERR).

Why this and not a connected socket per peer: one bound socket stays exclusive, so that a second daemon on the
port fails at its start instead of sharing it (SO_REUSEADDR on UDP would hand it the peers' datagrams); all
datagrams leave from the configured port whatever the number of peers; a peer's new address needs no new socket;
and the queue tells *who* said that nobody listens. A connected socket reports ECONNREFUSED alike for the
peer's own kernel and for a firewall on the way, and only the first one proves that the host lives.
"""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from struct import Struct
from typing import Final

# <linux/in.h>, <linux/in6.h>, <linux/errqueue.h>; the socket module of Python 3.11 does not name them.
_IP_RECVERR: Final = 11
_IPV6_RECVERR: Final = 25
_ORIGINS_ICMP: Final = (2, 3)  # SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6

_EXTENDED_ERROR: Final = Struct("=IBBBBII")  # errno, origin, type, code, padding, info, data
_OFFENDER_V4: Final = Struct("=H2x4s")
_OFFENDER_V6: Final = Struct("=H6x16s")
_ANCILLARY_BYTES: Final = 512

_LEVELS: Final = {
    socket.AF_INET: (socket.IPPROTO_IP, _IP_RECVERR, _OFFENDER_V4),
    socket.AF_INET6: (socket.IPPROTO_IPV6, _IPV6_RECVERR, _OFFENDER_V6),
}


@dataclass(frozen=True, slots=True)
class QueuedError:
    """One ICMP error: the (host, port) that the datagram was for, the errno, and who reported it (or "")."""

    target: tuple[str, int]
    number: int
    offender: str

    @property
    def refused_by_target(self) -> bool:
        """Whether the target's own kernel says that nobody listens on the port."""
        return self.number == errno.ECONNREFUSED and self.offender == self.target[0]


def enable(sock: socket.socket) -> None:
    """Ask the kernel to queue ICMP errors; OSError where it cannot."""
    level, option, _ = _LEVELS[socket.AddressFamily(sock.family)]
    sock.setsockopt(level, option, 1)


def take(sock: socket.socket) -> QueuedError | None:
    """Return the next queued error without waiting; None where there is none."""
    try:
        _, ancillary, _, target = sock.recvmsg(0, _ANCILLARY_BYTES, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
    except OSError:  # BlockingIOError where the queue is empty
        return None
    level, option, offender = _LEVELS[socket.AddressFamily(sock.family)]
    for found_level, found_option, data in ancillary:
        if (found_level, found_option) == (level, option):
            return _parse(target, data, socket.AddressFamily(sock.family), offender)
    return QueuedError(target[:2], 0, "")


def _parse(
    target: tuple[str, int], data: bytes, family: socket.AddressFamily, offender_format: Struct
) -> QueuedError:
    if len(data) < _EXTENDED_ERROR.size + offender_format.size:
        return QueuedError(target[:2], 0, "")
    number, origin, *_ = _EXTENDED_ERROR.unpack_from(data)
    offender_family, address = offender_format.unpack_from(data, _EXTENDED_ERROR.size)
    known = origin in _ORIGINS_ICMP and offender_family == family
    return QueuedError(target[:2], number, socket.inet_ntop(family, address) if known else "")
