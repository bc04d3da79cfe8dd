"""What is said on the control socket: one JSON object a line each way. Pure: bytes in, values out.

A request is `{"command": NAME, FIELD: VALUE, ...}`, a reply `{"ok": true, ...}` or
`{"ok": false, "error": SENTENCE, "reason": LABEL}`. `COMMANDS` lists every command with its fields.

Before the reply to a `failover` that asked for its `"progress"` lines may tell what happens meanwhile,
`{"progress": LABEL, "text": SENTENCE, "after_s": SECONDS}`; what does not read them misses some.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hafailover.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_REQUEST_BYTES = 64 * 1024
"""Length of a request without its line feed."""

MAX_REPLY_BYTES = 16 * 1024 * 1024
"""Length of a reply: a status of some thousand groups."""

MAX_NAME_CHARS = 64
_ECHO_CHARS = 40

BAD_REQUEST = "bad_request"
NOT_PERMITTED = "not_permitted"
TOO_MANY_CONNECTIONS = "too_many_connections"
TIMEOUT = "timeout"
FAILED = "failed"
INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Request:
    """A valid request; a field that its command does not have carries its default.

    `changes`: the command changes something, so that not everybody may send it. `group` None: all groups;
    `to` None: the best candidate; `for_ms` None: until told otherwise. `progress`: tell what happens meanwhile.
    """

    command: str
    changes: bool
    group: str | None = None
    to: str | None = None
    wait: bool = False
    progress: bool = False
    timeout_ms: int = 30_000
    for_ms: int | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Field:
    """How one field of a request is read: into which attribute of `Request`, and what is allowed."""

    attribute: str
    read: Callable[[object], object]
    allowed: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table: the command's fields, and whether it changes anything."""

    changes: bool
    fields: Mapping[str, Field]


def _name(value: object) -> str:
    if isinstance(value, str) and 0 < len(value) <= MAX_NAME_CHARS and value.isprintable():
        return value
    raise ValueError


def _name_or_null(value: object) -> str | None:
    return None if value is None else _name(value)


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError


