from __future__ import annotations

import asyncio
import contextlib
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from hafailover.http1 import Delivery, Request, Response, Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def echo(request: Request) -> Response:
    text = f"{request.method} {request.path} {sorted(request.query.items())} {request.body.decode()}"
    return Response(200, text.encode(), headers=(("X-Peer", request.peer),))


def answering(response: Response) -> Callable[[Request], Any]:
    async def handler(_request: Request) -> Response:
        return response

    return handler


@asynccontextmanager
async def serving(handler: Callable[[Request], Any] = echo, **limits: Any) -> AsyncIterator[Server]:
    server = Server(handler, **limits)
    await server.start("127.0.0.1", 0)
    try:
        yield server
    finally:
        await server.close()


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def talk(server: Server, *pieces: bytes, end: bool = True) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    if end:
        writer.write_eof()
    try:
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        await closed(writer)


def status_of(reply: bytes) -> int:
    return int(reply.split(b" ", 2)[1])


async def test_answers_with_path_query_body_and_peer() -> None:
    async with serving() as server:
        reply = await talk(server, b"POST /a%20b?x=1&y= HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
    head, _, body = reply.partition(b"\r\n\r\n")
    assert body == b"POST /a b [('x', '1'), ('y', '')] abc"
    assert b"X-Peer: 127.0.0.1" in head
    assert b"Content-Type: text/plain; charset=utf-8\r\n" in head
    assert b"Date: " in head


async def test_header_names_are_lower_case_and_the_target_is_kept() -> None:
    seen: list[Request] = []

    async def handler(request: Request) -> Response:
        seen.append(request)
        return Response()

    async with serving(handler) as server:
        await talk(server, b"GET /p%2F?q=%31 HTTP/1.1\r\nHoSt: h:1\r\n\r\n")
    assert seen[0].headers["host"] == "h:1"
    assert seen[0].target == "/p%2F?q=%31"
    assert seen[0].query == {"q": "1"}


async def test_keeps_the_connection_and_serves_pipelined_requests() -> None:
    async with serving() as server:
        reply = await talk(server, GET + GET, GET)
    assert reply.count(b"HTTP/1.1 200") == 3


async def test_closes_where_the_client_asks_for_it() -> None:
    async with serving() as server:
        reply = await talk(server, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", end=False)
    assert status_of(reply) == 200
    assert b"Connection: close" in reply


async def test_head_has_the_length_of_get_and_no_body() -> None:
    async with serving(answering(Response(200, b"12345"))) as server:
        reply = await talk(server, b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", GET)
    first, _, rest = reply.partition(b"\r\n\r\n")
    assert b"Content-Length: 5" in first
    assert rest.startswith(b"HTTP/1.1 200")
    assert rest.endswith(b"12345")


async def test_head_and_body_come_in_one_segment() -> None:
    async with serving(answering(Response(200, b"body"))) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GET)
        first = await reader.read(65536)
        await closed(writer)
    assert first.endswith(b"\r\n\r\nbody")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET /?" + b"&".join([b"a=1"] * 101) + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 40_000, 431),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n" + b"z" * 11, 413),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n" + b"z" * 11 + b"\r\n", 413),
    ],
)
async def test_refuses_what_is_malformed_or_too_large_and_closes(sent: bytes, status: int) -> None:
    async with serving(max_body=10) as server:
        reply = await talk(server, sent)
    assert status_of(reply) == status
    assert b"connection: close" in reply.lower()


async def test_a_refusal_after_a_head_request_has_a_body() -> None:
    async with serving() as server:
        reply = await talk(server, GET.replace(b"GET", b"HEAD") + b"no request\r\n\r\n")
    _, _, after_head = reply.partition(b"\r\n\r\n")
    head, _, body = after_head.partition(b"\r\n\r\n")
    assert status_of(head) == 400
    assert f"Content-Length: {len(body)}\r\n".encode() in head
    assert body


async def test_a_request_cut_short_is_dropped() -> None:
    async with serving() as server:
        assert await talk(server) == b""
        assert status_of(await talk(server, b"GET / HT")) == 400


async def test_sends_continue_where_the_client_waits_for_it() -> None:
    async with serving() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        writer.write(b"ok")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        await closed(writer)


