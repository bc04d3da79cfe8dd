"""The broker's path over a link that a test plays: what is published, what is taken, what a question finds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest

from hafailover.broker.link import LinkState, Subscription
from hafailover.election.values import Advert, GroupAdvert, GroupName, Leaving, NodeName, State
from hafailover.heartbeat import bundle, presence
from hafailover.heartbeat.auth import Keyring
from hafailover.heartbeat.lineage import Lineages
from hafailover.heartbeat.mqtt import ANSWER_GAP_US, PATIENCE_US, MqttPath, keepalive_s
from hafailover.heartbeat.presence import Presence, PresenceState
from hafailover.heartbeat.wire import Reject
from hafailover.heartbeat.witness import Finding

if TYPE_CHECKING:
    from collections.abc import Callable

    from hafailover.broker.link import Link
    from hafailover.election.events import Event

A, B = NodeName("a"), NodeName("b")
KEY = b"k" * 32
GROUPS = tuple(GroupName(f"g{number}") for number in range(500))
MS = 1_000


def advert(node: NodeName, count: int = 1) -> Advert:
    groups = tuple(GroupAdvert(name, State.BACKUP, 1, 100, eligible=True) for name in GROUPS[:count])
    return Advert(node, b"digest!!", 1_000, Leaving.NO, False, (), groups)


@dataclass
class Wire:
    """A link that keeps what it is given; the test is the broker."""

    state: LinkState = field(default_factory=lambda: LinkState(connected=True))
    said: list[tuple[str, bytes, str]] = field(default_factory=list)
    kept: list[tuple[str, bytes]] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    ups: list[Callable[[int], None]] = field(default_factory=list)

    def subscribe(self, subscription: Subscription) -> None:
        self.subscriptions[subscription.topic] = subscription

    def when_up(self, call: Callable[[int], None]) -> None:
        self.ups.append(call)

    def publish(self, topic: str, payload: bytes, kind: str = "") -> None:
        self.said.append((topic, payload, kind))

    def keep(self, topic: str, payload: bytes) -> None:
        self.kept.append((topic, payload))

    def drop(self, why: str) -> None:
        self.dropped.append(why)


class Node:
    """A path on such a link, with a clock of its own."""

    def __init__(self, me: NodeName, peer: NodeName, boot: bytes) -> None:
        self.now_us = 0
        self.wire = Wire()
        self.events: list[Event] = []
        self.path = MqttPath(
            me=me,
            cluster="web",
            root="t/web",
            peers=[peer],
            groups=GROUPS,
            keys=[KEY],
            deliver=self.events.append,
            clock_us=lambda: self.now_us,
            boot_id=boot,
            silent_after_us=500 * MS,
            lineages=Lineages(several=True),
            link=cast("Link", self.wire),
            alone=False,
        )
        self.wire.ups[0](1)

    def take(self, payload: bytes, *, of: str = "b", retained: bool = False) -> None:
        self.wire.subscriptions["t/web/heartbeat/+"].take(f"t/web/heartbeat/{of}", payload, retained)

    def see(self, payload: bytes, *, retained: bool = False) -> None:
        self.wire.subscriptions["t/web/presence/+"].take("t/web/presence/x", payload, retained)

    def published(self) -> list[bytes]:
        said, self.wire.said = self.wire.said, []
        return [payload for _, payload, _ in said]


@pytest.fixture
def a() -> Node:
    return Node(A, B, b"boot-a-1")


@pytest.fixture
def b() -> Node:
    return Node(B, A, b"boot-b-1")


def talk(a: Node, b: Node, now_us: int) -> None:
    """Let both advertise, and bring everything to both, until none has anything to say."""
    a.now_us = b.now_us = now_us
    a.path.send(advert(A), now_us)
    b.path.send(advert(B), now_us)
    while said := [*((payload, "a") for payload in a.published()), *((payload, "b") for payload in b.published())]:
        for payload, of in said:
            a.take(payload, of=of)
            b.take(payload, of=of)


def said_of(node: NodeName, state: PresenceState, boot: bytes, connection: int = 1) -> bytes:
    return presence.encode(Presence(node, state, boot, connection), "web", Keyring([KEY]))


def test_one_publication_carries_all_groups_for_all_peers(a: Node) -> None:
    a.path.send(advert(A, 500))
    ((topic, payload, kind),) = a.wire.said
    assert (topic, kind) == ("t/web/heartbeat/a", "advert")
    assert len(bundle.unpack(payload)) > 1


def test_two_nodes_find_each_other_and_the_broker_finds_each(a: Node, b: Node) -> None:
    for tick in range(5):
        talk(a, b, tick * 200 * MS)
    (seen,) = a.path.stats()
    assert seen.confirmed
    assert (seen.last_seen_s, seen.loss) == (0, 0)
    assert a.path.round_trip_s == 0
    assert a.path.rejected == {}
    assert a.path.witness.returned_us == 800 * MS
    assert {getattr(event, "path", "") for event in a.events} == {"mqtt"}


def test_answers_to_everybody_are_few(a: Node, b: Node) -> None:
    b.path.send(advert(B))
    (hello,) = b.published()
    a.path.send(advert(A))
    a.published()
    a.take(hello)
    assert [kind for _, _, kind in a.wire.said] == ["answer b"]
    b.now_us += 1
    b.path.send(advert(B))
    a.take(b.published()[0])
    assert len(a.published()) == 1, "one within the gap"
    a.now_us += ANSWER_GAP_US
    b.path.send(advert(B))
    a.take(b.published()[0])
    assert len(a.published()) == 1


def test_nothing_is_made_while_the_broker_is_away(a: Node) -> None:
    a.wire.state.connected = False
    a.path.send(advert(A))
    assert a.wire.said == []
    a.wire.state.connected = True
    a.wire.ups[0](2)
    assert len(a.wire.said) == 1, "at once when it is back"


def test_what_is_no_fresh_heartbeat_is_counted_by_reason(a: Node, b: Node) -> None:
    b.path.send(advert(B))
    (payload,) = b.published()
    a.take(payload, retained=True)
    a.take(b"nonsense")
    a.take(payload[:-1])
    a.take(payload)
    a.take(payload)
    assert a.path.rejected == {
        Reject.RETAINED: 1,
        Reject.BAD_MAGIC: 1,
        Reject.MALFORMED: 1,
        Reject.REPLAYED: 1,
    }


def test_a_connection_that_returns_nothing_is_given_up(a: Node) -> None:
    a.path.send(advert(A))
    (payload,) = a.published()
    a.now_us = PATIENCE_US
    a.path.send(advert(A))
    assert a.wire.dropped == []
    a.now_us += 1
    a.path.send(advert(A))
    assert "does not come back" in a.wire.dropped[0]
    assert "t/web/heartbeat/a" in a.wire.dropped[0]
    a.take(payload, of="a")
    assert a.path.round_trip_s == (PATIENCE_US + 1) / 1e6


def test_own_heartbeats_that_never_come_back_do_not_pile_up(a: Node) -> None:
    a.path.send(advert(A))
    first, *_ = a.published()
    for _ in range(300):
        a.now_us += 1
        a.path.send(advert(A))
    a.take(first, of="a")
    assert a.path.round_trip_s is None
    assert a.path.rejected == {Reject.OWN_ECHO: 1}


def test_a_node_that_is_told_to_be_lost_says_that_it_is_there(a: Node) -> None:
    assert [topic for topic, _ in a.wire.kept] == ["t/web/presence/a"]
    lost = said_of(A, PresenceState.LOST, b"boot-a-1")
    a.see(lost)
    a.path.send(advert(A))
    assert len(a.wire.kept) == 1, "not more than once a second"
    a.now_us = 1_000 * MS
    a.path.send(advert(A))
    a.path.send(advert(A))
    assert len(a.wire.kept) == 2
    assert presence.decode(a.wire.kept[1][1], "web", Keyring([KEY])).state is PresenceState.ONLINE
    for payload, retained in ((lost, True), (said_of(A, PresenceState.ONLINE, b"boot-a-2"), False)):
        a.see(payload, retained=retained)
    a.now_us = 3_000 * MS
    a.path.send(advert(A))
    assert len(a.wire.kept) == 2


def test_presence_that_is_none_or_a_strangers_is_left_alone(a: Node) -> None:
    a.see(b"")
    assert a.path.rejected == {}
    a.see(b"nonsense")
    a.see(said_of(NodeName("c"), PresenceState.LOST, b"boot-c-1"))
    assert a.path.rejected == {Reject.MALFORMED: 1}


def test_the_will_and_the_goodbye_are_signed_words(a: Node) -> None:
    keys = Keyring([KEY])
    topic, payload = a.path.will(3)
    assert (topic, presence.decode(payload, "web", keys)) == (
        "t/web/presence/a",
        Presence(A, PresenceState.LOST, b"boot-a-1", 3),
    )
    assert presence.decode(a.path.goodbye()[1], "web", keys).state is PresenceState.LEFT


async def test_a_question_is_answered_when_an_own_heartbeat_is_back(a: Node, b: Node) -> None:
    talk(a, b, 0)
    a.now_us = 10_000 * MS
    asking = asyncio.create_task(a.path.find(B, 5))
    await asyncio.sleep(0)
    assert not asking.done()
    (probe,) = a.published()
    a.take(probe, of="a")
    assert await asking is Finding.UNSEEN


async def test_or_when_its_time_is_over(a: Node, b: Node) -> None:
    talk(a, b, 0)
    a.now_us = 10_000 * MS
    assert await a.path.find(B, 0.05) is Finding.CUT_OFF
    assert await a.path.find(B, 0) is Finding.CUT_OFF


async def test_a_node_that_has_never_published_knows_nothing(a: Node) -> None:
    assert await a.path.find(B, 0.05) is Finding.BROKER_DOWN


def test_other_keys_need_another_will(a: Node, b: Node) -> None:
    talk(a, b, 0)
    new = b"n" * 32

    def configure(keys: list[bytes], silent_after_us: int) -> None:
        a.path.configure(peers=[B], groups=GROUPS, keys=keys, silent_after_us=silent_after_us)

    configure([KEY], 600 * MS)
    assert (a.wire.dropped, a.path.witness.fresh_us) == ([], 1_200 * MS)
    configure([new, KEY], 500 * MS)
    assert "keys have changed" in a.wire.dropped[0]
    assert presence.decode(a.path.will(1)[1], "web", Keyring([new])).boot == b"boot-a-1"
    assert a.path.stats()[0].received > 0, "the sessions go on"


async def test_opening_and_closing_are_the_links(a: Node) -> None:
    await a.path.open()
    a.path.close()
    assert a.wire.dropped == []


@pytest.mark.parametrize(("dead_ms", "seconds"), [(30, 2), (1_000, 2), (1_001, 3), (300_000, 600)])
def test_the_keepalive_is_two_dead_intervals(dead_ms: int, seconds: int) -> None:
    assert keepalive_s(dead_ms) == seconds
