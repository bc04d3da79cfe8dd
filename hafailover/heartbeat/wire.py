"""One datagram as bytes: encode and decode, total, strict and canonical. PURE.

Layout, byte by byte, in docs/heartbeat-protocol.md. In short, all numbers big-endian:

    header 56 | peer records 33 each | group records 30 each | HMAC-SHA256 32        at most 1400 bytes

Every byte string either decodes to a message or raises WireError with one of the reasons in `Reject`; no
other exception is possible. Strict: there is one encoding of each message and no other is accepted, so
`decode(encode(m)) == m` and `encode(decode(b)) == b` hold (under one key).

Order of the checks: size and constant prefix (cheap), HMAC, and only then the rest is looked at, so that
nothing but the prefix comparison and the hash is exposed to those who do not have the key.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from struct import Struct
from typing import TYPE_CHECKING, Final

from hafailover.election.values import Advert, GroupAdvert, Leaving, State, Wish
from hafailover.errors import WireError
from hafailover.heartbeat.auth import TAG_BYTES, Keyring
from hafailover.heartbeat.names import Directory, cluster_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hafailover.election.values import NodeName

MAGIC: Final = b"HAF"
VERSION: Final = 1
MAX_DATAGRAM: Final = 1400  # fits an Ethernet MTU of 1500 with IPv6 and room for a tunnel
MAX_PRIORITY: Final = 1023
MAX_PAUSED_MIN: Final = 2**16 - 1  # means "until told otherwise"
MAX_TERM: Final = 2**62  # far beyond any number of claims, and room to count on within 64 bits
MAX_HELD_US: Final = 2**32 - 1  # means "that long or longer"
MAX_DEAD_MS: Final = 300_000  # what a configuration may ask for at most
BOOT_BYTES: Final = 8
NO_BOOT: Final = bytes(BOOT_BYTES)

_PREFIX: Final = Struct(">3sBB3x8s")  # magic, version, path, (flags and counts), cluster
_HEADER: Final = Struct(">3sBBBBB8s8sQQ8sII")
_PEER: Final = Struct(">IB8sQQI")
_GROUP: Final = Struct(">IBBhQIIIH")
MIN_DATAGRAM: Final = _HEADER.size + TAG_BYTES
MAX_PEERS: Final = 32  # leaves room for eight groups in the same datagram

# The numbers of the states are part of the protocol: never reorder, only append.
_STATES: Final = (State.INIT, State.BACKUP, State.CLAIMING, State.MASTER, State.RELEASING, State.FAULT)
_STATE_NUMBERS: Final = {state: number for number, state in enumerate(_STATES)}
_LEAVING: Final = {leaving.value: leaving for leaving in Leaving}
_LEAVING_MASK, _DRAINED = 0b011, 0b100
_HEARS, _CONFIRMED = 0b01, 0b10
_ELIGIBLE, _WISHES, _MOVING = 0b001, 0b010, 0b100


class PathId(IntEnum):
    """Which path a datagram is made for: each has its own sequence, so none may be replayed on another."""

    UDP = 1
    MQTT = 2


class Reject(StrEnum):
    """Why a datagram was not taken: the reasons of WireError in this room, and labels of a metric."""

    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    BAD_MAGIC = "bad_magic"
    BAD_VERSION = "bad_version"
    WRONG_PATH = "wrong_path"
    WRONG_CLUSTER = "wrong_cluster"
    BAD_MAC = "bad_mac"
    MALFORMED = "malformed"
    UNKNOWN_NODE = "unknown_node"  # authentic, from a node that this configuration does not list
    OWN_ECHO = "own_echo"  # what this daemon itself has sent
    OWN_NAME = "own_name"  # another daemon that runs under this node's name
    REPLAYED = "replayed"  # a sequence number that is not above the highest seen
    RETIRED_BOOT = "retired_boot"  # a daemon whose successor has been confirmed
    LATE = "late"  # held back on the way for too long, or perhaps so
    RETAINED = "retained"  # a heartbeat that a broker keeps: nobody knows how old it is


@dataclass(frozen=True, slots=True)
class PeerRecord:
    """What the sender knows of one peer: the boot that it last heard of it, and the echo that gives the RTT.

    `sequence` is the highest seen of that boot; `echo_us` the sent-at of that datagram on the peer's clock,
    `held_us` (0..2**32-1, saturating) how long ago it came. Where nothing was heard, `boot` is 8 zero bytes,
    the numbers are 0 and `confirmed` is False. `confirmed`: the sender holds this boot for the living one.
    """

    peer: NodeName
    boot: bytes = NO_BOOT
    sequence: int = 0
    echo_us: int = 0
    held_us: int = 0
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One datagram: the advert (with all, or a part, of the groups) and what the session needs.

    `advert.hears` is a subset of the peers, in the order of `peers`. `boot` is 8 bytes and not all zero,
    `sequence` 1..2**64-1, `sent_at_us` 0..2**64-1 on the sender's monotonic clock.
    """

    boot: bytes
    sequence: int
    sent_at_us: int
    peers: tuple[PeerRecord, ...]
    advert: Advert