async def test_a_failing_handler_is_a_500_and_is_told() -> None:
    told: list[tuple[str, Exception]] = []

    async def handler(_request: Request) -> Response:
        raise KeyError("bug")

    async with serving(handler, on_error=lambda request, error: told.append((request.path, error))) as server:
        reply = await talk(server, GET)
    assert status_of(reply) == 500
    assert b"bug" not in reply
    assert [(path, type(error)) for path, error in told] == [("/", KeyError)]


async def test_without_a_callback_the_loop_is_told_of_a_failing_handler() -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))
    async with serving(answering(Response(200, headers=(("bad\nname", "x"),)))) as server:
        assert await talk(server, GET) == b""
    assert "HTTP handler failed: GET /" in told[0]["message"]


async def test_a_slow_handler_is_a_503() -> None:
    async def handler(_request: Request) -> Response:
        await asyncio.sleep(60)
        return Response()

    async with serving(handler, request_timeout_s=0.02) as server:
        assert status_of(await talk(server, GET)) == 503


async def test_a_slow_client_is_a_408_and_an_idle_one_is_closed() -> None:
    async with serving(request_timeout_s=0.02, idle_timeout_s=0.02) as server:
        assert status_of(await talk(server, b"GET / HTTP/1.1\r\n", end=False)) == 408
        assert await talk(server, end=False) == b""


async def test_connections_beyond_the_limit_are_closed_at_once() -> None:
    async with serving(max_connections=1) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert await talk(server, GET, end=False) == b""
        writer.write(GET)
        assert (await reader.readuntil(b"HTTP/1.1 200")).startswith(b"GET / [] ")
        await closed(writer)


async def test_a_port_in_use_is_an_os_error() -> None:
    async with serving() as server:
        with pytest.raises(OSError, match="in use"):
            await Server(echo).start("127.0.0.1", server.port)


async def test_close_ends_waiting_handlers_and_a_server_never_started_closes() -> None:
    entered = asyncio.Event()

    async def handler(_request: Request) -> Response:
        entered.set()
        await asyncio.sleep(60)
        return Response()

    server = Server(handler)
    await server.close()
    await server.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(GET)
    await entered.wait()
    await server.close()
    assert await reader.read() == b""
    await closed(writer)


async def test_reset_instead_of_a_reply() -> None:
    async with serving(answering(Response(200, b"x", delivery=Delivery(reset=True)))) as server:
        with pytest.raises(ConnectionResetError):
            await talk(server, GET, end=False)


async def test_truncated_body_keeps_the_announced_length() -> None:
    async with serving(answering(Response(200, b"x" * 100, delivery=Delivery(body_bytes=7)))) as server:
        reply = await talk(server, GET, end=False)
    head, _, body = reply.partition(b"\r\n\r\n")
    assert b"Content-Length: 100" in head
    assert body == b"x" * 7


@pytest.mark.parametrize("slow_head", [True, False])
async def test_dribbled_reply_arrives_whole_in_pieces(slow_head: bool) -> None:  # noqa: FBT001 - pytest's way
    delivery = Delivery(pause_s=0.001, piece_bytes=20, slow_head=slow_head)
    async with serving(answering(Response(200, b"x" * 100, delivery=delivery))) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GET)
        first = await reader.read(65536)
        rest = await reader.readexactly(100 if not first.endswith(b"x") else 1)
        await closed(writer)
    assert len(first) <= 20 if slow_head else first.startswith(b"HTTP/1.1 200 ")
    assert len(rest) in (1, 100)


async def test_a_dribbled_reply_ends_at_the_deadline() -> None:
    delivery = Delivery(pause_s=10, slow_head=True)
    async with serving(answering(Response(200, delivery=delivery)), request_timeout_s=0.02) as server:
        assert await talk(server, GET, end=False) == b"H"


async def test_nagle_is_off() -> None:
    flags: list[int] = []

    class Watching(Server):
        def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            sock = writer.get_extra_info("socket")
            flags.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            super()._accept(reader, writer)

    server = Watching(echo)
    await server.start("127.0.0.1", 0)
    await talk(server, GET)
    await server.close()
    assert flags == [1]
