from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hafailover.election.values import Advert, GroupAdvert, GroupName, Leaving, NodeName, State, Wish
from hafailover.errors import WireError
from hafailover.heartbeat.auth import TAG_BYTES, Keyring
from hafailover.heartbeat.names import Directory, group_id, node_id
from hafailover.heartbeat.wire import (
    MAX_DATAGRAM,
    MAX_DEAD_MS,
    MAX_HELD_US,
    MAX_PAUSED_MIN,
    MAX_PEERS,
    MAX_PRIORITY,
    MAX_TERM,
    MIN_DATAGRAM,
    NO_BOOT,
    Codec,
    Message,
    PathId,
    PeerRecord,
    Reject,
    split,
)

KEY = b"k" * 32
NODES = [NodeName(f"node-{number}") for number in range(5)]
GROUPS = [GroupName(f"group-{number}") for number in range(50)]
RING = Keyring([KEY])
CODEC = Codec("web", PathId.UDP, Directory(NODES, GROUPS), RING)
BOOT, OTHER_BOOT = b"bootboot", b"otherone"

U64 = st.integers(0, 2**64 - 1)
U32 = st.integers(0, 2**32 - 1)
BOOTS = st.binary(min_size=8, max_size=8).filter(lambda boot: boot != NO_BOOT)
STRANGERS = (
    st.integers(1, 2**32 - 1)
    .map("?{:08x}".format)
    .filter(lambda name: int(name[1:], 16) not in {*map(node_id, NODES), *map(group_id, GROUPS)})
)
ANY_NODE = st.sampled_from(NODES) | STRANGERS.map(NodeName)
ANY_GROUP = st.sampled_from(GROUPS) | STRANGERS.map(GroupName)
WISHES = st.builds(Wish, serial=U32, target=st.none() | ANY_NODE)
GROUP_ADVERTS = st.builds(
    GroupAdvert,
    group=ANY_GROUP,
    state=st.sampled_from(State),
    term=st.integers(0, MAX_TERM),
    priority=st.integers(-MAX_PRIORITY, MAX_PRIORITY),
    eligible=st.booleans(),
    successor=st.none() | ANY_NODE,
    wish=st.none() | WISHES,
    moving=st.booleans(),
    paused_min=st.integers(0, MAX_PAUSED_MIN),
)
RECORDS = st.builds(
    PeerRecord,
    peer=ANY_NODE,
    boot=BOOTS,
    sequence=st.integers(1, 2**64 - 1),
    echo_us=U64,
    held_us=U32,
    confirmed=st.booleans(),
) | st.builds(PeerRecord, peer=ANY_NODE)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    peers = tuple(draw(st.lists(RECORDS, max_size=6, unique_by=lambda record: record.peer)))
    groups = draw(st.lists(GROUP_ADVERTS, max_size=8, unique_by=lambda group: group.group))
    advert = Advert(
        node=draw(st.sampled_from(NODES)),
        config_digest=draw(st.binary(min_size=8, max_size=8)),
        dead_interval_ms=draw(st.integers(1, MAX_DEAD_MS)),
        leaving=draw(st.sampled_from(Leaving)),
        drained=draw(st.booleans()),
        hears=tuple(record.peer for record in peers if draw(st.booleans())),
        groups=tuple(groups),
    )
    return Message(draw(BOOTS), draw(st.integers(1, 2**64 - 1)), draw(U64), peers, advert)


def group_advert(number: int = 0) -> GroupAdvert:
    return GroupAdvert(GROUPS[number], State.MASTER, term=7, priority=-5, eligible=True)


def message() -> Message:
    records = (
        PeerRecord(NODES[1], OTHER_BOOT, sequence=9, echo_us=1_000, held_us=50, confirmed=True),
        PeerRecord(NODES[2]),
    )
    wish = replace(group_advert(1), state=State.RELEASING, successor=NODES[1], wish=Wish(3, NODES[2]))
    wish = replace(wish, paused_min=MAX_PAUSED_MIN)
    advert = Advert(NODES[0], b"digest!!", 1_000, Leaving.RESTARTING, True, (NODES[1],), (group_advert(), wish))
    return Message(BOOT, 42, 123_456, records, advert)


def signed(body: bytes) -> bytes:
    return body + RING.sign(body)