def split(groups: Sequence[GroupAdvert], peers: int) -> list[tuple[GroupAdvert, ...]]:
    """Cut the groups into the fewest parts of which each fits a datagram with that many peer records."""
    room = (MAX_DATAGRAM - MIN_DATAGRAM - peers * _PEER.size) // _GROUP.size
    parts = max(1, -(-len(groups) // room))
    return [tuple(groups[part * room : (part + 1) * room]) for part in range(parts)]


class Codec:
    """Bytes to messages and back, for one cluster, path, configuration and set of keys."""

    __slots__ = ("_cluster", "_directory", "_keyring", "_path", "_prefix")

    def __init__(self, cluster: str, path: PathId, directory: Directory, keyring: Keyring) -> None:
        self._cluster = cluster_id(cluster)
        self._path = path
        self._directory = directory
        self._keyring = keyring
        self._prefix = (MAGIC, VERSION, int(path), self._cluster)

    def encode(self, message: Message) -> bytes:
        """Return the datagram; ValueError where the message is no valid one."""
        groups = map(self._group, message.advert.groups)
        body = b"".join((self._header(message), *self._peers(message), *groups))
        if len(body) + TAG_BYTES > MAX_DATAGRAM:
            raise ValueError(f"{len(body) + TAG_BYTES} bytes do not fit a datagram: split the groups")
        return body + self._keyring.sign(body)

    def decode(self, data: bytes) -> Message:
        """Return the message; WireError with a reason of `Reject` for everything else."""
        self._check_outside(data)
        body = data[:-TAG_BYTES]
        if not self._keyring.verify(body, data[-TAG_BYTES:]):
            raise WireError(Reject.BAD_MAC)
        return _Reader(self._directory, body).message()

    def _check_outside(self, data: bytes) -> None:
        if len(data) < MIN_DATAGRAM:
            raise WireError(Reject.TOO_SHORT)
        if len(data) > MAX_DATAGRAM:
            raise WireError(Reject.TOO_LONG)
        prefix = _PREFIX.unpack_from(data)
        if prefix != self._prefix:
            order = (Reject.BAD_MAGIC, Reject.BAD_VERSION, Reject.WRONG_PATH, Reject.WRONG_CLUSTER)
            pairs = zip(prefix, self._prefix, order, strict=True)
            raise WireError(next(reason for found, wanted, reason in pairs if found != wanted))

    def _header(self, message: Message) -> bytes:
        advert = message.advert
        if len(message.boot) != BOOT_BYTES or message.boot == NO_BOOT or message.sequence < 1:
            raise ValueError("a boot id has 8 bytes, not all zero, and sequences begin at 1")
        if len(advert.config_digest) != len(NO_BOOT):
            raise ValueError("a configuration's digest has 8 bytes")
        if not 0 < advert.dead_interval_ms <= MAX_DEAD_MS:
            raise ValueError(f"a dead interval of {advert.dead_interval_ms} ms is out of range")
        return _HEADER.pack(
            MAGIC,
            VERSION,
            self._path,
            advert.leaving.value | (_DRAINED if advert.drained else 0),
            len(message.peers),
            len(advert.groups),
            self._cluster,
            message.boot,
            message.sequence,
            message.sent_at_us,
            advert.config_digest,
            advert.dead_interval_ms,
            self._directory.node_id(advert.node),
        )

    def _peers(self, message: Message) -> Iterator[bytes]:
        hears = message.advert.hears
        if tuple(record.peer for record in message.peers if record.peer in hears) != hears:
            raise ValueError("whom a node hears is a part of its peers, in their order")
        for record in message.peers:
            flags = (_HEARS if record.peer in hears else 0) | (_CONFIRMED if record.confirmed else 0)
            number = self._directory.node_id(record.peer)
            yield _PEER.pack(number, flags, record.boot, record.sequence, record.echo_us, record.held_us)

    def _group(self, group: GroupAdvert) -> bytes:
        if not 0 <= group.paused_min <= MAX_PAUSED_MIN:
            raise ValueError(f"pause of {group.paused_min} minutes of group {group.group!r} is out of range")
        if abs(group.priority) > MAX_PRIORITY:
            raise ValueError(f"priority {group.priority} of group {group.group!r} is out of range")
        wish = group.wish
        return _GROUP.pack(
            self._directory.group_id(group.group),
            _STATE_NUMBERS[group.state],
            (_ELIGIBLE if group.eligible else 0) | (_WISHES if wish else 0) | (_MOVING if group.moving else 0),
            group.priority,
            group.term,
            self._optional(group.successor),
            wish.serial if wish else 0,
            self._optional(wish.target) if wish else 0,
            group.paused_min,
        )

    def _optional(self, name: NodeName | None) -> int:
        return 0 if name is None else self._directory.node_id(name)


class _Reader:
    """Parses a body whose tag was right: what is wrong with it now is a node's mistake, not a forgery."""

    __slots__ = ("_body", "_directory")

    def __init__(self, directory: Directory, body: bytes) -> None:
        self._directory = directory
        self._body = body

    def message(self) -> Message:
        head = _HEADER.unpack_from(self._body)
        flags, peers, groups, _, boot, sequence, sent_at_us, digest, dead_ms, sender = head[3:]
        groups_at = _HEADER.size + peers * _PEER.size
        _require(len(self._body) == groups_at + groups * _GROUP.size, "length")
        _require(peers <= MAX_PEERS, "number of peers")
        _require(boot != NO_BOOT and sequence > 0, "boot id or sequence")
        _require(0 < dead_ms <= MAX_DEAD_MS, "dead interval")
        leaving = _LEAVING.get(flags & _LEAVING_MASK)
        if leaving is None or flags > (_LEAVING_MASK | _DRAINED):
            raise WireError(Reject.MALFORMED, "flags")
        if not self._directory.knows_node(sender):
            raise WireError(Reject.UNKNOWN_NODE, self._directory.node(sender))
        records, hears = self._peers(self._body[_HEADER.size : groups_at])
        advert = Advert(
            node=self._directory.node(sender),
            config_digest=digest,
            dead_interval_ms=dead_ms,
            leaving=leaving,
            drained=bool(flags & _DRAINED),
            hears=hears,
            groups=self._groups(self._body[groups_at:]),
        )
        return Message(boot, sequence, sent_at_us, records, advert)

    def _peers(self, part: bytes) -> tuple[tuple[PeerRecord, ...], tuple[NodeName, ...]]:
        records: list[PeerRecord] = []
        hears: list[NodeName] = []
        for number, flags, boot, sequence, echo_us, held_us in _PEER.iter_unpack(part):
            _require(number > 0 and flags <= (_HEARS | _CONFIRMED), "peer")
            if boot == NO_BOOT:
                _require(not (sequence or echo_us or held_us or flags & _CONFIRMED), "peer without boot id")
            else:
                _require(sequence > 0, "peer without sequence")
            name = self._directory.node(number)
            records.append(PeerRecord(name, boot, sequence, echo_us, held_us, bool(flags & _CONFIRMED)))
            if flags & _HEARS:
                hears.append(name)
        _require(len({record.peer for record in records}) == len(records), "peer twice")
        return tuple(records), tuple(hears)

    def _groups(self, part: bytes) -> tuple[GroupAdvert, ...]:
        groups = tuple(map(self._group, _GROUP.iter_unpack(part)))
        _require(len({group.group for group in groups}) == len(groups), "group twice")
        return groups

    def _group(self, fields: tuple[int, int, int, int, int, int, int, int, int]) -> GroupAdvert:
        number, state, flags, priority, term, successor, serial, target, paused_min = fields
        _require(number > 0 and state < len(_STATES) and flags <= (_ELIGIBLE | _WISHES | _MOVING), "group")
        _require(-MAX_PRIORITY <= priority <= MAX_PRIORITY, "priority")
        _require(term <= MAX_TERM, "term")
        if not flags & _WISHES:
            _require(not (serial or target), "wish")
        return GroupAdvert(
            group=self._directory.group(number),
            state=_STATES[state],
            term=term,
            priority=priority,
            eligible=bool(flags & _ELIGIBLE),
            successor=self._optional(successor),
            wish=Wish(serial, self._optional(target)) if flags & _WISHES else None,
            moving=bool(flags & _MOVING),
            paused_min=paused_min,
        )

    def _optional(self, number: int) -> NodeName | None:
        return self._directory.node(number) if number else None


def _require(condition: bool, what: str) -> None:  # noqa: FBT001 - reads like an assertion
    if not condition:
        raise WireError(Reject.MALFORMED, what)
