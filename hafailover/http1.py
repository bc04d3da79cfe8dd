"""A small HTTP/1.1 server with a bound on everything a client can make it hold or wait for (RFC 9112).

It carries what the daemon and the emulator answer: /metrics, the status page, the emulated cloud. Framing is
h11's; this module adds the limits (header and body size, connections, idle time, time of one request),
keep-alive, and the transport faults that the emulator plays (`Delivery`). A response is written in one piece,
head and body together, so that no delayed acknowledgement comes between the two.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from urllib.parse import parse_qsl, unquote

import h11

MAX_HEADER_BYTES = 32 * 1024  # request line and headers; a temporary token alone may be 4 KB
MAX_QUERY_FIELDS = 100
MAX_LINGER_BYTES = 1024 * 1024
LINGER_S = 1.0
READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """One request: `path` is unquoted, `query` keeps the last value of a name, header names are lower case.

    `target` is the request target as it was sent; `peer` is the client's IP address.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    peer: str
    target: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a response reaches the client; the default is: whole and at once.

    `reset`: the connection is reset instead. `body_bytes`: the body ends after so many bytes, and so does the
    connection. `pause_s` > 0: `piece_bytes` at a time with that pause between, from the first header on where
    `slow_head`, else from the body on.
    """

    reset: bool = False
    body_bytes: int | None = None
    pause_s: float = 0.0
    piece_bytes: int = 1
    slow_head: bool = False


PLAIN = Delivery()


@dataclass(frozen=True, slots=True)
class Response:
    """One response; Content-Length and Connection are the server's own, and so is Date unless it is given."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    delivery: Delivery = PLAIN


Handler = Callable[[Request], Awaitable[Response]]
OnError = Callable[[Request, Exception], None]


