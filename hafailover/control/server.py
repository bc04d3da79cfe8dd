"""The daemon's end of the control socket: all that a client can make it hold or wait for is bounded."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from hafailover.control import protocol
from hafailover.control.listener import Listener, Peer, listen, peer_of
from hafailover.errors import HafailoverError, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    Tell = Callable[[Mapping[str, Any]], None]
    Handle = Callable[[protocol.Request, Tell], Awaitable[Mapping[str, Any]]]

READ_BYTES = 16 * 1024
MAX_CONNECTIONS = 128
ACCEPTED_PER_TURN = 4
MAX_UNREAD_BYTES = 64 * 1024
LINGER_S = 1.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a client is waited for, in seconds.

    `idle_s`: for the first byte of a request; `request_s`: from there to its line feed; `write_s`: until it
    has read a reply; `grace_s`: what a handler gets beyond the request's own timeout.
    """

    idle_s: float = 60.0
    request_s: float = 5.0
    write_s: float = 5.0
    grace_s: float = 5.0
    connections: int = MAX_CONNECTIONS


class ControlServer:
    """Answers requests on a Unix socket at `path`; `handle` gives what a reply says besides `"ok": true`.

    It is given the request and what takes the steps on the way, which are for who asked for them.
    A reply of `handle` may carry its own `"ok"`. An exception of hafailover's own that it raises becomes a
    refusal with its text; any other one is logged and becomes "internal error".
    """

    def __init__(self, path: Path, group: str, handle: Handle, *, limits: Limits | None = None) -> None:
        self._path = path
        self._group = group
        self._handle = handle
        self._limits = limits or Limits()
        self._listener: Listener | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._closed = False

    @property
    def _refusal(self) -> dict[str, Any]:
        error = f"the daemon already has {self._limits.connections} connections here"
        return protocol.refusal(protocol.TOO_MANY_CONNECTIONS, error)

    async def start(self) -> None:
        """Listen. Raises StartError where the path cannot be had."""
        self._listener = await asyncio.to_thread(listen, self._path, self._group)
        # the loop accepts as many in one go as it is told of here, and meanwhile nothing else has its turn
        self._server = await asyncio.start_unix_server(
            self._accept, sock=self._listener.sock, limit=READ_BYTES, backlog=ACCEPTED_PER_TURN
        )
        self._listener.lengthen_queue()

    async def close(self) -> None:
        """Stop listening, end every connection at once, remove the socket."""
        self._closed = True
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._closed:  # asyncio hands over what it had accepted just before
            writer.transport.abort()
            return
        if len(self._tasks) >= 2 * self._limits.connections:
            writer.write(protocol.encode(self._refusal))  # even turning away takes its time: no waiting for these
            writer.close()
            return
        serve = self._serve if len(self._tasks) < self._limits.connections else self._turn_away
        task = asyncio.get_running_loop().create_task(serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(partial(self._forget, writer))

    def _forget(self, writer: asyncio.StreamWriter, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        writer.transport.abort()  # a task cancelled before its first step has not closed it
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("control_connection_failed", exc_info=error)

    async def _turn_away(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(reader, writer, self._limits)
        try:
            await link.send(self._refusal)
            await link.close()
        except (OSError, TimeoutError):
            return

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(reader, writer, self._limits)
        try:
            peer = peer_of(writer.get_extra_info("socket"))
            while (line := await link.receive()) is not None:
                async with self._turn:  # many requests at once must not keep heartbeats from their turn
                    await asyncio.sleep(0)
                await link.send(await self._answer(line, peer, link))
            if link.complaint is not None:
                await link.send(link.complaint)
            await link.close()
        except (OSError, TimeoutError):
            return  # the client is gone or does not read: there is nobody to tell

    async def _answer(self, line: bytes, peer: Peer, link: _Link) -> Mapping[str, Any]:
        try:
            request = protocol.parse_request(line)
        except ProtocolError as error:
            return protocol.refusal(protocol.BAD_REQUEST, str(error))
        group_id = self._listener.group_id if self._listener is not None else None
        if request.changes and not peer.may_change(group_id):
            return protocol.refusal(protocol.NOT_PERMITTED, self._permission_text(request.command))
        return await self._carry_out(request, link.tell if request.progress else _ignore)

    def _permission_text(self, command: str) -> str:
        return f"{command} is for root, the daemon's own user and members of the group {self._group!r}"

    async def _carry_out(self, request: protocol.Request, tell: Tell) -> Mapping[str, Any]:
        limit_s = request.timeout_ms / 1000 + self._limits.grace_s
        try:
            async with asyncio.timeout(limit_s) as limit:
                return {"ok": True, **await self._handle(request, tell)}
        except HafailoverError as error:
            return protocol.refusal(protocol.FAILED, str(error))
        except Exception as error:
            if limit.expired():
                return protocol.refusal(protocol.TIMEOUT, f"{request.command} took longer than {limit_s:g} s")
            log.exception("control_request_failed", command=request.command, error=str(error))
            return protocol.refusal(protocol.INTERNAL, "internal error: see the daemon's log")


def _ignore(_step: Mapping[str, Any]) -> None:
    """Take a step on the way that nobody has asked for."""


class _Link:
    """One connection: bytes to lines and replies to bytes, each with its deadline."""

    __slots__ = ("_ended", "_framer", "_limits", "_lines", "_reader", "_writer", "complaint")

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limits: Limits) -> None:
        self._reader = reader
        self._writer = writer
        self._limits = limits
        self._framer = protocol.Framer()
        self._lines: deque[bytes] = deque()
        self._ended = False
        self.complaint: dict[str, Any] | None = None
        writer.transport.set_write_buffer_limits(high=0)  # so that drain() waits for the client's reading

    async def receive(self) -> bytes | None:
        """Return the next line, None at the end; `complaint` is then what the client should be told."""
        try:
            if not self._lines and not self._framer.started:
                async with asyncio.timeout(self._limits.idle_s):
                    await self._read()
            async with asyncio.timeout(self._limits.request_s):
                while not self._lines and not self._ended:
                    await self._read()
        except TimeoutError:
            if self._framer.started:
                text = f"the request was not complete within {self._limits.request_s:g} s"
                self.complaint = protocol.refusal(protocol.TIMEOUT, text)
        return self._lines.popleft() if self._lines else None

    async def _read(self) -> None:
        """Take what has come; the end of the stream completes a line as a line feed does."""
        if self._ended:
            return
        data = await self._reader.read(READ_BYTES)
        self._lines += self._framer.feed(data)
        if self._framer.overflowed:
            text = f"a request has at most {protocol.MAX_REQUEST_BYTES} bytes"
            self.complaint = protocol.refusal(protocol.BAD_REQUEST, text)
        elif not data and (line := self._framer.finish()) is not None:
            self._lines.append(line)
        self._ended = not data or self._framer.overflowed

    async def send(self, reply: Mapping[str, Any]) -> None:
        """Send a reply. Raises TimeoutError where the client does not read it, OSError where it is gone."""
        try:
            line = protocol.encode(reply)
        except (TypeError, ValueError) as error:
            log.exception("control_reply_not_json", error=str(error))
            line = protocol.encode(protocol.refusal(protocol.INTERNAL, "internal error: see the daemon's log"))
        async with asyncio.timeout(self._limits.write_s):
            self._writer.write(line)
            await self._writer.drain()

    def tell(self, step: Mapping[str, Any]) -> None:
        """Send a step on the way to a reply; it is dropped where the client is gone or has much to read already."""
        transport = self._writer.transport
        if not transport.is_closing() and transport.get_write_buffer_size() < MAX_UNREAD_BYTES:
            self._writer.write(protocol.encode(step))

    async def close(self) -> None:
        """End the connection. What is still coming is read first: unread bytes would reset the reply away."""
        async with asyncio.timeout(LINGER_S):
            self._writer.write_eof()
            while await self._reader.read(READ_BYTES):
                pass
            self._writer.close()
            await self._writer.wait_closed()
