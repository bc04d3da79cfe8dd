"""What a broker says of a node while it is connected, and after: retained, signed by the node itself. PURE.

A small JSON object, so that a person can read it. The broker publishes the node's will, which is made and signed
when the node connects, so a will proves which connection of which daemon it was the end of, and not that it ended.

    {"node": "web-a", "state": "online", "boot": "0011223344556677", "connection": 3, "mac": "..."}

`mac` is HMAC-SHA256 under the cluster's key over the cluster's name and the other values, in hex.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from hafailover.errors import WireError
from hafailover.heartbeat.wire import BOOT_BYTES, Reject

if TYPE_CHECKING:
    from hafailover.election.values import NodeName
    from hafailover.heartbeat.auth import Keyring

MAX_PRESENCE: Final = 512  # bytes
MAX_CONNECTIONS: Final = 2**53 - 1  # what every reader of JSON takes for an integer
_KEYS: Final = ("node", "state", "boot", "connection", "mac")


class PresenceState(Enum):
    """What became of a connection."""

    ONLINE = "online"  # said by the node when it has connected
    LEFT = "left"  # said by the node before it disconnects
    LOST = "lost"  # said by the broker: the node's will


@dataclass(frozen=True, slots=True)
class Presence:
    """One connection of one daemon: `connection` counts those of this boot, from 1."""

    node: NodeName
    state: PresenceState
    boot: bytes
    connection: int


def encode(presence: Presence, cluster: str, keyring: Keyring) -> bytes:
    """Return the message to publish, or to leave as the will."""
    tag = keyring.sign(_signed(presence, cluster)).hex()
    values = (presence.node, presence.state.value, presence.boot.hex(), presence.connection, tag)
    return json.dumps(dict(zip(_KEYS, values, strict=True))).encode()


def decode(payload: bytes, cluster: str, keyring: Keyring) -> Presence:
    """Return what the message says; WireError with a reason of `Reject` for everything else."""
    if len(payload) > MAX_PRESENCE:
        raise WireError(Reject.TOO_LONG)
    try:
        presence, tag = _read(json.loads(payload))
    except (ValueError, TypeError, KeyError, RecursionError):
        raise WireError(Reject.MALFORMED, "presence") from None
    if not keyring.verify(_signed(presence, cluster), tag):
        raise WireError(Reject.BAD_MAC)
    return presence


def _read(raw: Any) -> tuple[Presence, bytes]:  # noqa: ANN401 - whatever JSON gives
    """Return the values; any of ValueError, TypeError and KeyError where they are not as they should be."""
    node, state, boot, connection, tag = (raw[key] for key in _KEYS)
    if len(raw) != len(_KEYS) or type(node) is not str or type(connection) is not int:
        raise TypeError(_KEYS)
    identity = bytes.fromhex(boot)
    if len(identity) != BOOT_BYTES or not 1 <= connection <= MAX_CONNECTIONS:
        raise ValueError(boot, connection)
    return Presence(node, PresenceState(state), identity, connection), bytes.fromhex(tag)  # type: ignore[arg-type] # a NodeName is a str


def _signed(presence: Presence, cluster: str) -> bytes:
    values = (
        "hafailover presence 1",
        cluster,
        presence.node,
        presence.state.value,
        presence.boot.hex(),
        presence.connection,
    )
    return json.dumps(values).encode()
