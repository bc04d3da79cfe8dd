"""heartbeat.bundle and heartbeat.presence: what a broker brings, from whoever may write there."""

from __future__ import annotations

from hafailover.election.values import NodeName
from hafailover.errors import WireError
from hafailover.heartbeat.auth import Keyring
from hafailover.heartbeat.bundle import MAGIC, pack, unpack
from hafailover.heartbeat.presence import Presence, PresenceState, decode, encode
from hafailover.heartbeat.wire import MAX_DATAGRAM, MIN_DATAGRAM, Reject

KEYS = Keyring((b"key" * 8,))
CLUSTER = "web"
SMALLEST = bytes(MIN_DATAGRAM)
SEEDS = (
    pack([SMALLEST]),
    pack([SMALLEST, bytes(MAX_DATAGRAM), SMALLEST]),
    MAGIC,
    *(encode(Presence(NodeName("web-a"), state, b"bootboot", 1), CLUSTER, KEYS) for state in PresenceState),
    b'{"node": "a", "state": "lost", "boot": "00", "connection": 1, "mac": ""}',
)


def one(data: bytes) -> None:
    """Any bytes are a bundle that packs to the same bytes, or a reason; and a presence that was signed, or one."""
    found = _bundle(data)
    assert found in set(Reject) if isinstance(found, str) else pack(found) == data
    said = _presence(data)
    assert (
        said in set(Reject) if isinstance(said, str) else decode(encode(said, CLUSTER, KEYS), CLUSTER, KEYS) == said
    )


def _bundle(data: bytes) -> tuple[bytes, ...] | str:
    try:
        return unpack(data)
    except WireError as error:
        return error.reason


def _presence(data: bytes) -> Presence | str:
    try:
        return decode(data, CLUSTER, KEYS)
    except WireError as error:
        return error.reason
