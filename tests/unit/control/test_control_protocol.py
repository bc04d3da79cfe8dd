from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hafailover.control import protocol
from hafailover.control.protocol import COMMANDS, MAX_REQUEST_BYTES, Framer, Request, parse_request
from hafailover.errors import ProtocolError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


def line(**message: object) -> bytes:
    return json.dumps(message).encode()


def failover(**fields: object) -> bytes:
    return line(command="failover", group="vip", **fields)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted({min(cut, len(data)) for cut in cuts}), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@given(
    st.lists(st.binary(max_size=12).map(lambda data: data.replace(b"\n", b"")), max_size=8),
    st.binary(max_size=12),
    st.lists(st.integers(0, 100), max_size=10),
)
@example([b"12345678", b"123456789", b"lost"], b"", [3, 8, 9, 17])
def test_any_split_of_a_stream_gives_the_same_lines(lines: list[bytes], rest: bytes, cuts: list[int]) -> None:
    stream = b"".join(text + b"\n" for text in lines) + rest
    whole, split = Framer(limit=8), Framer(limit=8)

    expected = whole.feed(stream)
    got = [text for piece in pieces(stream, cuts) for text in split.feed(piece)]

    assert got == expected
    assert split.overflowed == whole.overflowed
    assert split.finish() == whole.finish()


def test_a_line_may_be_as_long_as_the_limit_and_no_longer() -> None:
    framer = Framer(limit=4)

    assert framer.feed(b"1234\n12345\n1\n") == [b"1234"]
    assert framer.overflowed
    assert framer.feed(b"1\n") == []
    assert framer.finish() is None


def test_the_end_of_the_stream_completes_a_line_once() -> None:
    framer = Framer()

    assert framer.feed(b"a\nb") == [b"a"]
    assert framer.started
    assert framer.finish() == b"b"
    assert framer.finish() is None


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        (line(command="status"), Request("status", changes=False)),
        (b'{"command":"status"}\r\n', Request("status", changes=False)),
        (
            line(command="failover", group="vip", to="web-b", wait=True, timeout_s=2.5),
            Request("failover", changes=True, group="vip", to="web-b", wait=True, timeout_ms=2500),
        ),
        (line(command="failover", group="vip", to=None), Request("failover", changes=True, group="vip")),
        (line(command="failover", group="x" * 64), Request("failover", changes=True, group="x" * 64)),
        (failover(timeout_s=0.1), Request("failover", changes=True, group="vip", timeout_ms=100)),
        (failover(timeout_s=3600), Request("failover", changes=True, group="vip", timeout_ms=3_600_000)),
        (line(command="drain"), Request("drain", changes=True)),
        (line(command="undrain"), Request("undrain", changes=True)),
        (
            line(command="pause", group="vip", for_s=1800),
            Request("pause", changes=True, group="vip", for_ms=1_800_000),
        ),
        (line(command="pause", group=None, for_s=None), Request("pause", changes=True)),
        (line(command="resume"), Request("resume", changes=True)),
        (line(command="reload"), Request("reload", changes=True)),
        (line(command="history", limit=1000), Request("history", changes=False, limit=1000)),
        (line(command="history", group="vip", limit=1), Request("history", changes=False, group="vip", limit=1)),
    ],
)
def test_a_valid_request_is_read(request_line: bytes, expected: Request) -> None:
    assert parse_request(request_line) == expected


