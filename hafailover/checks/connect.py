"""A new TCP connection within a deadline that somebody else sets, as a new client of the service would make it."""

from __future__ import annotations

import asyncio
import errno
import os
import socket

MAX_TRIED = 8  # addresses that one name may have


async def connect(host: str, port: int) -> socket.socket:
    """Return a connected, non-blocking socket. Raises OSError with what each of the host's addresses said.

    Names are looked up each time, in a thread, as a client would; an IP address is not.
    """
    errors: list[str] = []
    for family, address in (await _addresses(host, port))[:MAX_TRIED]:
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            await asyncio.get_running_loop().sock_connect(sock, address)
            _refuse_self(sock)
        except OSError as error:
            sock.close()
            errors.append(os.strerror(error.errno) if error.errno else str(error))  # asyncio adds the address
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise OSError("; ".join(dict.fromkeys(errors)) or "the name has no address")


async def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return [(family, (host, port))]
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, (str(address[0]), int(address[1]))) for family, _, _, _, address in found]


def _refuse_self(sock: socket.socket) -> None:
    """Raise ConnectionRefusedError where the kernel has connected the socket with itself.

    That happens with a local port from the ephemeral range on which nobody listens: the socket may be given
    just that port, and TCP lets both ends of a connection open it at the same time (RFC 9293 section 3.5).
    """
    if sock.getsockname() == sock.getpeername():
        raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
