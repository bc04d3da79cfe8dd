"""The check of type interface: the network interface is up and running, which includes a carrier.

Changes are told by the kernel (rtnetlink(7), RTMGRP_LINK); what is the case is read anew each time, so that a
notification that was lost does no harm. By bare sockets: pyroute2 would cost 13 MB where nothing else needs it.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import socket
import struct

from hafailover.checks.result import Verdict, failed

_LINKS = 0x1  # linux/rtnetlink.h, RTMGRP_LINK
_SIOCGIFFLAGS = 0x8913  # linux/sockios.h
_IFF_UP, _IFF_RUNNING = 0x1, 0x40  # linux/if.h
_REQUEST = struct.Struct("16sH22x")  # struct ifreq, with ifr_flags
_RECEIVE_BYTES = 64 * 1024


class InterfaceProbe:
    """Looks at the interface `name`, in the network namespace of this process."""

    __slots__ = ("_name", "_news", "_passed", "_sock")

    def __init__(self, name: str) -> None:
        self._name = name
        self._passed: bool | None = None
        self._sock: socket.socket | None = None
        self._news: socket.socket | None = None

    async def run(self, timeout_s: float) -> Verdict:  # noqa: ARG002 - the kernel answers at once
        """Look once."""
        verdict = self._look()
        self._passed = verdict.passed
        return verdict

    async def changed(self) -> None:
        """Wait until the interface has come up, or gone down, since the last run."""
        news = self._news = self._news or _subscribe()
        while self._look().passed is self._passed:
            try:
                await asyncio.get_running_loop().sock_recv(news, _RECEIVE_BYTES)
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # more than there was room for: look
                    raise

    async def close(self) -> None:
        """Close the sockets."""
        for sock in (self._sock, self._news):
            if sock is not None:
                sock.close()

    def _look(self) -> Verdict:
        if self._sock is None:
            self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            answer = fcntl.ioctl(self._sock, _SIOCGIFFLAGS, _REQUEST.pack(self._name.encode(), 0))
        except OSError as error:
            return failed("there is no such interface" if error.errno == errno.ENODEV else str(error.strerror))
        _, flags = _REQUEST.unpack(answer)
        if not flags & _IFF_UP:
            return failed("is down")
        if not flags & _IFF_RUNNING:
            return failed("has no carrier")
        return Verdict(passed=True, detail="is up")


def _subscribe() -> socket.socket:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
    try:
        sock.bind((0, _LINKS))
    except OSError:
        sock.close()
        raise
    return sock
