"""heartbeat.auth: a datagram that was changed on its way."""

from __future__ import annotations

from hafailover.errors import WireError
from tests.fuzz.source import Source
from tests.fuzz.targets.wire import CODEC, RING, message

MOST_FLIPS = 64
BODY = CODEC.encode(message())
SEEDS = (bytes(range(0, 128, 2)), b"\xff" * 32, b"")


def one(data: bytes) -> None:
    """No change of one bit, no cut and no extension of a signed datagram is ever decoded."""
    source = Source(data)
    flips = {source.below(len(BODY) * 8) for _ in range(MOST_FLIPS)}
    changed = [flipped(BODY, bit) for bit in flips]
    changed += [BODY[: source.below(len(BODY))], BODY + source.take(8) + b"\0"]
    changed.append(BODY[:-32] + RING.sign(BODY[:-33] + bytes([BODY[-33] ^ (source.byte() or 1)])))
    for each in changed:
        refuse(each)


def flipped(data: bytes, bit: int) -> bytes:
    """Return the bytes with one bit changed."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def refuse(data: bytes) -> None:
    """Raise AssertionError where these bytes are decoded."""
    try:
        CODEC.decode(data)
    except WireError:
        return
    raise AssertionError(f"a changed datagram was taken: {data.hex()}")
