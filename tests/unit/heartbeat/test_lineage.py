"""One peer on two paths: which daemon of it lives, and which of its words are the newest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from hafailover.election.values import Advert, GroupAdvert, GroupName, Leaving, NodeName, State
from hafailover.heartbeat.endpoint import Endpoint, Membership
from hafailover.heartbeat.lineage import MAX_RETIRED, Lineage, Lineages
from hafailover.heartbeat.wire import PathId, Reject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hafailover.election.events import AdvertReceived

A, B = NodeName("a"), NodeName("b")
ONE, TWO = GroupName("one"), GroupName("two")
MS = 1_000
SILENT_US, OLDEST_US = 500 * MS, 1_000 * MS
UDP, MQTT = PathId.UDP, PathId.MQTT


def said(state: State, *names: GroupName, node: NodeName = B, drained: bool = False) -> Advert:
    groups = tuple(GroupAdvert(name, state, 1, 100, eligible=True) for name in names or (ONE,))
    return Advert(node, b"digest!!", 1_000, Leaving.NO, drained, (), groups)


def states(advert: Advert | None) -> dict[str, State]:
    return {} if advert is None else {group.group: group.state for group in advert.groups}


# -- which words are new --------------------------------------------------------------------------------------


def test_what_comes_in_order_is_news_as_it_is() -> None:
    lineage = Lineage()
    first, second = said(State.BACKUP), said(State.MASTER)
    assert lineage.news(first, 1) is first
    assert lineage.news(second, 2) is second


def test_the_same_advert_on_the_other_path_says_nothing() -> None:
    lineage = Lineage()
    lineage.news(said(State.BACKUP), 1)
    assert lineage.news(said(State.BACKUP), 1) is None


def test_a_delayed_word_does_not_displace_a_newer_one() -> None:
    lineage = Lineage()
    lineage.news(said(State.MASTER), 10)
    assert lineage.news(said(State.BACKUP), 9) is None


def test_the_parts_of_a_split_advert_count_each_for_itself() -> None:
    lineage = Lineage()
    assert states(lineage.news(said(State.BACKUP, ONE), 1)) == {ONE: State.BACKUP}
    assert states(lineage.news(said(State.BACKUP, ONE, TWO), 1)) == {TWO: State.BACKUP}


def test_of_a_group_not_heard_yet_old_words_are_news_under_the_newest_head() -> None:
    lineage = Lineage()
    lineage.news(said(State.MASTER, ONE, drained=True), 10)
    late = lineage.news(said(State.BACKUP, ONE, TWO), 9)
    assert states(late) == {TWO: State.BACKUP}
    assert late is not None
    assert late.drained
    assert lineage.news(said(State.FAULT, TWO), 8) is None


def test_an_advert_without_groups_is_news_of_the_node() -> None:
    lineage = Lineage()
    bare = replace(said(State.BACKUP), groups=())
    assert lineage.news(bare, 1) == bare
    assert lineage.news(bare, 1) is None


@given(st.lists(st.tuples(st.integers(1, 20), st.sampled_from([(ONE,), (TWO,), (ONE, TWO)])), max_size=40))
def test_no_word_of_a_group_ever_goes_back(came: list[tuple[int, tuple[GroupName, ...]]]) -> None:
    lineage = Lineage()
    newest: dict[str, int] = {}
    for sent_at_us, names in came:
        advert = replace(
            said(State.BACKUP, *names),
            groups=tuple(GroupAdvert(name, State.BACKUP, sent_at_us, 100, eligible=True) for name in names),
        )
        news = lineage.news(advert, sent_at_us)
        for group in news.groups if news is not None else ():
            assert group.term > newest.get(group.group, 0)
            newest[group.group] = group.term
        for name in names:
            assert newest[name] >= sent_at_us


def test_another_boot_has_a_clock_of_its_own() -> None:
    lineage = Lineage()
    lineage.confirm(b"1")
    lineage.news(said(State.MASTER), 1_000)
    lineage.confirm(b"2")
    assert states(lineage.news(said(State.BACKUP), 1)) == {ONE: State.BACKUP}
    lineage.confirm(b"2")
    assert lineage.news(said(State.BACKUP), 1) is None, "it is the same boot"


# -- which boot lives ---------------------------------------------------------------------------------------


def test_who_is_displaced_is_over_and_the_memory_of_it_is_bounded() -> None:
    lineage = Lineage()
    for number in range(MAX_RETIRED + 2):
        lineage.confirm(b"%d" % number)
    assert not lineage.is_over(b"%d" % (MAX_RETIRED + 1))
    assert lineage.is_over(b"1")
    assert not lineage.is_over(b"0")
    assert lineage.generation == MAX_RETIRED + 2


class Node:
    """A node with an endpoint on each path, as a daemon has them."""

    def __init__(self, me: NodeName, boot: int) -> None:
        peer = B if me == A else A
        lineages = Lineages(several=True)
        self.me = me
        self.events: list[AdvertReceived] = []
        self.ends = {
            path: Endpoint(
                path,
                Membership(me, "web", (peer,), (ONE, TWO)),
                [b"k" * 32],
                boot_id=f"{me}boot{boot:03d}".encode(),
                silent_after_us=SILENT_US,
                oldest_us=OLDEST_US if path is MQTT else None,
                lineages=lineages,
            )
            for path in (UDP, MQTT)
        }

    def tick(self, path: PathId, now_us: int, state: State = State.BACKUP) -> list[bytes]:
        return self.ends[path].datagrams(said(state, node=self.me), now_us)

    def hear(self, path: PathId, datagrams: Sequence[bytes], now_us: int) -> list[bytes]:
        answers = []
        for datagram in datagrams:
            heard = self.ends[path].receive(datagram, now_us)
            if heard is not None and heard.event is not None:
                self.events.append(heard.event)
            if heard is not None and heard.answer is not None:
                answers.append(heard.answer)
        return answers

    @property
    def told(self) -> list[State]:
        return [event.advert.groups[0].state for event in self.events]

    def confirmed(self, path: PathId) -> bytes | None:
        current = self.ends[path].sessions[B if self.me == A else A].current
        return None if current is None else current.boot


def talk(a: Node, b: Node, path: PathId, now_us: int) -> None:
    from_a, from_b = a.tick(path, now_us), b.tick(path, now_us)
    for _ in range(10):
        from_a, from_b = a.hear(path, from_b, now_us), b.hear(path, from_a, now_us)


def settled(boot: int = 1) -> tuple[Node, Node]:
    a, b = Node(A, 1), Node(B, boot)
    for path in (UDP, MQTT):
        talk(a, b, path, 0)
    a.events.clear()
    return a, b


def test_each_path_confirms_by_itself() -> None:
    a, b = Node(A, 1), Node(B, 1)
    talk(a, b, UDP, 0)
    assert a.confirmed(UDP) == b"bboot001"
    assert a.confirmed(MQTT) is None
    a.events.clear()
    a.hear(MQTT, b.tick(MQTT, 10), 10)
    assert a.events == [], "hidden: the same boot is heard and confirmed by UDP"
    talk(a, b, MQTT, 20)
    assert a.confirmed(MQTT) == b"bboot001"


def test_an_advert_on_both_paths_is_one_event() -> None:
    a, b = settled()
    a.hear(UDP, b.tick(UDP, 100 * MS), 101 * MS)
    a.hear(MQTT, b.tick(MQTT, 100 * MS), 103 * MS)
    assert [event.path for event in a.events] == ["udp"]
    a.hear(MQTT, b.tick(MQTT, 200 * MS), 203 * MS)
    a.hear(UDP, b.tick(UDP, 200 * MS), 204 * MS)
    assert [event.path for event in a.events] == ["udp", "mqtt"]


def test_a_message_that_the_broker_held_back_does_not_turn_words_back() -> None:
    a, b = settled()
    old = b.tick(MQTT, 100 * MS, State.MASTER)
    a.hear(UDP, b.tick(UDP, 200 * MS, State.RELEASING), 200 * MS)
    a.hear(MQTT, old, 300 * MS)
    assert a.told == [State.RELEASING]
    assert a.ends[MQTT].sessions[B].seen_at_us == 300 * MS, "the path works, though it is slow"


def test_a_message_older_than_the_dead_interval_is_no_sign_of_life() -> None:
    a, b = settled()
    old = b.tick(MQTT, 100 * MS)
    a.hear(MQTT, old, 100 * MS + OLDEST_US + 1)
    assert a.events == []
    assert a.ends[MQTT].rejected[Reject.LATE] == 1
    assert a.ends[MQTT].sessions[B].seen_at_us == 0


def test_a_message_is_as_young_as_what_it_answers() -> None:
    a, b = settled()
    b.hear(MQTT, a.tick(MQTT, 5_000 * MS), 5_001 * MS)
    a.hear(MQTT, b.tick(MQTT, 5_100 * MS), 5_200 * MS)
    assert a.told == [State.BACKUP]
    assert a.ends[MQTT].rejected == {}


def test_a_boot_that_one_path_has_displaced_is_over_on_all() -> None:
    a, b = settled()
    last_words = b.tick(MQTT, 100 * MS, State.MASTER)
    again = Node(B, 2)
    talk(a, again, UDP, 200 * MS)
    a.events.clear()
    a.hear(MQTT, last_words, 300 * MS)
    assert a.events == []
    assert a.ends[MQTT].rejected == {Reject.RETIRED_BOOT: 1}
    talk(a, again, MQTT, 400 * MS)
    assert (a.confirmed(UDP), a.confirmed(MQTT)) == (b"bboot002", b"bboot002")


def test_the_late_proof_of_a_boot_that_has_ended_does_not_displace_its_successor() -> None:
    a, b = Node(A, 1), Node(B, 1)
    a.tick(MQTT, 0)
    challenge = a.hear(MQTT, b.tick(MQTT, 0), 0)
    proof = b.hear(MQTT, challenge, 0)
    assert proof != []
    talk(a, Node(B, 2), UDP, 100 * MS)
    a.events.clear()
    a.hear(MQTT, proof, 200 * MS)
    assert a.events == []
    assert a.confirmed(UDP) == b"bboot002"


def test_a_challenge_that_the_living_boot_has_had_stands_when_another_path_confirms_it() -> None:
    a, b = Node(A, 1), Node(B, 1)
    a.tick(MQTT, 0)
    challenge = a.hear(MQTT, b.tick(MQTT, 0), 0)
    proof = b.hear(MQTT, challenge, 0)
    talk(a, b, UDP, 100 * MS)
    a.hear(MQTT, proof, 200 * MS)
    assert a.confirmed(MQTT) == b"bboot001"


def test_a_recording_on_one_path_is_hidden_while_the_other_hears_the_living() -> None:
    a, b = Node(A, 1), Node(B, 1)
    recording = Node(B, 9).tick(MQTT, 0, State.MASTER)
    talk(a, b, UDP, 0)
    a.events.clear()
    a.hear(MQTT, recording, 100 * MS)
    assert a.events == []
    a.hear(MQTT, Node(B, 8).tick(MQTT, 0, State.MASTER), SILENT_US + 1)
    assert [event.confirmed for event in a.events] == [False], "a sign of life, once nothing else is heard"


def test_with_one_path_nothing_is_left_out() -> None:
    a, b = Node(A, 1), Node(B, 1)
    alone = Endpoint(UDP, Membership(A, "web", (B,), (ONE,)), [b"k" * 32], boot_id=b"alone..1", silent_after_us=1)
    for now_us in (10, 10):
        heard = alone.receive(b.tick(UDP, now_us)[0], 20)
        assert heard is not None
        assert heard.event is not None
    assert a.ends[UDP].name == "udp"
