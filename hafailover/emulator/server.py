"""The emulator as one object: API and metadata servers over one model, for tests, the demo and the lab."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import TYPE_CHECKING

from hafailover.emulator.admin import PREFIX, Admin
from hafailover.emulator.api import HANG_S, Api
from hafailover.emulator.metadata import Metadata
from hafailover.emulator.service import Service
from hafailover.http1 import Handler, Request, Response, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hafailover.emulator.faults import Faults
    from hafailover.emulator.keys import Keys
    from hafailover.emulator.model import Model
    from hafailover.emulator.network import Network
    from hafailover.emulator.service import Settings
    from hafailover.emulator.values import Change

SECRET_ID = "AKIDemulator"  # noqa: S105 - known to everybody, as the key is
SECRET_KEY = "emulator-secret-key"  # noqa: S105 - known to everybody, opens nothing but the emulator
MAX_BODY = 1024 * 1024
MAX_CONNECTIONS = 256


@dataclass(frozen=True, slots=True)
class Options:
    """How an emulator starts; the settings can be changed while it runs.

    `seed` makes request ids and temporary keys, "" draws a random one. `sources`: client address -> instance id,
    for the metadata service. `admin_anywhere`: clients on other machines may use /_emulator/ too.
    """

    latency_ms: int = 100
    task_ms: int = 500
    seed: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    admin_anywhere: bool = False
    unix_s: Callable[[], float] = time.time


class Emulator:
    """An emulated region, which accepts the key SECRET_ID / SECRET_KEY and others added to `keys`.

    `on_change` is called on the event loop with every change of a holder, at the moment it takes effect.
    """

    def __init__(
        self,
        network: Network,
        options: Options | None = None,
        on_change: Callable[[Change], None] | None = None,
    ) -> None:
        options = options or Options()
        self.service = Service(network, options.seed or secrets.token_hex(16), options.unix_s)
        self.service.settings.latency_ms = options.latency_ms
        self.service.model.rules.task_ms = options.task_ms
        self.service.keys.add(SECRET_ID, SECRET_KEY)
        if on_change is not None:
            self.service.model.listeners.append(on_change)
        self._api = Api(self.service)
        self._admin = Admin(self.service, anywhere=options.admin_anywhere)
        self._metadata = Metadata(self.service, options.sources)
        self._api_server = _server(self._handle, MAX_BODY)
        self._metadata_server = _server(self._metadata.handle, 0)

    @property
    def model(self) -> Model:
        """The cloud itself."""
        return self.service.model

    @property
    def faults(self) -> Faults:
        """The faults that are on."""
        return self.service.faults

    @property
    def settings(self) -> Settings:
        """Latencies and the state of the metadata service."""
        return self.service.settings

    @property
    def keys(self) -> Keys:
        """The API keys that are accepted."""
        return self.service.keys

    @property
    def api_port(self) -> int:
        """The port of the API and of /_emulator/."""
        return self._api_server.port

    @property
    def metadata_port(self) -> int:
        """The port of the metadata service."""
        return self._metadata_server.port

    async def start(
        self, api: tuple[str, int] = ("127.0.0.1", 0), metadata: tuple[str, int] = ("127.0.0.1", 0)
    ) -> None:
        """Listen on two addresses (host, port; port 0: a free one). Raises OSError."""
        await self._api_server.start(*api)
        try:
            await self._metadata_server.start(*metadata)
        except OSError:
            await self._api_server.close()
            raise
        self.service.arm()

    async def close(self) -> None:
        """Stop serving; effects that are still due do not come any more."""
        self.service.disarm()
        await self._api_server.close()
        await self._metadata_server.close()
        self.service.disarm()  # a request that was being answered may have armed it again

    async def _handle(self, request: Request) -> Response:
        if request.path.startswith(PREFIX):
            return await self._admin.handle(request)
        response = await self._api.handle(request)
        dated = ("Date", formatdate(self.service.unix_s(), usegmt=True))
        return replace(response, headers=(*response.headers, dated))


def _server(handler: Handler, max_body: int) -> Server:
    # A hanging reply has to outlast any client's patience, so the server's own limit lies beyond that.
    limit_s = HANG_S + 30
    return Server(handler, max_body=max_body, request_timeout_s=limit_s, max_connections=MAX_CONNECTIONS)
