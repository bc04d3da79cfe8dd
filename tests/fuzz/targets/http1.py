"""http1.Server: a client's bytes to requests and responses, without a socket."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import re
from typing import TYPE_CHECKING, Any, cast

import h11

from hafailover import http1
from hafailover.http1 import Request, Response, Server
from tests.fuzz.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BODY = 64
SEEDS = (
    b"\x00\x00\x00GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\x03\x01\x07GET /a%20b?x=1&x=2&y HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\x00\x00\x00HEAD / HTTP/1.1\r\nHost: a\r\n\r\nno request\r\n\r\n",
    b"\x05\x02\x03POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.0\r\n\r\n",
    b"\x00\x09\x01PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"\x00\x00\x00POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n" + b"x" * 100,
    b"\x00\x00\x00CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\nmore",
    b"\x00\x00\x00GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\0\1",
    b"\x00\x00\x00GET /?" + b"a&" * 120 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\x00\x00\x00" + b"garbage" * 10,
)
_DATE = re.compile(rb"\r\nDate: [^\r]*\r\n")
LINGER_S = 0.05  # nobody lingers here

_loop = asyncio.new_event_loop()
atexit.register(_loop.close)


@contextlib.contextmanager
def _in_haste() -> Iterator[None]:
    """Serve without lingering and without asyncio's remarks; leave both as they were for whoever comes next."""
    logger = logging.getLogger("asyncio")
    before = http1.LINGER_S, logger.level
    http1.LINGER_S = LINGER_S
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        http1.LINGER_S = before[0]
        logger.setLevel(before[1])


class Transport:
    """What the server needs of a transport."""

    aborted = False

    def abort(self) -> None:
        self.aborted = True


class Writer:
    """What the server needs of a stream's writing end; it keeps what was written."""

    def __init__(self) -> None:
        self.transport = Transport()
        self.written = bytearray()
        self.ended = False

    def write(self, data: bytes) -> None:
        assert not self.ended
        self.written += data

    async def drain(self) -> None:
        await asyncio.sleep(0)

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.ended = True

    async def wait_closed(self) -> None:
        return

    def get_extra_info(self, _name: str) -> tuple[str, int]:
        return ("127.0.0.1", 1)


class Talk:
    """One connection: what the handler saw, what the client got, what the server complained of."""

    def __init__(self) -> None:
        self.seen: list[Request] = []
        self.complaints: list[Exception] = []

    async def handle(self, request: Request) -> Response:
        self.seen.append(request)
        return Response(200 if request.method != "CONNECT" else 405, request.body or b"some text\n")

    def complain(self, _request: Request, error: Exception) -> None:
        self.complaints.append(error)

    def run(self, pieces: list[bytes]) -> bytes:
        with _in_haste():
            return _loop.run_until_complete(self._run(pieces))

    async def _run(self, pieces: list[bytes]) -> bytes:
        server = Server(self.handle, max_body=MOST_BODY, on_error=self.complain, request_timeout_s=5.0)
        reader, writer = asyncio.StreamReader(limit=http1.READ_BYTES), Writer()
        task = asyncio.ensure_future(server._serve(reader, cast("Any", writer)))
        for piece in pieces:
            with contextlib.suppress(AssertionError):
                reader.feed_data(piece)
            await asyncio.sleep(0)
        reader.feed_eof()
        await asyncio.wait_for(task, 5.0)
        assert writer.ended
        return _DATE.sub(b"\r\n", bytes(writer.written))


def one(data: bytes) -> None:
    """Any stream of bytes, in whatever pieces, ends in an orderly close; what the client gets are whole HTTP
    responses, one for each request that the handler saw and one for a refusal, the same for every split.
    """
    source = Source(data)
    sizes = [source.byte() + 1 for _ in range(3)]
    stream = source.rest()
    whole, split = Talk(), Talk()
    got = whole.run([stream])
    assert not whole.complaints
    again = split.run(_pieces(stream, sizes))
    assert [_plain(request) for request in whole.seen] == [_plain(request) for request in split.seen]
    assert all(len(request.body) <= MOST_BODY for request in whole.seen)
    statuses = _statuses(got, whole.seen)
    assert statuses == _statuses(again, split.seen)
    assert len(whole.seen) <= len(statuses) <= len(whole.seen) + 1


def _plain(request: Request) -> tuple[object, ...]:
    return request.method, request.path, sorted(request.query.items()), request.body, request.target


def _pieces(stream: bytes, sizes: list[int]) -> list[bytes]:
    pieces: list[bytes] = []
    at = 0
    while at < len(stream):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(stream[at : at + size])
        at += size
    return pieces


def _statuses(got: bytes, seen: list[Request]) -> list[int]:
    """Read what the client got with h11's client side: the statuses of the final responses."""
    statuses: list[int] = []
    methods = [request.method for request in seen]
    while got:
        method = methods[len(statuses)] if len(statuses) < len(methods) else "GET"
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
        client.send(h11.EndOfMessage())
        client.receive_data(got)
        while not isinstance(event := client.next_event(), h11.EndOfMessage):
            assert not isinstance(event, h11.ConnectionClosed)
            assert event is not h11.NEED_DATA, "a response was cut short"
            if isinstance(event, h11.Response):
                statuses.append(event.status_code)
        got = client.trailing_data[0]
    return statuses
