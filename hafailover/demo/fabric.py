"""The demo's VPC on loopback: what is sent to the address reaches the service of the node that holds it.

A node that is taken down answers nothing: what is sent to it is lost without a word, as in a VPC.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

REPLY_BYTES = 64


class Fabric(asyncio.DatagramProtocol):
    """Answers probes in the name of the node that `holder` names; None for nobody."""

    def __init__(self, door: tuple[str, int], holder: Callable[[], str | None]) -> None:
        self._door = door
        self._holder = holder
        self._down: set[str] = set()
        self._transport: Any = None

    async def start(self) -> None:
        """Open the door. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=self._door)

    def close(self) -> None:
        """Close the door."""
        if self._transport is not None:
            self._transport.close()

    def switch(self, node: str, *, on: bool) -> None:
        """Take a node down, or let it answer again."""
        (self._down.discard if on else self._down.add)(node)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer a probe with its own bytes and the name of the node that serves."""
        node = self._holder()
        if node is not None and node not in self._down:
            self._transport.sendto(data[:REPLY_BYTES] + b" " + node.encode(), addr)
