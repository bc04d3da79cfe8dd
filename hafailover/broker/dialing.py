"""From what the file says of a broker to a client that is about to connect: names, secrets, certificates."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from hafailover.broker import reasons
from hafailover.broker.aside import Aside
from hafailover.config import files
from hafailover.errors import BrokerError

if TYPE_CHECKING:
    from pathlib import Path

    from hafailover.config.model import Mqtt

LOOKUP_S: Final = 3.0
CONNECT_S: Final = 10.0  # of TCP and TLS together
ANSWER_S: Final = 3.0  # what the broker may take for anything
MOST_BYTES: Final = 128 * 1024  # of one packet: the broker is told so, and sends no larger one
_NODE: Final = "{node}"


class _Context(ssl.SSLContext):
    """A context for one host: the client is told an address, and must hold the certificate against the name."""

    host = ""
    wrapped: ssl.SSLSocket | None = None

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:  # noqa: ANN401 - as ssl.SSLContext has it
        """Wrap a socket for the host."""
        self.wrapped = super().wrap_socket(*args, **{**options, "server_hostname": self.host})
        return self.wrapped


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the files say, read anew for each connection, so that a new certificate or password needs no reload."""

    context: _Context | None
    password: str | None = field(repr=False)


def read_secrets(settings: Mqtt) -> Secrets:
    """Read the files that [mqtt] names. Not for the event loop. Raises BrokerError."""
    return Secrets(_context(settings) if settings.tls else None, _password(settings))


def _password(settings: Mqtt) -> str | None:
    path = settings.password_file
    if path is None:
        return None
    try:
        return files.read_password(path)
    except files.UnusableError as error:
        raise BrokerError(reasons.of_file("password_file", path, error)) from None


def _context(settings: Mqtt) -> _Context:
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context.host = settings.host
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.ca_file is None:
        context.load_default_certs()
    else:
        _load("ca_file", settings.ca_file, context.load_verify_locations)
    if settings.cert_file is not None:
        key = None if settings.key_file is None else files.located(settings.key_file)
        _load("cert_file", settings.cert_file, lambda path: context.load_cert_chain(path, key, _no_passphrase))
    return context


def _no_passphrase() -> str:
    return ""  # else OpenSSL would ask a terminal


def _load(key: str, path: Path, load: Any) -> None:  # noqa: ANN401 - either of two methods
    try:
        load(files.located(path))
    except (OSError, files.UnusableError) as error:
        raise BrokerError(reasons.of_file(key, path, error)) from None


class Client(aiomqtt.Client):
    """A client that connects in a thread for which nobody waits, in place of one of the loop's."""

    _given_up = False

    async def dial(self, aside: Aside) -> None:
        """Connect, and agree on TLS. Raises OSError."""
        try:
            await aside.run(self._connect, CONNECT_S)
        except (TimeoutError, asyncio.CancelledError):
            self._given_up = True
            raise

    def _connect(self) -> None:
        super()._client_connect()
        if self._given_up:  # nobody has use for it any more, and it would log in
            self.shut()

    def shut(self) -> None:
        """End the connection at once, for which the library has no way of its own."""
        sock = self._client.socket()
        if isinstance(sock, socket.socket):
            with contextlib.suppress(OSError, ValueError):
                sock.shutdown(socket.SHUT_RDWR)

    def _client_connect(self) -> None:
        """Do nothing: that is done."""

    def _on_socket_register_write(self, client: object, userdata: object, sock: Any) -> None:  # noqa: ANN401, ARG002 - paho's
        """Have the loop say when there is room to write.

        The library notes the descriptor now, and the loop comes to it later, when it may be closed or another's.
        """
        self._loop.call_soon_threadsafe(self._await_room, sock)

    def _await_room(self, sock: Any) -> None:  # noqa: ANN401 - a socket, or one of TLS
        mine = self._client.socket()
        if mine is not None and mine is sock:
            self._loop.add_writer(mine, self._write)

    def _write(self) -> None:
        try:
            self._client.loop_write()
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the connection
            if not self._disconnected.done():
                self._disconnected.set_exception(error)


def _addresses(host: str, port: int) -> list[str]:
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(str(error)) from None
    return list(dict.fromkeys(str(info[4][0]) for info in infos))


class Ear(logging.Handler):
    """Listens to what the MQTT library says of its troubles, which it does not raise."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the first complaint: what follows it follows from it."""
        self.heard = self.heard or record.getMessage()[:500]

    def logger(self) -> logging.Logger:
        """Return a logger that only this one hears."""
        logger = logging.Logger("hafailover.mqtt", logging.WARNING)  # noqa: LOG001 - not one of the process's
        logger.propagate = False
        logger.addHandler(self)
        return logger


class Dialer:
    """Makes a client for each connection, to each of the broker's addresses in turn."""

    def __init__(self, settings: Mqtt, *, node: str, client_id: str, keepalive_s: int) -> None:
        self._settings = settings
        self._username = settings.username.replace(_NODE, node)
        self._client_id = client_id
        self._keepalive_s = keepalive_s
        self._aside = Aside("mqtt")
        self._turn = 0
        self._context: _Context | None = None

    async def client(self, will: tuple[str, bytes] | None, queue: type[asyncio.Queue[Any]], ear: Ear) -> Client:
        """Return a client that has only to log in. Raises BrokerError and OSError."""
        secrets = await asyncio.to_thread(read_secrets, self._settings)
        self._context = secrets.context
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho
        properties.MaximumPacketSize = MOST_BYTES
        client = Client(
            await self._address(),
            self._settings.port,
            identifier=self._client_id,
            username=self._username or None,
            password=secrets.password,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            properties=properties,
            will=None if will is None else aiomqtt.Will(*will, qos=1, retain=True),
            keepalive=self._keepalive_s,
            timeout=ANSWER_S,
            tls_context=secrets.context,
            queue_type=queue,
            logger=ear.logger(),
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )
        await client.dial(self._aside)
        return client

    def hang_up(self) -> None:
        """Close the connection of the newest client: where TLS comes to nothing, the library leaves it open."""
        if self._context is not None and self._context.wrapped is not None:
            self._context.wrapped.close()

    async def _address(self) -> str:
        host = self._settings.host
        try:
            found = await self._aside.run(partial(_addresses, host, self._settings.port), LOOKUP_S)
        except TimeoutError:
            raise BrokerError(f"mqtt.host: the name {host} is not resolved in time") from None
        except OSError as error:
            raise BrokerError(f"mqtt.host: {host}: {error.strerror or error}") from None
        if not found:
            raise BrokerError(f"mqtt.host: the name {host} has no address")
        self._turn += 1
        return found[self._turn % len(found)]
