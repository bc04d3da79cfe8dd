"""Whether a host answers ICMP echo requests (RFC 792), within a time."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct

TRIES = 3  # one datagram may get lost
_REQUEST, _REPLY = 8, 0
_HEADER = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence number
_TOKEN_BYTES = 16
_RECEIVE_BYTES = 2048
# What the kernel says where no way leads there, nobody answers ARP there, or the interface drops what is sent,
# as one without a carrier does (ENOBUFS).
_UNREACHABLE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.ENOBUFS})


async def echo(address: str, timeout_s: float) -> bool:
    """Return whether the IPv4 host answers one of a few requests in this time.

    Raises OSError where it cannot be asked: PermissionError without CAP_NET_RAW outside of
    net.ipv4.ping_group_range (icmp(7)).
    """
    token = os.urandom(_TOKEN_BYTES)
    sock, raw = _open()
    with sock:
        for sequence in range(TRIES):
            try:
                async with asyncio.timeout(timeout_s / TRIES):
                    await _ask(sock, address, _request(sequence, token))
                    await _reply(sock, token, raw=raw)
                    return True
            except TimeoutError:
                continue
    return False


def _open() -> tuple[socket.socket, bool]:
    """Return a socket for echo requests, and whether it is a raw one, which gets IP headers and all ICMP."""
    try:
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMP), False
    except OSError:
        return socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMP), True


def _request(sequence: int, token: bytes) -> bytes:
    identifier = int.from_bytes(token[:2])  # a datagram socket puts its own in place of it
    plain = _HEADER.pack(_REQUEST, 0, 0, identifier, sequence) + token
    return _HEADER.pack(_REQUEST, 0, _checksum(plain), identifier, sequence) + token


def _checksum(data: bytes) -> int:
    """Return the internet checksum of an even number of bytes (RFC 1071)."""
    total = sum(int.from_bytes(data[place : place + 2]) for place in range(0, len(data), 2))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


async def _ask(sock: socket.socket, address: str, request: bytes) -> None:
    """Send a request; where no way leads there, wait for ever as for an answer that does not come."""
    try:
        await asyncio.get_running_loop().sock_sendto(sock, request, (address, 0))
    except OSError as error:
        if error.errno not in _UNREACHABLE:
            raise
        await asyncio.Event().wait()


async def _reply(sock: socket.socket, token: bytes, *, raw: bool) -> None:
    """Wait for a reply with this token; whatever else comes in is none."""
    while True:
        packet = await asyncio.get_running_loop().sock_recv(sock, _RECEIVE_BYTES)
        start = (packet[0] & 0x0F) * 4 if raw and packet else 0
        if packet[start : start + 1] == bytes([_REPLY]) and packet[start + _HEADER.size :] == token:
            return