def patched(offset: int, value: bytes) -> bytes:
    """Return the sample datagram with other bytes at an offset, under a right tag."""
    body = CODEC.encode(message())[:-TAG_BYTES]
    return signed(body[:offset] + value + body[offset + len(value) :])


def encodings(data: bytes) -> list[bytes]:
    """Return the encoding of what the bytes say, none where they are refused for a listed reason."""
    try:
        return [CODEC.encode(CODEC.decode(data))]
    except WireError as error:
        return [] if error.reason in set(Reject) else [error.reason.encode()]


def reason(data: bytes, codec: Codec = CODEC) -> str:
    with pytest.raises(WireError) as caught:
        codec.decode(data)
    return caught.value.reason


@settings(max_examples=60)
@given(messages())
def test_what_is_encoded_decodes_to_the_same(sample: Message) -> None:
    data = CODEC.encode(sample)
    assert CODEC.decode(data) == sample
    assert CODEC.encode(CODEC.decode(data)) == data


@given(st.binary(max_size=MAX_DATAGRAM + 20))
def test_any_bytes_raise_wire_error_or_nothing(data: bytes) -> None:
    assert reason(data) in set(Reject)


PREFIX = CODEC.encode(message())[:16]


@given(
    header=st.binary(min_size=3, max_size=3),
    rest=st.binary(min_size=36, max_size=36),
    tail=st.binary(max_size=200),
)
def test_authentic_nonsense_is_refused_or_has_one_encoding(header: bytes, rest: bytes, tail: bytes) -> None:
    data = signed(PREFIX[:5] + header + PREFIX[8:] + rest + tail)
    assert encodings(data) in ([], [data])


@settings(max_examples=60)
@given(sample=messages(), offset=st.integers(0, 2000), value=st.integers(0, 255))
def test_a_changed_byte_under_a_right_tag_is_refused_or_has_one_encoding(
    sample: Message, offset: int, value: int
) -> None:
    body = bytearray(CODEC.encode(sample)[:-TAG_BYTES])
    body[offset % len(body)] = value
    data = signed(bytes(body))
    assert encodings(data) in ([], [data])


def test_every_single_flipped_bit_is_rejected() -> None:
    data = CODEC.encode(message())
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        assert reason(bytes(flipped)) in set(Reject)


def test_every_truncation_and_any_trailing_byte_is_rejected() -> None:
    data = CODEC.encode(message())
    for length in range(len(data)):
        wanted = Reject.TOO_SHORT if length < MIN_DATAGRAM else Reject.BAD_MAC
        assert reason(data[:length]) == wanted
    assert reason(data + b"\0") == Reject.BAD_MAC
    assert reason(signed(data[:-TAG_BYTES] + b"\0")) == Reject.MALFORMED


def test_the_layout_is_the_documented_one() -> None:
    wanted = b"".join(
        (
            b"HAF\x01\x01\x06\x02\x02",
            bytes.fromhex("ba044bbd2a45e767"),
            b"bootboot",
            struct.pack(">QQ", 42, 123_456),
            b"digest!!",
            struct.pack(">II", 1_000, node_id(NODES[0])),
            struct.pack(">IB8sQQI", node_id(NODES[1]), 3, b"otherone", 9, 1_000, 50),
            struct.pack(">IB8sQQI", node_id(NODES[2]), 0, bytes(8), 0, 0, 0),
            struct.pack(">IBBhQIIIH", group_id(GROUPS[0]), 3, 1, -5, 7, 0, 0, 0, 0),
            struct.pack(
                ">IBBhQIIIH", group_id(GROUPS[1]), 4, 3, -5, 7, node_id(NODES[1]), 3, node_id(NODES[2]), 65_535
            ),
        )
    )
    assert CODEC.encode(message()) == signed(wanted)


def test_one_group_between_two_nodes_is_151_bytes() -> None:
    pair = replace(
        message(),
        peers=message().peers[:1],
        advert=replace(message().advert, groups=(group_advert(),)),
    )
    assert len(CODEC.encode(pair)) == 151


