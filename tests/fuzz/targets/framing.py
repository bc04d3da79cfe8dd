"""control.protocol.Framer: a stream of bytes to lines."""

from __future__ import annotations

from hafailover.control.protocol import Framer
from tests.fuzz.source import Source

LIMITS = (16, 1, 0, 64, 1024)
SEEDS = (
    b'\x00\x03\x01\x05\x02{"command":"status"}\n{"command":"drain"}\n',
    b"\x00\x01\x01\x01\x01\n\n\nab\nno end",
    b"\x00\x00\x00\x00\x00" + b"x" * 16 + b"\n" + b"y" * 17 + b"\nlost\n",
    b"\x01\x02\x03\x04\x05ab\n",
)


def one(data: bytes) -> None:
    """A stream gives the same lines, the same end and the same overflow whatever the pieces it arrives in.

    No line is longer than the limit or holds a line feed, and lines and end put together are the stream.
    """
    source = Source(data)
    limit = source.pick(LIMITS)
    sizes = [source.byte() % 9 for _ in range(4)]
    stream = source.rest()
    whole = _lines(limit, [stream])
    assert whole == _lines(limit, [stream[at : at + 1] for at in range(len(stream))])
    assert whole == _lines(limit, _pieces(stream, sizes))
    lines, end, overflowed = whole
    assert all(len(line) <= limit and b"\n" not in line for line in lines)
    if overflowed:
        assert end is None
        assert stream.startswith(b"".join(line + b"\n" for line in lines))
        assert max(map(len, stream.split(b"\n"))) > limit
    else:
        assert b"".join(line + b"\n" for line in lines) + (end or b"") == stream


def _pieces(stream: bytes, sizes: list[int]) -> list[bytes]:
    pieces: list[bytes] = []
    at = 0
    while at < len(stream):
        size = sizes[len(pieces) % len(sizes)] if any(sizes) else 7
        pieces.append(stream[at : at + size])
        at += size
    return pieces


def _lines(limit: int, pieces: list[bytes]) -> tuple[list[bytes], bytes | None, bool]:
    framer = Framer(limit)
    lines: list[bytes] = []
    for piece in pieces:
        lines += framer.feed(piece)
        assert framer.started <= (not framer.overflowed)
    return lines, framer.finish(), framer.overflowed
