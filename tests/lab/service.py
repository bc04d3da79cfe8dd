"""The service that the pair offers: answers each datagram and each connection with its host's name.

Run inside a host's namespace: `python -m tests.lab.service NAME PORT`. It listens on every address, so
whoever gets an answer knows which host the network took the request to. Its process is called "svc-NAME", for the
hosts of a lab share the process ids of this machine.
"""

from __future__ import annotations

import selectors
import socket
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.realtime import run_at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_IP_PKTINFO = 8  # linux/in.h; the module `socket` names it only from Python 3.12 on


def _answer_datagram(sock: socket.socket, name: bytes) -> None:
    """Answer from the address that was asked, not from the one that the routing table would choose."""
    data, ancillary, _flags, client = sock.recvmsg(64, socket.CMSG_SPACE(20))
    for level, kind, value in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            _index, _local, asked = struct.unpack("=I4s4s", value[:12])
            info = struct.pack("=I4s4s", 0, asked, b"\0\0\0\0")
        elif (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            info = struct.pack("=16sI", value[:16], 0)
        else:
            continue
        sock.sendmsg([data[:8], name], [(level, kind, info)], 0, client)


def _answer_connection(listener: socket.socket, name: bytes) -> None:
    connection, _client = listener.accept()
    with connection:
        connection.settimeout(1)
        connection.sendall(name)


def _sockets(port: int) -> Iterator[tuple[socket.socket, Callable[[socket.socket, bytes], None]]]:
    for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        udp = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            udp.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        udp.bind((host, port))
        yield udp, _answer_datagram
        yield socket.create_server((host, port), family=family, backlog=64), _answer_connection


def process_name(name: str) -> str:
    """Return what the process of a host's service is called."""
    return f"svc-{name}"


def main(name: str, port: int) -> None:
    """Serve until killed; writes one line to standard output once it listens."""
    Path("/proc/self/comm").write_text(process_name(name), encoding="ascii")
    chooser = selectors.DefaultSelector()
    for sock, answer in _sockets(port):
        chooser.register(sock, selectors.EVENT_READ, answer)
    run_at_once()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        for key, _events in chooser.select():
            try:
                key.data(key.fileobj, name.encode())
            except (
                OSError
            ) as error:  # an address that has just gone, a client that went away: both are the lab's subject
                sys.stderr.write(f"{error}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