@pytest.mark.parametrize(
    ("offset", "value", "wanted"),
    [
        (0, b"X", Reject.BAD_MAGIC),
        (3, b"\x02", Reject.BAD_VERSION),
        (4, b"\x02", Reject.WRONG_PATH),
        (8, b"another!", Reject.WRONG_CLUSTER),
        (5, b"\x03", "malformed: flags"),  # leaving
        (5, b"\x08", "malformed: flags"),  # flag that is not used
        (6, b"\x01", "malformed: length"),  # number of peers
        (7, b"\x03", "malformed: length"),  # number of groups
        (16, bytes(8), "malformed: boot id or sequence"),  # boot id
        (24, bytes(8), "malformed: boot id or sequence"),  # sequence
        (48, bytes(4), "malformed: dead interval"),
        (48, struct.pack(">I", MAX_DEAD_MS + 1), "malformed: dead interval"),
        (52, b"\x00\x00\x00\x07", "unknown_node: ?00000007"),
        (56, bytes(4), "malformed: peer"),  # peer id
        (60, b"\x04", "malformed: peer"),  # peer flags
        (61, bytes(8), "malformed: peer without boot id"),  # peer boot gone, its sequence not
        (69, bytes(8), "malformed: peer without sequence"),  # peer sequence gone, its boot not
        (93, b"\x02", "malformed: peer without boot id"),  # confirmed, but nothing heard
        (102, b"\x00" * 7 + b"\x01", "malformed: peer without boot id"),  # sequence of nothing
        (110, b"\x00" * 7 + b"\x01", "malformed: peer without boot id"),  # echo of nothing
        (118, b"\x00\x00\x00\x01", "malformed: peer without boot id"),  # held nothing
        (89, struct.pack(">I", node_id(NODES[1])), "malformed: peer twice"),  # the same peer twice
        (122, bytes(4), "malformed: group"),  # group id
        (126, b"\x06", "malformed: group"),  # state
        (127, b"\x08", "malformed: group"),  # group flags
        (128, struct.pack(">h", MAX_PRIORITY + 1), "malformed: priority"),
        (128, struct.pack(">h", -MAX_PRIORITY - 1), "malformed: priority"),
        (145, b"\x01", "malformed: wish"),  # serial without a wish
        (149, b"\x01", "malformed: wish"),  # target without a wish
        (152, struct.pack(">I", group_id(GROUPS[0])), "malformed: group twice"),  # the same group twice
    ],
)
def test_each_field_is_held_to_its_range(offset: int, value: bytes, wanted: str) -> None:
    with pytest.raises(WireError) as caught:
        CODEC.decode(patched(offset, value))
    assert str(caught.value) == wanted


def test_the_ends_of_the_ranges_are_taken() -> None:
    for priority in (-MAX_PRIORITY, MAX_PRIORITY):
        data = patched(128, struct.pack(">h", priority))
        assert CODEC.decode(data).advert.groups[0].priority == priority


def test_the_tag_is_looked_at_before_the_fields() -> None:
    broken = bytearray(patched(126, b"\x06"))
    broken[-1] ^= 1
    assert reason(bytes(broken)) == Reject.BAD_MAC


def test_the_size_is_looked_at_before_the_tag() -> None:
    assert reason(bytes(MIN_DATAGRAM - 1)) == Reject.TOO_SHORT
    assert reason(bytes(MIN_DATAGRAM)) == Reject.BAD_MAGIC
    assert reason(bytes(MAX_DATAGRAM)) == Reject.BAD_MAGIC
    assert reason(bytes(MAX_DATAGRAM + 1)) == Reject.TOO_LONG


def test_another_key_cluster_or_path_is_told_apart() -> None:
    directory = Directory(NODES, GROUPS)
    data = CODEC.encode(message())
    assert reason(data, Codec("web", PathId.UDP, directory, Keyring([b"x" * 32]))) == Reject.BAD_MAC
    assert reason(data, Codec("db", PathId.UDP, directory, RING)) == Reject.WRONG_CLUSTER
    assert reason(data, Codec("web", PathId.MQTT, directory, RING)) == Reject.WRONG_PATH


def test_more_peers_than_allowed_are_malformed() -> None:
    count = MAX_PEERS + 1
    peers = b"".join(struct.pack(">IB28s", number, 0, bytes(28)) for number in range(1, count + 1))
    body = CODEC.encode(message())[:-TAG_BYTES][:56]
    with pytest.raises(WireError, match=r"^malformed: number of peers$"):
        CODEC.decode(signed(body[:6] + bytes([count, 0]) + body[8:] + peers))


