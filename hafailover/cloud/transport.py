"""HTTP as the cloud's clients need it: bounded answers, no proxies or redirects, a note of what was sent.

One pool of connections serves all endpoints. A whole answer is read here, up to a limit, before it is parsed.
"""

from __future__ import annotations

import ssl
import time
from contextvars import ContextVar
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx

API_LIMIT_BYTES = 4 << 20  # 100 ENIs with 30 addresses each are about 1 MB

# Longer than the default audit interval, so that the connection is warm when it is needed; shorter than the
# idle time after which load balancers and NATs commonly forget a connection (60 s).
KEEPALIVE_EXPIRY_S = 55.0
_MAX_CONNECTIONS = 16
_CONNECT_SHARE = 0.45
# A kernel repeats its first packet after 1 s (RFC 6298). A connection that comes about by that comes just when a
# network that was cut is back, and would carry what was decided when nobody was heard.
_CONNECT_MOST_S = 0.9


@dataclass(slots=True)
class Trace:
    """What is known of one exchange. `sent_at_s` is on the monotonic clock, None while no byte has left."""

    sent_at_s: float | None = None
    clock_offset_s: float | None = None

    async def note(self, event: str, _info: object) -> None:
        """Take an event of httpcore's `trace` extension."""
        if event.endswith(".send_request_headers.started"):
            self.sent_at_s = time.monotonic()


TRACE: ContextVar[Trace | None] = ContextVar("hafailover_http_trace", default=None)


class BoundedTransport(httpx.AsyncBaseTransport):
    """Reads each answer whole, up to a limit, and passes on its status, its body and one content type.

    The SDK looks for an error in a body only if the content type is literally `application/json`; an error
    with any other one would come out as a success. So every answer gets this one. Its other headers go no
    further, among them a content encoding that nobody asked for.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, limit_bytes: int) -> None:
        self._inner = inner
        self._limit_bytes = limit_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; raises httpx.TransportError, also where the answer is too large."""
        trace = TRACE.get()
        if trace is not None:
            request.extensions = {**request.extensions, "trace": trace.note}
        response = await self._inner.handle_async_request(request)
        try:
            body = await self._read(response)
        finally:
            await response.aclose()
        if trace is not None:
            trace.clock_offset_s = _clock_offset_s(response.headers.get("Date", ""))
        return httpx.Response(
            response.status_code, headers={"Content-Type": "application/json"}, content=body, request=request
        )

    async def _read(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > self._limit_bytes:
                raise httpx.ReadError(f"the answer is larger than {self._limit_bytes} bytes")
        return bytes(body)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._inner.aclose()


def _clock_offset_s(date: str) -> float | None:
    """Return the server's clock minus ours, to about a second: a Date header (RFC 9110, 6.6.1) has no more."""
    try:
        return parsedate_to_datetime(date[:64]).timestamp() + 0.5 - time.time()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None


def http_client(*, tls: bool, limit_bytes: int, timeout_s: float) -> httpx.AsyncClient:
    """Make a client for exchanges that the caller bounds as a whole by `timeout_s`.

    Without `tls` the trusted authorities are not loaded (20 ms of CPU), and a TLS connection would fail.
    Connecting and the TLS handshake have limits of their own, because httpcore leaves the socket of a handshake
    open that is cancelled from outside (1.0.9); together they stay below the caller's bound.
    """
    context = httpx.create_ssl_context(trust_env=False) if tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    limits = httpx.Limits(max_connections=_MAX_CONNECTIONS, keepalive_expiry=KEEPALIVE_EXPIRY_S)
    inner = httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=limits)
    timeout = httpx.Timeout(None, connect=min(timeout_s * _CONNECT_SHARE, _CONNECT_MOST_S))
    return httpx.AsyncClient(transport=BoundedTransport(inner, limit_bytes), trust_env=False, timeout=timeout)
