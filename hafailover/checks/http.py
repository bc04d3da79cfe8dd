"""The check of type http: a GET of a URL is answered in time, to its end, with the status expected (RFC 9110).

Every run makes a connection of its own, because the answer to a new client is what counts: a worker that still
holds an old connection may outlive a service that accepts no more. h11 on a bare socket takes about 0.3 ms of
CPU per run, asyncio's streams 0.5 ms, httpx 1.8 ms: checks may run every 100 ms.

A redirect is an answer like any other (expect it with `status`); following it would test some other service.
For https the certificate must be valid for the URL's host and signed by one of the system's authorities, except
on loopback, where it is made for another name as a rule and nobody is in between.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import h11

from hafailover.checks.connect import connect
from hafailover.checks.result import Verdict, failed, late

if TYPE_CHECKING:
    import socket
    import ssl

MAX_HEADER_BYTES = 32 * 1024
MAX_BODY_BYTES = 64 * 1024  # what is beyond that is not waited for
_READ_BYTES = 16 * 1024


class HttpProbe:
    """Gets `url`, http or https, and expects `status` (100..599). Raises ValueError for another kind of URL."""

    __slots__ = ("_host", "_port", "_request", "_status", "_tls")

    def __init__(self, url: str, status: int) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not a http or https URL: {url}")
        self._host = parts.hostname
        self._tls = _tls_context(parts.hostname) if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._status = status
        self._request = h11.Request(
            method="GET",
            target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
            headers=[
                ("Host", parts.netloc.rpartition("@")[2]),
                ("User-Agent", "hafailover"),
                ("Accept", "*/*"),
                ("Connection", "close"),
            ],
        )

    async def run(self, timeout_s: float) -> Verdict:
        """Get the URL once; `timeout_s` bounds all of it, from the name's look-up to the last byte."""
        try:
            async with asyncio.timeout(timeout_s):
                status = await self._get()
        except TimeoutError:
            return late(timeout_s)
        except OSError as error:
            return failed(error.strerror or str(error))
        except h11.RemoteProtocolError as error:
            return failed(f"not a valid HTTP answer: {error}")
        if status != self._status:
            return failed(f"HTTP {status}, expected {self._status}")
        return Verdict(passed=True, detail=f"HTTP {status}")

    async def _get(self) -> int:
        sock = await connect(self._host, self._port)
        try:
            wire = await self._secure(sock) if self._tls else _Plain(sock)
        except BaseException:
            sock.close()
            raise
        try:
            return await _exchange(wire, self._request)
        finally:
            wire.close()

    async def _secure(self, sock: socket.socket) -> _Tls:
        return _Tls(*await asyncio.open_connection(sock=sock, ssl=self._tls, server_hostname=self._host))


class _Wire(Protocol):
    async def send(self, data: bytes) -> None: ...

    async def receive(self) -> bytes: ...

    def close(self) -> None: ...


class _Plain:
    __slots__ = ("_sock",)

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._sock, data)

    async def receive(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self._sock, _READ_BYTES)

    def close(self) -> None:
        self._sock.close()


class _Tls:
    __slots__ = ("_reader", "_writer")

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def receive(self) -> bytes:
        return await self._reader.read(_READ_BYTES)

    def close(self) -> None:
        self._writer.transport.abort()  # nobody waits for the other side's farewell


async def _exchange(wire: _Wire, request: h11.Request) -> int:
    """Send the request, read the answer to its end or to `MAX_BODY_BYTES`, and return its status.

    Raises OSError where the connection breaks and h11.RemoteProtocolError where the answer is none, or is cut off.
    """
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEADER_BYTES)
    await wire.send((connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b""))
    status = received = 0
    while received <= MAX_BODY_BYTES:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await wire.receive())
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            received += len(event.data)
        elif isinstance(event, h11.EndOfMessage) or event is h11.PAUSED:
            break
    return status


def _tls_context(host: str) -> ssl.SSLContext:
    import ssl  # noqa: PLC0415 - not needed for http

    context = ssl.create_default_context()
    if is_loopback(host):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def is_loopback(host: str) -> bool:
    """Whether the host, a name or an IP address, is this machine for certain (RFC 6761 section 6.3)."""
    import ipaddress  # noqa: PLC0415 - needed for https only

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