def _milliseconds(least_ms: int, most_ms: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if isinstance(value, int | float) and not isinstance(value, bool) and least_ms <= value * 1000 <= most_ms:
            return round(value * 1000)
        raise ValueError

    return read


def _whole(least: int, most: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        raise ValueError

    return read


def _or_null(read: Callable[[object], object]) -> Callable[[object], object]:
    return lambda value: None if value is None else read(value)


_NAME_TEXT = f"a name of 1 to {MAX_NAME_CHARS} printable characters"
_MONTH_MS = 30 * 24 * 3600 * 1000

_GROUP = Field("group", _name, _NAME_TEXT, required=True)
_SOME_GROUP = Field("group", _name_or_null, f"{_NAME_TEXT}, or null for all groups")
_TARGET = Field("to", _name_or_null, f"{_NAME_TEXT}, or null for the best candidate")
_WAIT = Field("wait", _flag, "true or false")
_PROGRESS = Field("progress", _flag, "true or false")
_TIMEOUT = Field("timeout_ms", _milliseconds(100, 3_600_000), "a number of seconds, 0.1 to 3600")
_FOR = Field("for_ms", _or_null(_milliseconds(1000, _MONTH_MS)), "a number of seconds, 1 to 2592000, or null")
_LIMIT = Field("limit", _whole(1, 1000), "a whole number, 1 to 1000")

COMMANDS: Mapping[str, Command] = {
    "status": Command(changes=False, fields={}),
    "history": Command(changes=False, fields={"group": _SOME_GROUP, "limit": _LIMIT}),
    "failover": Command(
        changes=True,
        fields={"group": _GROUP, "to": _TARGET, "wait": _WAIT, "progress": _PROGRESS, "timeout_s": _TIMEOUT},
    ),
    "drain": Command(changes=True, fields={}),
    "undrain": Command(changes=True, fields={}),
    "pause": Command(changes=True, fields={"group": _SOME_GROUP, "for_s": _FOR}),
    "resume": Command(changes=True, fields={"group": _SOME_GROUP}),
    "reload": Command(changes=True, fields={}),
}


def parse_request(line: bytes) -> Request:
    """Read one request line, with or without its line feed.

    Raises ProtocolError, which names the field and what is allowed there.
    """
    message = _parse_object(line)
    name = message.pop("command", None)
    command = COMMANDS.get(name) if isinstance(name, str) else None
    if not isinstance(name, str) or command is None:
        raise ProtocolError(f"command: {_echo(name)} given, allowed are {', '.join(COMMANDS)}")
    unknown = next((key for key in message if key not in command.fields), None)
    if unknown is not None:
        allowed = ", ".join(command.fields) or "no fields"
        raise ProtocolError(f"{name}: unknown field {_echo(unknown)}, allowed: {allowed}")
    values: dict[str, Any] = {}
    for key, field in command.fields.items():
        if key in message:
            values[field.attribute] = _read(name, key, field, message[key])
        elif field.required:
            raise ProtocolError(f"{name}: {key} is missing: {field.allowed}")
    return Request(command=name, changes=command.changes, **values)


def _read(command: str, key: str, field: Field, value: object) -> object:
    try:
        return field.read(value)
    except ValueError:
        raise ProtocolError(f"{command}: {key}: {_echo(value)} given, allowed is {field.allowed}") from None


def _parse_object(line: bytes) -> dict[str, Any]:
    if len(line) > MAX_REQUEST_BYTES + 1:
        raise ProtocolError(f"a request has at most {MAX_REQUEST_BYTES} bytes")
    try:
        message = json.loads(line.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        raise ProtocolError("a request is one JSON object on a line: nested too deeply") from None
    except ValueError as error:
        raise ProtocolError(f"a request is one JSON object on a line: {error}") from None
    if not isinstance(message, dict):
        raise ProtocolError(f"a request is one JSON object on a line, not {_echo(message)}")
    return message


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    message = dict(pairs)
    if len(message) != len(pairs):
        raise ValueError("a field is given twice")
    return message


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is not a JSON number")


def _echo(value: object) -> str:
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    text = json.dumps(value)
    return text if len(text) <= _ECHO_CHARS else f"{text[:_ECHO_CHARS]}..."


def refusal(reason: str, error: str) -> dict[str, Any]:
    """Return the reply that says no; `reason` is a stable label, `error` a sentence."""
    return {"ok": False, "error": error, "reason": reason}


def encode(message: Mapping[str, object]) -> bytes:
    """Return the line that carries a message, line feed included; ASCII only, whatever the names are."""
    return json.dumps(message, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def progress(label: str, text: str, after_s: float) -> dict[str, Any]:
    """Return what tells of a step on the way to a reply, `after_s` after the request."""
    return {"progress": label, "text": text, "after_s": round(after_s, 3)}


def parse_progress(line: bytes) -> dict[str, Any] | None:
    """Return what a line tells of a step on the way; None for what is to be read as the reply."""
    try:
        message = json.loads(line.decode())
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) and "progress" in message and "ok" not in message else None


def parse_reply(line: bytes) -> dict[str, Any]:
    """Read one reply line. Raises ProtocolError where it is no reply of a daemon."""
    try:
        reply = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"the reply is not JSON: {error}") from None
    if not isinstance(reply, dict) or not isinstance(reply.get("ok"), bool):
        raise ProtocolError('the reply has no "ok"')
    return reply


class Framer:
    """Cuts a stream of bytes into lines, whatever the pieces it arrives in.

    A line longer than `limit` bytes sets `overflowed`; what comes from then on is dropped.
    """

    def __init__(self, limit: int = MAX_REQUEST_BYTES) -> None:
        self._limit = limit
        self._rest = bytearray()
        self.overflowed = False

    @property
    def started(self) -> bool:
        """Whether part of a line has arrived."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next piece and return the lines that it completes, without their line feeds."""
        lines: list[bytes] = []
        start = 0
        while not self.overflowed and (end := data.find(b"\n", start)) >= 0:
            self._keep(data[start:end])
            if not self.overflowed:
                lines.append(bytes(self._rest))
                self._rest.clear()
            start = end + 1
        if not self.overflowed:
            self._keep(data[start:])
        return lines

    def finish(self) -> bytes | None:
        """Return the line that the end of the stream completes, or None."""
        line = bytes(self._rest) or None
        self._rest.clear()
        return line

    def _keep(self, piece: bytes) -> None:
        if len(self._rest) + len(piece) > self._limit:
            self.overflowed = True
            self._rest.clear()
        else:
            self._rest += piece
