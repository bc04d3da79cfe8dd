"""heartbeat.wire and heartbeat.auth: bytes to messages."""

from __future__ import annotations

from hafailover.election.values import Advert, GroupAdvert, GroupName, Leaving, NodeName, State, Wish
from hafailover.errors import WireError
from hafailover.heartbeat.auth import TAG_BYTES, Keyring
from hafailover.heartbeat.names import Directory
from hafailover.heartbeat.wire import Codec, Message, PathId, PeerRecord, Reject
from tests.fuzz.source import Source

NODES = tuple(NodeName(f"web-{letter}") for letter in "abc")
GROUPS = tuple(GroupName(name) for name in ("vip", "db", "mail"))
RING = Keyring([b"new" * 8, b"old" * 8])
CODEC = Codec("web", PathId.UDP, Directory(NODES, GROUPS), RING)
DECODING = {
    Reject.TOO_SHORT,
    Reject.TOO_LONG,
    Reject.BAD_MAGIC,
    Reject.BAD_VERSION,
    Reject.WRONG_PATH,
    Reject.WRONG_CLUSTER,
    Reject.BAD_MAC,
    Reject.MALFORMED,
    Reject.UNKNOWN_NODE,
}


def advert(groups: int = 3) -> Advert:
    """Return what a node could say of itself."""
    said = (
        GroupAdvert(GROUPS[0], State.MASTER, 7, 100, eligible=True),
        GroupAdvert(GROUPS[1], State.RELEASING, 2, -3, eligible=False, successor=NODES[1]),
        GroupAdvert(GROUPS[2], State.FAULT, 0, 90, eligible=False, wish=Wish(3, NODES[2])),
    )
    return Advert(NODES[0], b"digestxx", 1_000, Leaving.NO, drained=False, hears=(NODES[1],), groups=said[:groups])


def message(groups: int = 3) -> Message:
    """Return a message with one of each kind of record."""
    peers = (PeerRecord(NODES[1], b"bootboot", 41, 5_000_000, 120, confirmed=True), PeerRecord(NODES[2]))
    return Message(b"own-boot", 42, 6_000_000, peers, advert(groups))


SHAPES = tuple(CODEC.encode(message(groups)) for groups in range(4))
SEEDS = (*SHAPES, b"", b"\x01", b"\x03" + bytes(60), b"\x02" + bytes(5) + b"\x01" + bytes(30))


def one(data: bytes) -> None:
    """Any bytes, alone or laid over a good message that is then signed, either decode or are a WireError.

    What decodes encodes to the same bytes again; the reason of an error is one of the decoder's.
    """
    _decode(data)
    source = Source(data)
    good = SHAPES[source.below(len(SHAPES))][:-TAG_BYTES]
    overlay = source.take(len(good))
    body = bytes(a ^ b for a, b in zip(good, overlay.ljust(len(good), b"\0"), strict=True)) + source.rest()
    _decode(body + RING.sign(body))


def _decode(data: bytes) -> None:
    try:
        found = CODEC.decode(data)
    except WireError as error:
        if error.reason not in DECODING or len(str(error)) > 200:
            raise AssertionError(f"not a reason of the decoder: {error!r}") from error
        return
    if data[-TAG_BYTES:] == RING.sign(data[:-TAG_BYTES]):
        assert CODEC.encode(found) == data
    assert CODEC.decode(CODEC.encode(found)) == found
