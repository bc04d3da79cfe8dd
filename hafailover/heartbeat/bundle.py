"""What one publication carries: the datagrams of one advert, one behind the other. PURE.

    magic 4 ("HAB" and the version, 1) | for each datagram: its length 2, big-endian | the datagram

The datagrams are those of the path and signed each by itself, so the bundle needs no tag: to leave one out or to
put two bundles together is no more than what a network may do to datagrams.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hafailover.errors import WireError
from hafailover.heartbeat.wire import MAX_DATAGRAM, MIN_DATAGRAM, Reject

if TYPE_CHECKING:
    from collections.abc import Sequence

MAGIC: Final = b"HAB\x01"
MAX_PARTS: Final = 64  # 500 groups between 33 nodes take 51
MAX_BUNDLE: Final = len(MAGIC) + MAX_PARTS * (2 + MAX_DATAGRAM)


def pack(datagrams: Sequence[bytes]) -> bytes:
    """Return the bundle of 1 to 64 datagrams; ValueError for others."""
    if not 1 <= len(datagrams) <= MAX_PARTS:
        raise ValueError(f"{len(datagrams)} datagrams in one bundle, 1 to {MAX_PARTS} allowed")
    return MAGIC + b"".join(len(datagram).to_bytes(2, "big") + datagram for datagram in datagrams)


def unpack(payload: bytes) -> tuple[bytes, ...]:
    """Return the datagrams of a bundle, none of which is checked yet; WireError with a reason of `Reject`."""
    if len(payload) > MAX_BUNDLE:
        raise WireError(Reject.TOO_LONG)
    if payload[: len(MAGIC)] != MAGIC:
        known = payload[:3] == MAGIC[:3]
        raise WireError(Reject.BAD_VERSION if known else Reject.BAD_MAGIC)
    parts: list[bytes] = []
    place = len(MAGIC)
    while place < len(payload):
        length = int.from_bytes(payload[place : place + 2], "big")
        part = payload[place + 2 : place + 2 + length]
        if len(part) != length or not MIN_DATAGRAM <= length <= MAX_DATAGRAM or len(parts) == MAX_PARTS:
            raise WireError(Reject.MALFORMED, "bundle")
        parts.append(part)
        place += 2 + length
    if not parts:
        raise WireError(Reject.TOO_SHORT)
    return tuple(parts)
