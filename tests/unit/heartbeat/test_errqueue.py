from __future__ import annotations

import errno
import select
import socket
import struct
from contextlib import closing

import pytest

from hafailover.heartbeat import errqueue
from hafailover.heartbeat.errqueue import QueuedError
from tests import ports

LOOPBACKS = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]


def opened(family: socket.AddressFamily, host: str) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    sock.bind((host, 0))
    return sock


@pytest.mark.parametrize(("family", "host"), LOOPBACKS)
def test_a_closed_port_is_reported_by_its_own_host(family: socket.AddressFamily, host: str) -> None:
    port = ports.free(socket.SOCK_DGRAM, host)
    with closing(opened(family, host)) as sock:
        errqueue.enable(sock)
        assert errqueue.take(sock) is None
        sock.sendto(b"x", (host, port))
        poller = select.poll()
        poller.register(sock, 0)
        assert poller.poll(5_000)
        error = errqueue.take(sock)
        assert error == QueuedError((host, port), errno.ECONNREFUSED, host)
        assert error.refused_by_target
        assert errqueue.take(sock) is None


def test_only_the_target_itself_can_say_that_nobody_listens() -> None:
    assert QueuedError(("10.0.0.1", 1), errno.ECONNREFUSED, "10.0.0.1").refused_by_target
    assert not QueuedError(("10.0.0.1", 1), errno.ECONNREFUSED, "10.0.0.254").refused_by_target
    assert not QueuedError(("10.0.0.1", 1), errno.EHOSTUNREACH, "10.0.0.1").refused_by_target
    assert not QueuedError(("10.0.0.1", 1), errno.ECONNREFUSED, "").refused_by_target


def entry(origin: int, *, family: int = socket.AF_INET) -> bytes:
    return struct.pack("=IBBBBII", errno.EMSGSIZE, origin, 0, 0, 0, 0, 0) + struct.pack(
        "=H2x4s8x", family, socket.inet_aton("192.0.2.1")
    )


@pytest.mark.parametrize(
    ("data", "number", "offender"),
    [
        (entry(2), errno.EMSGSIZE, "192.0.2.1"),
        (entry(1), errno.EMSGSIZE, ""),  # this kernel's own finding
        (entry(2, family=socket.AF_UNSPEC), errno.EMSGSIZE, ""),
        (entry(2)[:20], 0, ""),
    ],
)
def test_what_the_kernel_adds_is_parsed_with_care(data: bytes, number: int, offender: str) -> None:
    error = errqueue._parse(("192.0.2.9", 7), data, socket.AF_INET, errqueue._OFFENDER_V4)
    assert error == QueuedError(("192.0.2.9", 7), number, offender)
