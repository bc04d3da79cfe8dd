"""Ports on loopback, for what has to know one before somebody binds it.

They are from below those that the kernel gives away by itself (net.ipv4.ip_local_port_range), and each worker of
pytest-xdist has a part of its own: so nobody else takes one between this and its use.
"""

from __future__ import annotations

import errno
import itertools
import os
import random
import socket

HOST = "127.0.0.1"
FIRST, LAST = 12_000, 32_000
WORKERS = 16
_EACH = (LAST - FIRST) // WORKERS


def _own() -> itertools.cycle[int]:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    start = FIRST + (int(worker or 0) % WORKERS) * _EACH
    shift = random.Random(os.getpid()).randrange(_EACH)  # noqa: S311 - so that two runs begin at different ones
    return itertools.cycle(start + (shift + step) % _EACH for step in range(_EACH))


_NEXT = _own()


def free(kind: socket.SocketKind, host: str = HOST) -> int:
    """Return a port, for TCP (SOCK_STREAM) or UDP (SOCK_DGRAM), that nobody has and nobody else is told of."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in itertools.islice(_NEXT, _EACH):
        with socket.socket(family, kind) as sock:
            try:
                sock.bind((host, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return port
    raise OSError(errno.EADDRINUSE, f"no port of {host} is free")
