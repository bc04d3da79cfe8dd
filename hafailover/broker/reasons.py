"""Why there is no connection to the broker, as one line that names the key to look at."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from hafailover.config.files import UnusableError

if TYPE_CHECKING:
    from hafailover.config.model import Mqtt

BAD_LOGIN = (0x86, 0x87)  # MQTT 5, section 3.2.2.2: Bad User Name or Password, Not authorized
BAD_CLIENT = (0x85, 0x8A)  # Client Identifier not valid, Banned
TAKEN_OVER = 0x8E
_OLD_BROKER = 0x84  # Unsupported Protocol Version; a broker of MQTT 3 says 1
_SECOND = "is there a second daemon of this name?"
_CERTIFICATE_ALERTS = ("CERTIFICATE", "UNKNOWN_CA", "HANDSHAKE_FAILURE", "ACCESS_DENIED")


def of_file(key: str, path: object, error: UnusableError | OSError) -> str:
    """Return what is wrong with a file that a key names."""
    if isinstance(error, ssl.SSLError):
        return f"mqtt.{key}: {path} holds nothing usable in PEM: {error.reason or error}"
    text = str(error) if isinstance(error, UnusableError) else f"cannot be read: {error.strerror or error}"
    return f"mqtt.{key}: {path} {text}"


def of_connect(error: OSError, settings: Mqtt) -> str:
    """Return why the broker could not be reached, or would not agree on TLS."""
    where = f"{settings.host}:{settings.port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        named = "host" if "ostname" in error.verify_message or "IP address" in error.verify_message else "ca_file"
        return f"mqtt.{named}: the certificate of {where} is not accepted: {error.verify_message.rstrip('.')}"
    if isinstance(error, ssl.SSLError):
        return of_tls(error.reason or str(error), settings)
    if isinstance(error, TimeoutError):
        return f"mqtt.host: {where} does not answer"
    if isinstance(error, ConnectionResetError) or "EOF" in str(error):
        return f"mqtt.tls: {where} ended the connection; does it speak {_kind(settings)} on this port?"
    return f"mqtt.host: {where}: {error.strerror or error}"


def _kind(settings: Mqtt) -> str:
    return "TLS" if settings.tls else "plain MQTT"


def of_tls(text: str, settings: Mqtt) -> str:
    """Return what a complaint of TLS means, whichever side has it."""
    where = f"{settings.host}:{settings.port}"
    short = text.strip("[] ").rpartition("] ")[2][:200]
    if any(word in text.upper().replace(" ", "_") for word in _CERTIFICATE_ALERTS):
        return f"mqtt.cert_file: {where} does not accept this node's certificate, or the lack of one: {short}"
    return f"mqtt.tls: no agreement on TLS with {where}: {short}"


def of_break(settings: Mqtt, *, connected: bool, again: bool) -> str:
    """Return what a connection's end means of which nobody has said anything; `again`: that was so before."""
    where = f"{settings.host}:{settings.port}"
    if not connected:
        return f"mqtt.tls: {where}: no answer to the login; does it speak {_kind(settings)} on this port?"
    if again:
        return f"mqtt.host: {where}: connections break soon after they stand; {_SECOND}"
    return f"mqtt.host: {where}: the connection broke"


def of_code(code: int, text: str, settings: Mqtt) -> str:
    """Return what an MQTT reason code means, at the connection or at its end."""
    where = f"{settings.host}:{settings.port}"
    if code in BAD_LOGIN:
        return f"mqtt.username, mqtt.password_file: {where} does not let this node in: {text}"
    if code in BAD_CLIENT:
        return f"mqtt.host: {where} does not accept this node's client id: {text}"
    if code == TAKEN_OVER:
        return f"another client has connected under this node's client id; {_SECOND}"
    if code in (_OLD_BROKER, 1):
        return f"mqtt.host: {where} does not speak MQTT 5"
    return f"mqtt.host: {where}: {text}"
