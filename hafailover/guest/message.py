"""Netlink messages of which pyroute2 has no use: packed, sent, and answered (netlink(7)).

For two things: setting one of a card's IPv4 values, which pyroute2 can only read, and asking for sockets, for
which its module would cost several megabytes more.
"""

from __future__ import annotations

import asyncio
import os
import socket
from struct import Struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Self

REQUEST: Final = 0x1  # linux/netlink.h, NLM_F_*
ACKNOWLEDGE: Final = 0x4
DUMP: Final = 0x300

_ERROR, _DONE = 2, 3  # NLMSG_*
_HEAD: Final = Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE: Final = Struct("=HH")  # length, type
_NUMBER: Final = Struct("=i")
_RECEIVE_BYTES: Final = 64 * 1024


def attribute(kind: int, payload: bytes) -> bytes:
    """Return an attribute, padded to four bytes."""
    padding = -len(payload) % 4
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(payload), kind) + payload + bytes(padding)


class Conversation:
    """A netlink socket of one protocol (socket.NETLINK_ROUTE and the like): one question at a time.

    Raises OSError for what the kernel refuses, with its errno. It waits for ever: the caller has the deadline,
    and closes it after that.
    """

    def __init__(self, protocol: int) -> None:
        self._sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    async def order(self, kind: int, body: bytes) -> None:
        """Have something done, and wait until it is."""
        async for _ in self._ask(kind, REQUEST | ACKNOWLEDGE, body):
            pass

    async def dump(self, kind: int, body: bytes, most: int) -> list[bytes]:
        """Return the bodies of the messages that answer; after `most` of them this can be asked no more."""
        found: list[bytes] = []
        async for answer in self._ask(kind, REQUEST | DUMP, body):
            found.append(answer)
            if len(found) == most:
                break
        return found

    async def _ask(self, kind: int, flags: int, body: bytes) -> AsyncIterator[bytes]:
        self._sequence += 1
        head = _HEAD.pack(_HEAD.size + len(body), kind, flags, self._sequence, 0)
        self._sock.send(head + body)
        loop = asyncio.get_running_loop()
        while True:
            for answer_kind, answer in _messages(await loop.sock_recv(self._sock, _RECEIVE_BYTES), self._sequence):
                if answer_kind in (_ERROR, _DONE):
                    _raise_refusal(answer)
                    return
                yield answer


def _messages(data: bytes, sequence: int) -> Iterator[tuple[int, bytes]]:
    """Yield type and body of each message that answers this question."""
    place = 0
    while place + _HEAD.size <= len(data):
        length, kind, _, answers, _ = _HEAD.unpack_from(data, place)
        if length < _HEAD.size:
            return
        if answers == sequence:
            yield kind, data[place + _HEAD.size : place + length]
        place += (length + 3) & ~3


def _raise_refusal(body: bytes) -> None:
    number = -_NUMBER.unpack_from(body)[0] if len(body) >= _NUMBER.size else 0
    if number > 0:
        raise OSError(number, os.strerror(number))