class _RefusedError(Exception):
    """The request cannot be served; the connection ends after an answer with this status."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        super().__init__(text)


class Server:
    """Serves `handler` on one address; an exception of the handler is a 500 and a call of `on_error`.

    `request_timeout_s` bounds each of: receiving a request once it has begun, the handler (then: 503), and
    sending. Without `on_error` the event loop's exception handler is told.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        max_body: int = 64 * 1024,
        idle_timeout_s: float = 60.0,
        request_timeout_s: float = 10.0,
        max_connections: int = 64,
        on_error: OnError | None = None,
    ) -> None:
        self._handler = handler
        self._max_body = max_body
        self._idle_timeout_s = idle_timeout_s
        self._request_timeout_s = request_timeout_s
        self._max_connections = max_connections
        self._on_error = on_error or _tell_loop
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 takes a free one, see `port`. Raises OSError where the address cannot be had."""
        self._closed = False
        self._server = await asyncio.start_server(self._accept, host, port, limit=READ_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and end every connection at once."""
        self._closed = True
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The loop may hand over a connection that was accepted just before `close`.
        if self._closed or len(self._tasks) >= self._max_connections:
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(partial(self._forget, writer))

    def _forget(self, writer: asyncio.StreamWriter, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        writer.close()  # a task cancelled before its first step has not done so

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(reader, writer, self._max_body, self._request_timeout_s)
        try:
            while (request := await link.receive(self._idle_timeout_s)) is not None:
                if not await self._exchange(link, request):
                    return
        except _RefusedError as error:
            await link.refuse(error.status, str(error))
        except (OSError, TimeoutError):
            return  # the client is gone or does not read: there is nobody to tell
        finally:
            await link.close()

    async def _exchange(self, link: _Link, request: Request) -> bool:
        response = await self._answer(request)
        try:
            return await link.send(response)
        except h11.LocalProtocolError as error:  # the handler made a response that HTTP does not allow
            self._on_error(request, error)
            return False

    async def _answer(self, request: Request) -> Response:
        try:
            async with asyncio.timeout(self._request_timeout_s) as limit:
                return await self._handler(request)
        except Exception as error:  # noqa: BLE001 - whatever the handler raises must not end the server
            if limit.expired():
                return Response(503, b"the answer took too long\n")
            self._on_error(request, error)
            return Response(500, b"internal error\n")


def _tell_loop(request: Request, error: Exception) -> None:
    asyncio.get_running_loop().call_exception_handler(
        {"message": f"HTTP handler failed: {request.method} {request.path}", "exception": error}
    )


class _Link:
    """One connection: bytes to requests and responses to bytes."""

    __slots__ = ("_aborted", "_conn", "_is_head", "_max_body", "_reader", "_timeout_s", "_writer")

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, max_body: int, timeout_s: float
    ) -> None:
        self._conn = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEADER_BYTES)
        self._is_head = False
        self._reader = reader
        self._writer = writer
        self._max_body = max_body
        self._timeout_s = timeout_s
        self._aborted = False

    async def receive(self, idle_timeout_s: float) -> Request | None:
        """Return the next request, None where the client has ended or idled too long."""
        self._is_head = False  # of the request before: a refusal of what is no request has a body
        if not self._conn.trailing_data[0]:
            try:
                async with asyncio.timeout(idle_timeout_s):
                    data = await self._reader.read(READ_BYTES)
            except TimeoutError:
                return None
            if not data:
                return None
            self._conn.receive_data(data)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._receive_rest()
        except TimeoutError:
            raise _RefusedError(408, "the request took too long") from None
        except h11.RemoteProtocolError as error:
            raise _RefusedError(error.error_status_hint, str(error)) from error

    async def _receive_rest(self) -> Request | None:
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Request):
                head = event
                self._is_head = event.method == b"HEAD"
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > self._max_body:
                    raise _RefusedError(413, f"the body exceeds {self._max_body} bytes")
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return _request(head, bytes(body), self._writer.get_extra_info("peername"))
            else:
                return None

    async def _next_event(self) -> object:
        while (event := self._conn.next_event()) is h11.NEED_DATA:
            if self._conn.they_are_waiting_for_100_continue:
                self._write(self._conn.send(h11.InformationalResponse(status_code=100, headers=[])))
            self._conn.receive_data(await self._reader.read(READ_BYTES))
        return event

    async def send(self, response: Response) -> bool:
        """Send the response; True where the connection goes on. Raises OSError, TimeoutError."""
        delivery = response.delivery
        if delivery.reset:
            self._reset()
            return False
        async with asyncio.timeout(self._timeout_s):
            await self._deliver(*self._encode(response), delivery)
        if delivery.body_bytes is not None or self._conn.our_state is not h11.DONE:
            return False
        if self._conn.their_state is not h11.DONE:
            return False
        self._conn.start_next_cycle()
        return True

    def _encode(self, response: Response) -> tuple[bytes, bytes]:
        headers = [
            ("Content-Type", response.content_type),
            ("Content-Length", str(len(response.body))),
            *response.headers,
        ]
        if not any(name.lower() == "date" for name, _ in response.headers):
            headers.append(("Date", formatdate(usegmt=True)))
        head = self._conn.send(h11.Response(status_code=response.status, headers=headers))
        body = b"" if self._is_head or not response.body else self._conn.send(h11.Data(data=response.body))
        self._conn.send(h11.EndOfMessage())
        return head or b"", body or b""

    async def _deliver(self, head: bytes, body: bytes, delivery: Delivery) -> None:
        if delivery.body_bytes is not None:
            body = body[: delivery.body_bytes]
        if delivery.pause_s <= 0:
            self._write(head + body)
            await self._writer.drain()
            return
        at_once, slow = (b"", head + body) if delivery.slow_head else (head, body)
        self._write(at_once)
        for start in range(0, len(slow), delivery.piece_bytes):
            self._write(slow[start : start + delivery.piece_bytes])
            await self._writer.drain()
            await asyncio.sleep(delivery.pause_s)

    async def close(self) -> None:
        """End the connection once what was written has left, or after a moment."""
        if self._aborted:
            self._writer.transport.abort()
        self._writer.close()
        try:
            async with asyncio.timeout(LINGER_S):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self._writer.transport.abort()

    async def refuse(self, status: int, text: str) -> None:
        """Answer a request that cannot be served, and let the client read that before the end."""
        if self._conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        response = Response(status, f"{text}\n".encode(), headers=(("Connection", "close"),))
        try:
            async with asyncio.timeout(LINGER_S):
                await self._deliver(*self._encode(response), PLAIN)
                self._writer.write_eof()
                await self._drop_input()
        except (OSError, TimeoutError):
            return

    async def _drop_input(self) -> None:
        """Read what is still coming: closing with unread bytes would reset the answer away."""
        left = MAX_LINGER_BYTES
        while left > 0 and (data := await self._reader.read(READ_BYTES)):
            left -= len(data)

    def _reset(self) -> None:
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._aborted = True

    def _write(self, data: bytes | None) -> None:
        if data:
            self._writer.write(data)


def _request(head: h11.Request, body: bytes, peername: tuple[str, int] | None) -> Request:
    target = head.target.decode("ascii")
    path, _, query = target.partition("?")
    try:
        fields = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
    except ValueError as error:
        raise _RefusedError(400, str(error)) from error
    return Request(
        method=head.method.decode("ascii"),
        path=unquote(path),
        query=dict(fields),
        headers={name.decode("ascii"): value.decode("latin-1") for name, value in head.headers},
        body=body,
        peer=peername[0] if peername else "",
        target=target,
    )
