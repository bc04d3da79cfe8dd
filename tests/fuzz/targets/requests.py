"""control.protocol.parse_request and parse_reply: a line to a request or reply."""

from __future__ import annotations

import json
from typing import Any

from hafailover.control.protocol import (
    BAD_REQUEST,
    COMMANDS,
    MAX_REQUEST_BYTES,
    Framer,
    Request,
    encode,
    parse_reply,
    parse_request,
    refusal,
)
from hafailover.errors import ProtocolError
from tests.fuzz.source import Source, damaged

LONGEST_ERROR = 1024
EXAMPLES: tuple[dict[str, Any], ...] = (
    {"command": "status"},
    {"command": "history", "group": "vip", "limit": 5},
    {"command": "failover", "group": "vip", "to": "web-b", "wait": True, "timeout_s": 0.5},
    {"command": "pause", "group": None, "for_s": 1800},
    {"command": "resume", "group": "vip"},
    {"ok": True, "node": "web-a", "groups": [{"name": "vip", "state": "MASTER"}]},
    {"ok": False, "error": "no", "reason": "failed"},
)
RAW = 255
SEEDS = (
    *(bytes([kind, 1, 0, 3, 9, 5, 3]) for kind in range(len(EXAMPLES))),
    *(bytes([RAW]) + json.dumps(example).encode() for example in EXAMPLES),
    bytes([RAW]) + b'{"command":"drain","command":"drain"}',
    bytes([RAW]) + b'{"command":"history","limit":1e400}',
    bytes([RAW]) + b"[" * 2000,
)


def one(data: bytes) -> None:
    """Any line is a request that another line says again, or a ProtocolError whose text is short and printable.

    Two lines glued together and framed give the same two answers as each alone.
    """
    source = Source(data)
    kind = source.byte()
    line = source.rest() if kind == RAW else _line(EXAMPLES[kind % len(EXAMPLES)], source)
    first = _answer(line)
    _reply(line)
    if b"\n" not in line and 0 < len(line) <= MAX_REQUEST_BYTES:
        lines = Framer().feed(line + b"\n" + line + b"\n")
        assert [_meaning(_answer(each)) for each in lines] == [_meaning(first)] * 2


def _line(example: dict[str, Any], source: Source) -> bytes:
    return json.dumps(damaged(example, source)).encode()


def _meaning(answer: Request | str) -> Request | None:
    """Return the request; how deep a nesting is too deep, which a text may say, depends on the caller's stack."""
    return answer if isinstance(answer, Request) else None


def _answer(line: bytes) -> Request | str:
    try:
        request = parse_request(line)
    except ProtocolError as error:
        text = str(error)
        assert text.isprintable(), text
        assert len(text) <= LONGEST_ERROR, len(text)
        assert parse_reply(encode(refusal(BAD_REQUEST, text)))["error"] == text
        return text
    assert parse_request(_said(request)) == request
    return request


def _said(request: Request) -> bytes:
    """Return the line that says a request, every field of its command written out."""
    message: dict[str, object] = {"command": request.command}
    for key, field in COMMANDS[request.command].fields.items():
        value = getattr(request, field.attribute)
        seconds = field.attribute.endswith("_ms") and value is not None
        message[key] = value / 1000 if seconds else value
    return encode(message)


def _reply(line: bytes) -> None:
    try:
        reply = parse_reply(line)
    except ProtocolError:
        return
    assert isinstance(reply["ok"], bool)