@pytest.mark.parametrize(
    ("request_line", "message"),
    [
        (b"", "a request is one JSON object on a line"),
        (b"\xff{}", "a request is one JSON object on a line"),
        (b"[" * 30_000, "nested too deeply"),
        (b"[1]", "not a list"),
        (b"7", "not 7"),
        (b'{"command":"status","command":"drain"}', "a field is given twice"),
        (b'{"command":"drain","timeout_s":NaN}', "NaN is not a JSON number"),
        (b"{}", "command: null given, allowed are status, history, failover"),
        (line(command=["status"]), "command: a list given"),
        (line(command="statu"), 'command: "statu" given'),
        (line(command="status", group="vip"), 'status: unknown field "group", allowed: no fields'),
        (line(command="failover", group="vip", node="b"), 'unknown field "node", allowed: group, to, wait'),
        (line(command="failover"), "failover: group is missing: a name of 1 to 64"),
        (line(command="failover", group=None), "failover: group: null given"),
        (line(command="failover", group=""), 'group: "" given'),
        (line(command="failover", group="x" * 65), "group: "),
        (line(command="failover", group="a\x1b[31m"), "printable characters"),
        (line(command="failover", group="vip", to={}), "failover: to: an object given"),
        (line(command="failover", group="vip", wait=1), "wait: 1 given, allowed is true or false"),
        (failover(timeout_s=True), "timeout_s: true given"),
        (failover(timeout_s="3"), 'timeout_s: "3" given, allowed is a number of seconds, 0.1'),
        (failover(timeout_s=0.0999), "timeout_s: 0.0999 given"),
        (failover(timeout_s=3600.1), "timeout_s: 3600.1 given"),
        (b'{"command":"failover","group":"vip","timeout_s":1e999}', "timeout_s: Infinity given"),
        (b'{"command":"failover","group":"vip","timeout_s":' + b"9" * 4000 + b"}", "timeout_s: 999"),
        (line(command="pause", for_s=0), "pause: for_s: 0 given, allowed is a number of seconds, 1 to 2592000"),
        (line(command="history", limit=0), "limit: 0 given"),
        (line(command="history", limit=1001), "limit: 1001 given"),
        (line(command="history", limit=1.0), "limit: 1.0 given"),
        (line(command="history", limit=True), "limit: true given, allowed is a whole number, 1 to 1000"),
        (b" " * (MAX_REQUEST_BYTES + 2), "at most 65536 bytes"),
    ],
)
def test_a_wrong_request_is_refused_with_the_field_and_what_is_allowed(request_line: bytes, message: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_request(request_line)

    assert message in str(caught.value)
    assert len(str(caught.value)) < 300


def outcome(data: bytes) -> Request | str:
    try:
        return parse_request(data)
    except ProtocolError as error:
        return str(error)


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_request_or_an_error_that_fits_a_line(data: bytes) -> None:
    result = outcome(data)

    if isinstance(result, str):
        reply = protocol.encode(protocol.refusal(protocol.BAD_REQUEST, result))
        assert protocol.parse_reply(reply) == {"ok": False, "error": result, "reason": "bad_request"}
        assert len(reply) < 600
    else:
        assert result.command in COMMANDS


@given(
    st.sampled_from(sorted(COMMANDS)),
    st.dictionaries(st.sampled_from(("group", "to", "wait", "timeout_s", "for_s", "limit")), JSON, max_size=4),
)
def test_any_fields_are_a_request_or_an_error_that_names_the_command(command: str, fields: dict[str, Any]) -> None:
    result = outcome(json.dumps({"command": command, **fields}).encode())

    if isinstance(result, str):
        assert result.startswith(f"{command}: ")
    else:
        assert result.changes == (command not in ("status", "history"))


def test_a_message_is_one_ascii_line_and_reads_back() -> None:
    data = protocol.encode({"ok": True, "node": "web-\u00e4\n\u2028"})

    assert data.isascii()
    assert data.index(b"\n") == len(data) - 1
    assert protocol.parse_reply(data) == {"ok": True, "node": "web-\u00e4\n\u2028"}


def test_what_is_not_json_is_not_sent() -> None:
    with pytest.raises(ValueError, match="JSON"):
        protocol.encode({"rtt_s": float("nan")})


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 400", b"[]", b"{}", b'{"ok":1}', b"\xff", b"[" * 99_999])
def test_a_reply_that_is_none_is_told_from_one(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="the reply"):
        protocol.parse_reply(data)
