"""The kinds of values that keys take: the TOML type, the conversion, and the words for what is allowed.

A conversion raises ValueError with the rest of a sentence that begins with the value: "is out of range".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hafailover.config import addresses, duration, routing, wording

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import Enum

_LONGEST_PATH = 4096
_LONGEST_SOCKET_PATH = 107  # bytes of sun_path, see unix(7), less the closing NUL
_MOST_ARGUMENTS = 64
_CREDENTIAL = re.compile(r"credential:(?!\.{1,2}$)[A-Za-z0-9._-]{1,255}", re.ASCII)
_HIDDEN = "the value (not shown)"


@dataclass(frozen=True, slots=True)
class Kind:
    """One value. `allowed` completes "allowed: ..."; a `hidden` value is not repeated in a message."""

    types: tuple[type, ...]
    allowed: str
    convert: Callable[[Any], Any]
    hidden: bool = False

    def read(self, value: object) -> Any:  # noqa: ANN401 - each key has its own type, which the model states
        """Return the converted value; ValueError carries the whole message."""
        if type(value) not in self.types:
            if self.hidden:
                raise ValueError(f"{_HIDDEN} is {wording.type_name(value)}; allowed: {self.allowed}")
            raise ValueError(wording.wrong_type(value, self.allowed))
        try:
            return self.convert(value)
        except ValueError as error:
            given = _HIDDEN if self.hidden else wording.show(value)
            raise ValueError(f"{given} {error}; allowed: {self.allowed}") from None


@dataclass(frozen=True, slots=True)
class Many:
    """An array of different values of one kind, at least `at_least` and at most `at_most` of them."""

    item: Kind
    at_most: int
    at_least: int = 0

    @property
    def allowed(self) -> str:
        """What completes "allowed: ..."."""
        return f"an array of {self.at_least} to {self.at_most}, each {self.item.allowed}"


def duration_between(low: str, high: str) -> Kind:
    """Return the kind of a duration within these bounds."""
    low_ms, high_ms = duration.parse(low), duration.parse(high)

    def convert(text: str) -> int:
        milliseconds = duration.parse(text)
        if not low_ms <= milliseconds <= high_ms:
            raise ValueError("is out of range")
        return milliseconds

    return Kind((str,), f"a duration such as {duration.EXAMPLES}, from {low} to {high}", convert)


def integer(low: int, high: int) -> Kind:
    """Return the kind of an integer within these bounds."""

    def convert(number: int) -> int:
        if not low <= number <= high:
            raise ValueError("is out of range")
        return number

    return Kind((int,), f"an integer from {low} to {high}", convert)


def choice(*options: str, enum: type[Enum] | None = None) -> Kind:
    """Return the kind of one of these words, converted to a member of the enum if there is one."""

    def convert(word: str) -> str | Enum:
        if word not in options:
            raise ValueError("is not known")
        return word if enum is None else enum(word)

    return Kind((str,), wording.either(options), convert)


def matching(pattern: str, allowed: str) -> Kind:
    """Return the kind of an ASCII text of this pattern."""
    compiled = re.compile(pattern, re.ASCII)

    def convert(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise ValueError("is malformed")
        return text

    return Kind((str,), allowed, convert)


def _path(text: str) -> Path:
    if not text.startswith("/"):
        raise ValueError("is not absolute")
    if "\0" in text or len(text) > _LONGEST_PATH:
        raise ValueError("is not a path")
    return Path(text)


def _secret(text: str) -> Path:
    """Return the path, or the name of a credential as one, which `config.files` finds when it is read."""
    return Path(text) if _CREDENTIAL.fullmatch(text) else _path(text)


def _socket_path(text: str) -> Path:
    if len(text.encode()) > _LONGEST_SOCKET_PATH:
        raise ValueError("is too long for a socket")
    return _path(text)


def _peer(text: str) -> tuple[str, int]:
    host, port = addresses.ip_and_port(text)
    address = ip_address(host)
    if address.is_unspecified or address.is_multicast:
        raise ValueError("is not an address that a peer can send to")
    return host, port


def _vip(text: str) -> str:
    address: IPv4Address | IPv6Address = addresses.ip(text)
    if address.is_unspecified or address.is_multicast or address.is_loopback:
        raise ValueError("is not an address that an ENI can carry")
    return str(address)


def _command(value: str | list[Any]) -> tuple[str, ...]:
    words = [value] if isinstance(value, str) else value
    if not 1 <= len(words) <= _MOST_ARGUMENTS:
        raise ValueError(f"of {len(words)} arguments was given")
    if not all(isinstance(word, str) and "\0" not in word and len(word) <= _LONGEST_PATH for word in words):
        raise ValueError("with something else than short strings was given")
    if not words[0].startswith("/"):
        raise ValueError("does not begin with an absolute path")
    return tuple(words)


def _credentials(text: str) -> str:
    known = re.fullmatch(r"role|role:[\w+=,.@-]{1,128}|env|file:/[^\0]{1,4095}", text, re.ASCII)
    if not known and not _CREDENTIAL.fullmatch(text):
        raise ValueError("is not known")
    return text


NAME = matching(
    r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}",
    "1 to 63 letters, digits, dots, hyphens or underscores, the first a letter or digit",
)
PRIORITY = integer(1, 255)


def _priorities(table: dict[str, Any]) -> tuple[tuple[str, int], ...]:
    """Return the names, sorted, with what each is given: the order says nothing."""
    for kind, given in chain.from_iterable(((NAME, name), (PRIORITY, rank)) for name, rank in table.items()):
        try:
            kind.read(given)
        except ValueError:
            raise ValueError(f"with {wording.show(given)} was given") from None
    return tuple(sorted(table.items()))


PRIORITIES = Kind((dict,), f"a table of nodes' names, each with {PRIORITY.allowed}", _priorities)
FLAG = Kind((bool,), "true or false", bool)
PORT = integer(1, 65535)
PATH = Kind((str,), "an absolute path", _path)
SECRET = Kind((str,), 'an absolute path or "credential:NAME"', _secret)
KEY_FILE = Kind((str,), SECRET.allowed, lambda text: (_secret(text),))
SOCKET_PATH = Kind((str,), "an absolute path of at most 107 bytes", _socket_path)
COMMAND = Kind((str, list), "an absolute path, or an array of 1 to 64 strings that begins with one", _command)
PEER = Kind((str,), '"IP:PORT" such as "10.0.1.17:7694" or "[fd00::17]:7694"', _peer)
LISTEN = Kind((str,), '"IP:PORT" such as "127.0.0.1:9694" or "[::1]:9694"', addresses.ip_and_port)
TARGET = Kind((str,), '"HOST:PORT" such as "127.0.0.1:5432"', addresses.host_and_port)
HOST = Kind((str,), "a host name or an IP address", addresses.host)
VIP = Kind((str,), 'an IP address such as "10.0.1.100"', _vip)
ROUTE = Kind((str,), f'a route such as "{routing.ROUTE_EXAMPLE}"', routing.route)
RULE = Kind((str,), f'a rule such as "{routing.RULE_EXAMPLE}"', routing.rule)
URL = Kind((str,), 'a URL such as "http://127.0.0.1:80/healthz"', addresses.url)
BASE_URL = Kind((str,), 'a URL without a path, such as "http://metadata.tencentyun.com"', addresses.base_url)
ENDPOINT = Kind(
    (str,),
    'a host such as "vpc.tencentcloudapi.com", "HOST:PORT" or a URL without a path',
    addresses.endpoint,
)
ENI_ID = matching(r"eni-[0-9a-z]{8}", '"eni-" and 8 lower-case letters or digits')
INSTANCE_ID = matching(r"ins-[0-9a-z]{8}", '"ins-" and 8 lower-case letters or digits')
REGION = matching(r"[a-z]{2,10}(-[a-z0-9]{1,20}){1,3}", 'a region such as "ap-guangzhou"')
INTERFACE = matching(r"(?!\.{1,2}$)[!-.0-9;-~]{1,15}", "the name of a network interface, 1 to 15 characters")
UNIX_GROUP = matching(r"[a-z_][a-z0-9_-]{0,30}", "the name of a Unix group")
UNIT = matching(r"[A-Za-z0-9:_.\\@-]{1,255}", 'a systemd unit such as "nginx.service"')
TOPIC = matching(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+){0,7}", "an MQTT topic without wildcards")
USERNAME = matching(r"[!-~]{0,255}", "up to 255 printable ASCII characters")
CREDENTIALS = Kind(
    (str,), '"role", "role:NAME", "file:/PATH", "credential:NAME" or "env"', _credentials, hidden=True
)
