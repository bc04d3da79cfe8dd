"""One request to the API: signed and spoken by the SDK, bounded, observed, and with one kind of error.

The SDK's asynchronous client runs over our own connections. Its retryer resends what has succeeded, its
region breaker crashes, its time limit is per socket operation, and the connections that it makes by itself
close after each call or after 5 s: none of them is used. docs/cloud-client.md has the measurements.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from hafailover.cloud.dating import EXPIRING, DatedClient, Dating
from hafailover.cloud.outcome import (
    CLIENT_CONNECT,
    CLIENT_CREDENTIALS,
    CLIENT_EXPIRED,
    CLIENT_NETWORK,
    CLIENT_REPLY,
    CLIENT_TIMEOUT,
    HTTP_STATUS,
    SIGNATURE_EXPIRE,
    UNANSWERED,
    UNSENT,
    Remedy,
    classify,
    is_code,
)
from hafailover.cloud.transport import API_LIMIT_BYTES, KEEPALIVE_EXPIRY_S, TRACE, Trace, http_client
from hafailover.errors import CloudError, CredentialsError, StartError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hafailover.cloud.credentials import Credential, CredentialSource
    from hafailover.config.model import Cloud as Settings

VERSION = "2017-03-12"  # of all VPC and CVM actions
OK = "OK"
_DETAIL_LIMIT = 300
_REQUEST_ID_LIMIT = 128

# At level DEBUG these print request headers (a token among them) and whole bodies.
for _name in ("tencentcloud_sdk_common", "httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A finished request, for metrics and log. `code` is "OK" on success.

    `clock_offset_s` is the API's clock minus this machine's, to about a second, None where no answer said.
    `to_wire_s` is the time until the first byte left, None where none did. `detail` is the API's message.
    """

    action: str
    code: str
    seconds: float
    clock_offset_s: float | None = None
    request_id: str = ""
    to_wire_s: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a product's API is: "http" or "https", and the host (with port), which is also what is signed."""

    protocol: str
    host: str

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read "vpc.tencentcloudapi.com" (https) or a URL without path; ValueError on anything else."""
        url = urlsplit(text if "://" in text else f"https://{text}")
        if url.scheme not in ("http", "https") or not url.hostname or url.path not in ("", "/") or url.query:
            raise ValueError(f"{text!r} is neither a host name nor http://HOST:PORT or https://HOST:PORT")
        return cls(url.scheme, url.netloc)

    @property
    def url(self) -> str:
        """Return the URL of the endpoint's root."""
        return f"{self.protocol}://{self.host}/"


class _Signer:
    """Hands the SDK the keys of the request at hand."""

    credential: Credential | None = None

    def get_credential_info(self) -> tuple[str, str, str | None]:
        """Return id, key and token; the SDK's own name."""
        if self.credential is None:
            raise CredentialsError("no credentials yet")
        return self.credential.secret_id, self.credential.secret_key, self.credential.token or None


