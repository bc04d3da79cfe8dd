"""Connections in memory: the daemons' control and HTTP servers speak over them, and clients of all manners."""

from __future__ import annotations

import asyncio
import os
import struct
from collections import deque
from typing import TYPE_CHECKING, Any

from tests.simulation.daemons.loop import OWNER, Loop

if TYPE_CHECKING:
    from collections.abc import Callable

KERNEL_BYTES = 32 * 1024  # what the kernel keeps for a reader that does not read


class Handle:
    """What stands for the socket of a connection or a server."""

    def getsockopt(self, _level: int, _name: int, size: int) -> bytes:
        """Say who is at the other end: the daemon's own user."""
        return struct.pack("=iII", 1, os.geteuid(), 0) if size == 12 else b""

    def setsockopt(self, *_options: object) -> None:
        """Take any option."""

    def getsockname(self) -> tuple[str, int]:
        """Return an address."""
        return ("127.0.0.1", 9694)


class End(asyncio.Transport):
    """One end of a connection. What comes is handed to its protocol in order, and in its own context."""

    def __init__(self, loop: ServingLoop, protocol: asyncio.BaseProtocol, owner: Any) -> None:
        super().__init__({"socket": Handle(), "peername": ("127.0.0.1", 1)})
        self._loop = loop
        self._protocol = protocol
        self.owner = owner
        self._context = loop._slot(self._pump, (), None).context
        self.peer: End | None = None
        self._early: list[bytes | None] = []  # what was sent before anybody accepted
        self._inbox: deque[bytes | None] = deque()  # None: the end of the stream
        self._waiting_bytes = 0
        self._pumping = self._paused = self._closing = self.lost = self._writing_paused = False
        self._wrote_eof = False
        self.refusing = False  # a client that does not read
        loop.ends.append(self)

    def _wake(self) -> None:
        if not self._pumping:
            self._pumping = True
            self._loop.call_soon(self._pump, context=self._context)

    def _pump(self) -> None:
        self._pumping = False
        protocol: Any = self._protocol
        while self._inbox and not (self._paused or self.refusing or self.lost):
            data = self._inbox.popleft()
            if data is None:
                if not protocol.eof_received():
                    self.close()
                continue
            self._waiting_bytes -= len(data)
            protocol.data_received(data)
            if self.peer is not None:
                self.peer._room()

    def _room(self) -> None:
        peer, protocol = self.peer, self._protocol
        full = peer is not None and not peer.lost and peer._waiting_bytes > KERNEL_BYTES
        if full != self._writing_paused and not self.lost:
            self._writing_paused = full
            change: Callable[[], None] = protocol.pause_writing if full else protocol.resume_writing
            self._loop.call_soon(change, context=self._context)

    def take(self, data: bytes | None) -> None:
        """Take what the other end has sent."""
        if not self.lost:
            self._inbox.append(data)
            self._waiting_bytes += len(data or b"")
            self._wake()

    def forget(self) -> None:
        """Be gone, and tell nobody: the process is gone as well."""
        self.lost = self._closing = True

    def lose(self, error: Exception | None) -> None:
        """Be told that the connection is gone."""
        if not self.lost:
            self.lost = self._closing = True
            self._loop.call_soon(self._protocol.connection_lost, error, context=self._context)

    # -- asyncio's transport -------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send."""
        if self._wrote_eof:
            raise RuntimeError("write after the end")
        if not self._closing and data:
            self._give(bytes(data))
            self._room()

    def _give(self, data: bytes | None) -> None:
        if self.peer is None:
            self._early.append(data)
        else:
            self.peer.take(data)

    def join(self, peer: End) -> None:
        """Be connected at last; what was sent before arrives now."""
        self.peer = peer
        early, self._early = self._early, []
        for data in early:
            peer.take(data)

    def can_write_eof(self) -> bool:
        """Return that half a connection may end."""
        return True

    def write_eof(self) -> None:
        """End one direction."""
        if not self._wrote_eof and not self._closing:
            self._wrote_eof = True
            self._give(None)

    def close(self) -> None:
        """End the connection once all is sent."""
        if not self._closing:
            self.write_eof()
            self.lose(None)

    def abort(self) -> None:
        """End it at once."""
        self.lose(None)
        if self.peer is not None:
            self.peer.lose(ConnectionResetError("reset"))

    def is_closing(self) -> bool:
        """Return whether it ends."""
        return self._closing

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return who is told."""
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Tell another."""
        self._protocol = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Take no notice: what waits, waits in the kernel."""

    def get_write_buffer_size(self) -> int:
        """Return what waits."""
        return 1 if self._writing_paused else 0

    def pause_reading(self) -> None:
        """Read no more for now."""
        self._paused = True

    def resume_reading(self) -> None:
        """Read on."""
        self._paused = False
        self._wake()

    def is_reading(self) -> bool:
        """Return whether it reads."""
        return not self._paused


class Doors:
    """A server's open address, in the place of asyncio's own."""

    def __init__(self, loop: ServingLoop, make: Callable[[], asyncio.BaseProtocol], where: str) -> None:
        self._loop = loop
        self._make = make
        self.where = where
        self.owner: Any = OWNER.get()
        self._context = loop._slot(self.close, (), None).context
        self.sockets = (Handle(),)
        self.open = True

    def close(self) -> None:
        """Take no more connections."""
        self.open = False

    async def wait_closed(self) -> None:
        """Return at once."""

    def welcome(self, there: End) -> None:
        """Let a client in; in the server's own context."""
        if not self.open:
            there.lose(ConnectionResetError("nobody accepts"))
            return
        here = End(self._loop, self._make(), self.owner)
        self.owner.ends.append(here)
        protocol: Any = here.get_protocol()
        protocol.connection_made(here)
        here.join(there)
        there.join(here)
        if there.lost:
            here.lose(ConnectionResetError("the client is gone already"))

    def knock(self, there: End) -> None:
        """Have a client let in when the process runs."""
        self._loop.call_soon(self.welcome, there, context=self._context)


class ServingLoop(Loop):
    """The loop with servers; each process's are in its `doors`."""

    def __init__(self, seed: object, *, noise: bool) -> None:
        super().__init__(seed, noise=noise)
        self.ends: list[End] = []

    async def create_unix_server(self, protocol_factory: Any, *_where: Any, **_options: Any) -> Any:
        """Open the control socket."""
        return self._open(protocol_factory, "control")

    async def create_server(self, protocol_factory: Any, *_where: Any, **_options: Any) -> Any:
        """Open the page of the metrics."""
        return self._open(protocol_factory, "web")

    def _open(self, protocol_factory: Any, where: str) -> Doors:
        doors = Doors(self, protocol_factory, where)
        doors.owner.doors[where] = doors
        return doors


async def dial(loop: ServingLoop, owner: Any, where: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, End]:
    """Connect to a process. Raises ConnectionRefusedError where nobody listens."""
    doors = owner.doors.get(where)
    if owner.dead or doors is None or not doors.open:
        raise ConnectionRefusedError("nobody listens")
    reader = asyncio.StreamReader(loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    end = End(loop, protocol, None)
    protocol.connection_made(end)
    doors.knock(end)
    return reader, asyncio.StreamWriter(end, protocol, reader, loop), end