def test_a_node_whose_configuration_is_older_still_understands() -> None:
    older = Codec("web", PathId.UDP, Directory(NODES[:2], GROUPS[:1]), RING)
    advert = older.decode(CODEC.encode(message())).advert
    unknown = f"?{node_id(NODES[2]):08x}"
    assert advert.groups[0] == group_advert()
    assert advert.groups[1].group == f"?{group_id(GROUPS[1]):08x}"
    assert advert.groups[1].wish == Wish(3, NodeName(unknown))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (replace(message(), boot=NO_BOOT), "^a boot id has 8 bytes"),
        (replace(message(), boot=b"short"), "^a boot id"),
        (replace(message(), sequence=0), "begin at 1"),
        (replace(message(), advert=replace(message().advert, config_digest=b"short")), "^a configuration"),
        (replace(message(), advert=replace(message().advert, dead_interval_ms=0)), "^a dead interval of 0 ms"),
        (replace(message(), advert=replace(message().advert, hears=(NODES[3],))), "^whom a node hears"),
        (
            replace(message(), advert=replace(message().advert, groups=(replace(group_advert(), priority=1024),))),
            "priority 1024",
        ),
        (
            replace(
                message(), advert=replace(message().advert, groups=(replace(group_advert(), paused_min=65_536),))
            ),
            "^pause of 65536 minutes",
        ),
        (
            replace(message(), advert=replace(message().advert, groups=tuple(map(group_advert, range(42))))),
            "^1414 bytes do not fit a datagram: split the groups",
        ),
    ],
)
def test_what_could_not_be_decoded_is_not_encoded(wrong: Message, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        CODEC.encode(wrong)


def test_the_largest_datagram_that_there_is_is_made_and_taken() -> None:
    names = [NodeName(f"?{number:08x}") for number in range(1, 8)]
    advert = replace(message().advert, hears=(), groups=tuple(map(group_advert, range(36))))
    full = replace(message(), peers=tuple(map(PeerRecord, names)), advert=advert)
    assert len(CODEC.encode(full)) == MAX_DATAGRAM - 1  # no sum of whole records is nearer
    assert CODEC.decode(CODEC.encode(full)) == full


def test_a_wish_without_a_target_is_a_wish() -> None:
    wished = replace(group_advert(), wish=Wish(0, None))
    sample = replace(message(), advert=replace(message().advert, groups=(wished,)))
    assert CODEC.decode(CODEC.encode(sample)).advert.groups == (wished,)


def test_the_longest_time_held_fits() -> None:
    record = PeerRecord(NODES[1], OTHER_BOOT, 1, 0, MAX_HELD_US)
    sample = replace(message(), peers=(record,))
    assert CODEC.decode(CODEC.encode(sample)).peers == (record,)


@pytest.mark.parametrize(
    ("peers", "count", "parts"), [(1, 0, 1), (1, 42, 1), (1, 43, 2), (1, 500, 12), (32, 500, 63)]
)
def test_groups_are_split_only_when_they_must_be(peers: int, count: int, parts: int) -> None:
    groups = [replace(group_advert(), group=GroupName(f"g{number}")) for number in range(count)]
    found = split(groups, peers)
    assert len(found) == parts
    assert [group for part in found for group in part] == groups


def test_a_full_part_beside_the_most_peers_fits() -> None:
    names = [NodeName(f"?{number:08x}") for number in range(1, MAX_PEERS + 1)]
    part = split([group_advert(number) for number in range(50)], MAX_PEERS)[0]
    advert = replace(message().advert, hears=(), groups=part)
    data = CODEC.encode(replace(message(), peers=tuple(map(PeerRecord, names)), advert=advert))
    assert len(data) <= MAX_DATAGRAM
    assert CODEC.decode(data).advert.groups == part


@pytest.mark.parametrize(("term", "taken"), [(MAX_TERM, True), (MAX_TERM + 1, False), (2**64 - 1, False)])
def test_a_term_leaves_room_to_count_on(term: int, taken: bool) -> None:  # noqa: FBT001 - a table
    group = replace(group_advert(), term=term)
    data = CODEC.encode(replace(message(), advert=replace(message().advert, groups=(group,))))
    if taken:
        assert CODEC.decode(data).advert.groups == (group,)
    else:
        with pytest.raises(WireError, match=r"^malformed: term$"):
            CODEC.decode(data)