class Api:
    """The requests of one region, over connections that stay open.

    Raises ValueError where an endpoint is not one, StartError where the environment keeps the SDK from starting.
    """

    def __init__(
        self,
        settings: Settings,
        credentials: CredentialSource,
        region: str,
        observer: Callable[[ApiCall], None],
    ) -> None:
        self._endpoints = {
            "vpc": Endpoint.parse(settings.endpoint),
            "cvm": Endpoint.parse(settings.cvm_endpoint),
        }
        self._timeout_s = settings.timeout_ms / 1000
        self._credentials = credentials
        self._region = region
        self._observer = observer
        self._signer = _Signer()
        self._dating = Dating(self._timeout_s)
        tls = any(endpoint.protocol == "https" for endpoint in self._endpoints.values())
        self._http = http_client(tls=tls, limit_bytes=API_LIMIT_BYTES, timeout_s=self._timeout_s)
        self._clients: dict[str, Any] = {"vpc": self._make_client("vpc")}  # that of cvm when it is needed
        self._used_at_s = float("-inf")

    async def call(
        self, action: str, parameters: dict[str, object], *, service: str = "vpc", expiring: bool = False
    ) -> dict[str, object]:
        """Send one request and return the answer's `Response`, which has a `RequestId` and no `Error`.

        `expiring`: for a write, which must not take effect long after it was sent; see `dating`.

        Takes at most the configured timeout. Raises CloudError, and nothing else, for whatever the API, the
        network or the credentials do.
        """
        trace = Trace()
        token = TRACE.set(trace)
        started_s = time.monotonic()
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._exchange(service, action, parameters, expiring=expiring)
        except Exception as exc:  # noqa: BLE001 - the SDK lets through whatever its parsing of the answer raises
            error = self._unexpired(_translate(exc, trace), expiring=expiring)
            if error.code in UNANSWERED and trace.sent_at_s is not None:
                error.open_s = self._dating.open_s(time.monotonic() - trace.sent_at_s, expiring=expiring)
            self._report(action, error.code, started_s, trace, detail=error.detail)
            raise error from None
        finally:
            TRACE.reset(token)
        self._report(action, OK, started_s, trace, request_id=str(response["RequestId"]))
        return response

    async def _exchange(
        self, service: str, action: str, parameters: dict[str, object], *, expiring: bool
    ) -> dict[str, object]:
        self._signer.credential = await self._credentials.current()
        options = {EXPIRING: expiring}
        reply = await self._client(service).call_and_deserialize(action, parameters, opts=options)
        return _checked(reply)

    def _unexpired(self, error: CloudError, *, expiring: bool) -> CloudError:
        """Say of a request that was too old because it was dated back that it may be sent again, as it is now."""
        if error.code != SIGNATURE_EXPIRE or not expiring or not self._dating.shortens:
            return error
        self._dating.found_too_old()
        return CloudError(CLIENT_EXPIRED, error.detail)

    def _client(self, service: str) -> Any:  # noqa: ANN401 - the SDK has no types
        if service not in self._clients:
            self._clients[service] = self._make_client(service)
        return self._clients[service]

    def _make_client(self, service: str) -> Any:  # noqa: ANN401 - the SDK has no types
        endpoint = self._endpoints[service]
        # `certification=False` spares the constructor's own connections, replaced below before they were ever
        # used, the loading of the trusted authorities; those of `http_client` verify.
        http = HttpProfile(protocol=endpoint.protocol, endpoint=endpoint.host, certification=False)
        profile = ClientProfile(httpProfile=http, language="en-US")
        try:
            client = DatedClient(service, VERSION, self._signer, self._region, profile)
        except ImportError as exc:  # the constructor heeds a SOCKS proxy that the requests never use
            raise StartError(f"unset ALL_PROXY and its like, no proxy is used: {exc}") from None
        client.http_client = self._http
        client.dating = self._dating
        return client

    def _report(self, action: str, code: str, started_s: float, trace: Trace, **said: str) -> None:
        now_s = time.monotonic()
        self._dating.learn(trace.clock_offset_s)
        if trace.sent_at_s is not None:
            self._used_at_s = now_s
        if classify(code, action).remedy is Remedy.REFRESH_CREDENTIALS:
            self._credentials.reject()
        to_wire_s = None if trace.sent_at_s is None else trace.sent_at_s - started_s
        self._observer(ApiCall(action, code, now_s - started_s, trace.clock_offset_s, to_wire_s=to_wire_s, **said))

    async def warm(self) -> None:
        """Open a connection to the VPC endpoint unless one is open, and have keys ready. Never raises."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._credentials.current()
                if time.monotonic() - self._used_at_s > KEEPALIVE_EXPIRY_S / 2:
                    await self._http.get(self._endpoints["vpc"].url)
                    self._used_at_s = time.monotonic()
        except (TimeoutError, httpx.HTTPError, CredentialsError):
            return  # the request that this prepares will say why
        except RuntimeError:  # httpx, of a client that was closed meanwhile: this one, or that of the keys
            return

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()


def _checked(reply: object) -> dict[str, object]:
    response = reply.get("Response") if isinstance(reply, dict) else None
    if not isinstance(response, dict) or "Error" in response:
        raise CloudError(CLIENT_REPLY, "the answer has no usable Response")
    request_id = response.get("RequestId")
    if not isinstance(request_id, str) or not 0 < len(request_id) <= _REQUEST_ID_LIMIT:
        raise CloudError(CLIENT_REPLY, "the answer has no RequestId")
    return response


def _translate(exc: Exception, trace: Trace) -> CloudError:
    """Name what went wrong."""
    if isinstance(exc, CloudError):
        return exc
    if isinstance(exc, CredentialsError):
        return CloudError(CLIENT_CREDENTIALS, str(exc))
    if isinstance(exc, TencentCloudSDKException):
        return _api_error(exc.get_code(), exc.get_message())
    if isinstance(exc, TimeoutError | httpx.TransportError):
        return _network_error(exc, sent=trace.sent_at_s is not None)
    return CloudError(CLIENT_REPLY, f"the answer is not one of the API's ({type(exc).__name__})")


def _network_error(exc: Exception, *, sent: bool) -> CloudError:
    """Tell what failed before the first byte left, which proves that nothing was asked, from what did after."""
    if not sent:
        return CloudError(CLIENT_CONNECT, _printable(str(exc) or "no connection in time"))
    if isinstance(exc, TimeoutError):
        return CloudError(CLIENT_TIMEOUT, "no complete answer in time")
    return CloudError(CLIENT_NETWORK, _printable(f"{type(exc).__name__}: {exc}"))


def _api_error(code: object, message: object) -> CloudError:
    if not isinstance(code, str) or not is_code(code) or code in UNSENT:
        return CloudError(CLIENT_REPLY, "the answer has an Error without a usable Code")
    if code == HTTP_STATUS:  # the message is the whole body, of whoever answered
        return CloudError(code, "HTTP status other than 200")
    return CloudError(code, _printable(message if isinstance(message, str) else ""))


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text[:_DETAIL_LIMIT])
