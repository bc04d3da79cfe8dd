from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hafailover.election.values import Advert, GroupAdvert, GroupName, Leaving, NodeName, State
from hafailover.errors import StartError
from hafailover.heartbeat.auth import Keyring
from hafailover.heartbeat.endpoint import Endpoint, Membership
from hafailover.heartbeat.names import Directory
from hafailover.heartbeat.wire import MAX_DATAGRAM, MAX_PEERS, NO_BOOT, Codec, PathId, Reject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hafailover.election.events import AdvertReceived

A, B, C = NodeName("a"), NodeName("b"), NodeName("c")
KEY = b"k" * 32
MS = 1_000
SILENT_US = 500 * MS
CODEC = Codec("web", PathId.UDP, Directory((A, B), ()), Keyring([KEY]))


def groups(count: int) -> tuple[GroupAdvert, ...]:
    return tuple(GroupAdvert(GroupName(f"g{n}"), State.BACKUP, n, 100, eligible=True) for n in range(count))


def advert(node: NodeName, hears: Sequence[NodeName] = (), count: int = 1) -> Advert:
    return Advert(node, b"digest!!", 1_000, Leaving.NO, False, tuple(hears), groups(count))


class Node:
    """An endpoint with what it has delivered; `boot` numbers its starts."""

    def __init__(
        self,
        me: NodeName,
        boot: int,
        *,
        nodes: Sequence[NodeName] = (A, B),
        count: int = 1,
        key: bytes = KEY,
        path: PathId = PathId.UDP,
    ) -> None:
        peers = tuple(node for node in nodes if node != me)
        names = tuple(group.group for group in groups(count))
        self.me = me
        self.endpoint = Endpoint(
            path,
            Membership(me, "web", peers, names),
            [key],
            boot_id=f"{me}boot{boot:03d}".encode(),
            silent_after_us=SILENT_US,
        )
        self.events: list[AdvertReceived] = []
        self.answers: list[bytes] = []

    def tick(self, now_us: int = 0, count: int = 1) -> list[bytes]:
        return self.endpoint.datagrams(advert(self.me, count=count), now_us)

    def hear(self, datagrams: Sequence[bytes], now_us: int = 0) -> list[bytes]:
        """Take datagrams and return the answers."""
        answers = []
        for datagram in datagrams:
            heard = self.endpoint.receive(datagram, now_us)
            if heard is not None and heard.event is not None:
                self.events.append(heard.event)
            if heard is not None and heard.answer is not None:
                answers.append(heard.answer)
        return answers

    @property
    def confirmed(self) -> list[bool]:
        return [event.confirmed for event in self.events]


def talk(a: Node, b: Node, now_us: int, *, record: list[bytes] | None = None) -> None:
    """Let both advertise once and answer until none has anything to say; keep what `b` said."""
    from_a, from_b = a.tick(now_us), b.tick(now_us)
    for _ in range(10):
        if record is not None:
            record.extend(from_b)
        from_a, from_b = a.hear(from_b, now_us), b.hear(from_a, now_us)
    assert (from_a, from_b) == ([], [])


def test_two_nodes_that_start_at_once_are_sure_of_each_other_within_one_interval() -> None:
    a, b = Node(A, 1), Node(B, 1)
    talk(a, b, 0)
    # Their first datagrams cross and prove nothing, nor do the answers to these, which cross again.
    assert a.confirmed == [False, False, True, True]
    assert b.confirmed == [False, False, True, True]


def test_an_advert_tells_before_when_it_was_not_said() -> None:
    a, b = Node(A, 1), Node(B, 1)
    talk(a, b, 7_000)
    b.hear(a.tick(9_000), 9_500)
    a.hear(b.tick(11_999), 20_000)
    assert a.events[-1].said_after == 9
    a.hear(b.tick(50_000), 60_000)
    assert a.events[-1].said_after == 9, "nothing newer of its own is repeated in it"


def test_of_what_repeats_nothing_it_is_not_known() -> None:
    a, b = Node(A, 1), Node(B, 1)
    a.hear(b.tick(5_000), 6_000)
    assert [event.said_after for event in a.events] == [None]


def test_nor_of_what_repeats_a_former_daemon() -> None:
    a, b, again = Node(A, 1), Node(B, 1), Node(A, 2)
    talk(a, b, 7_000)
    again.hear(b.tick(8_000), 9_000)
    assert [event.said_after for event in again.events] == [None]


def test_a_node_that_joins_is_confirmed_by_its_answer_to_the_first_answer() -> None:
    a, b = Node(A, 1), Node(B, 1)
    a.tick()
    first_answer = a.hear(b.tick())
    second_answer = b.hear(first_answer)
    assert b.confirmed == [False]
    third_answer = a.hear(second_answer)
    assert a.confirmed == [False, True]
    assert b.hear(third_answer) == []
    assert b.confirmed == [False, True]


def test_settled_nodes_send_one_datagram_per_interval_and_no_answers() -> None:
    a, b = Node(A, 1), Node(B, 1)
    talk(a, b, 0)
    for tick in range(1, 20):
        assert a.hear(b.tick(tick * 200 * MS), tick * 200 * MS) == []
        assert b.hear(a.tick(tick * 200 * MS), tick * 200 * MS) == []
    assert a.confirmed[-19:] == [True] * 19
    assert b.confirmed[-19:] == [True] * 19
    assert len(a.events) == 4 + 19
    assert a.endpoint.rejected == {}


def test_a_restarted_peer_is_confirmed_within_one_interval_and_takes_over() -> None:
    a, b = Node(A, 1), Node(B, 1)
    talk(a, b, 0)
    b2 = Node(B, 2)
    talk(a, b2, 200 * MS)
    talk(a, b2, 400 * MS)
    assert a.confirmed[-2:] == [True, True]
    assert b2.confirmed[-1]
    a.hear(b.tick(600 * MS), 600 * MS)
    assert a.endpoint.rejected == {Reject.RETIRED_BOOT: 1}


def test_a_recording_against_a_restarted_receiver_is_never_believed() -> None:
    recording: list[bytes] = []
    a, b = Node(A, 1), Node(B, 1)
    for tick in range(50):
        talk(a, b, tick * 200 * MS, record=recording)
    restarted = Node(A, 2)
    restarted.tick(0)
    for place, datagram in enumerate(recording):
        restarted.hear([datagram], place * MS)
        restarted.tick(place * MS)
    assert len(restarted.events) == len(recording)
    assert not any(restarted.confirmed)


def test_the_living_peer_is_confirmed_while_a_recording_of_it_is_played() -> None:
    recording: list[bytes] = []
    a, b = Node(A, 1), Node(B, 1)
    for tick in range(100):
        talk(a, b, tick * 200 * MS, record=recording)
    a2, b2 = Node(A, 2), Node(B, 2)
    for tick in range(10):
        for place in range(10):
            a2.hear([recording.pop(0)], tick * 200 * MS + place * MS)
        now_us = tick * 200 * MS + 50 * MS
        for datagram in b2.tick(now_us):
            b2.hear(a2.hear([datagram], now_us), now_us)
        b2.hear(a2.tick(now_us), now_us)
    current = a2.endpoint.sessions[B].current
    assert current is not None
    assert current.boot == b"bboot002"
    assert a2.confirmed[-1]


def test_a_recording_does_not_hide_a_new_daemon_that_both_sides_wait_for() -> None:
    recording: list[bytes] = []
    a, b = Node(A, 1), Node(B, 1)
    talk(a, b, 0, record=recording)
    b2 = Node(B, 2)
    now_us = 0
    for tick in range(1, 6):
        now_us = tick * 200 * MS
        a.hear(recording, now_us)
        talk(a, b2, now_us)
    assert b2.confirmed[-1]
    assert a.confirmed[-1]


def test_a_duplicate_is_counted_and_not_delivered() -> None:
    a, b = Node(A, 1), Node(B, 1)
    datagrams = b.tick()
    a.hear(datagrams * 3)
    assert len(a.events) == 1
    assert a.endpoint.rejected == {Reject.REPLAYED: 2}


def test_of_two_in_the_wrong_order_the_newer_counts() -> None:
    a, b = Node(A, 1), Node(B, 1)
    older, newer = b.tick(), b.tick()
    a.hear([*newer, *older])
    assert len(a.events) == 1
    assert a.endpoint.rejected == {Reject.REPLAYED: 1}


def test_what_this_daemon_sent_comes_back_as_an_echo() -> None:
    a = Node(A, 1)
    a.hear(a.tick())
    assert a.endpoint.rejected == {Reject.OWN_ECHO: 1}


def test_another_daemon_under_this_name_is_noticed() -> None:
    a, clone = Node(A, 1), Node(A, 2)
    a.hear(clone.tick())
    assert a.endpoint.rejected == {Reject.OWN_NAME: 1}


def test_a_datagram_of_one_path_is_not_taken_on_another() -> None:
    a, b = Node(A, 1, path=PathId.MQTT), Node(B, 1)
    a.hear(b.tick())
    assert a.endpoint.rejected == {Reject.WRONG_PATH: 1}


def test_a_wrong_key_is_counted_as_such() -> None:
    a, b = Node(A, 1), Node(B, 1, key=b"x" * 32)
    a.hear(b.tick())
    assert a.endpoint.rejected == {Reject.BAD_MAC: 1}
    assert a.events == []


def test_no_answer_goes_out_before_there_is_anything_to_say() -> None:
    a, b = Node(A, 1), Node(B, 1)
    assert a.hear(b.tick()) == []
    assert len(a.events) == 1


def test_a_peer_that_does_not_list_this_node_is_not_answered() -> None:
    c_knows_nobody = Node(C, 1, nodes=(C, B))
    a = Node(A, 1, nodes=(A, B, C))
    a.tick()
    assert a.hear(c_knows_nobody.tick()) == []
    assert a.confirmed == [False]


def test_whom_a_node_hears_is_told_where_the_receiver_knows_them() -> None:
    a, b = Node(A, 1), Node(B, 1, nodes=(A, B, C))
    a.hear(b.endpoint.datagrams(advert(B, hears=(C, A)), 0))
    assert a.events[0].advert.hears[0] == A


def test_groups_that_only_the_sender_knows_are_left_out() -> None:
    a, b = Node(A, 1, count=2), Node(B, 1, count=3)
    a.hear(b.tick(count=3))
    assert a.events[0].advert == replace(advert(B), groups=groups(2))
    assert a.events[0].path == "udp"


def test_of_an_advert_without_a_known_group_the_rest_is_taken() -> None:
    a, b = Node(A, 1, count=0), Node(B, 1, count=2)
    a.hear(b.tick(count=2))
    assert a.events[0].advert == advert(B, count=0)


def test_who_was_heard_is_told_beside_the_event() -> None:
    a, b = Node(A, 1), Node(B, 1)
    (datagram,) = b.tick()
    heard = a.endpoint.receive(datagram, 0)
    assert heard is not None
    assert heard.peer == B


def test_the_datagrams_of_a_daemon_are_numbered_from_one() -> None:
    b = Node(B, 1)
    assert [CODEC.decode(datagram).sequence for _ in range(3) for datagram in b.tick()] == [1, 2, 3]


def test_an_answer_names_the_boot_that_it_answers_and_not_the_one_whose_turn_it_is() -> None:
    a, b, b2 = Node(A, 1), Node(B, 1), Node(B, 2)
    talk(a, b, 0)
    for now_us in (200 * MS, 400 * MS, 600 * MS):
        (answer,) = a.hear(b2.tick(now_us), now_us)
        (record,) = CODEC.decode(answer).peers
        assert record.boot == b"bboot002"


def test_five_hundred_groups_travel_in_twelve_datagrams_each_complete_by_itself() -> None:
    a, b = Node(A, 1, count=500), Node(B, 1, count=500)
    datagrams = b.tick(count=500)
    assert len(datagrams) == 12
    assert max(map(len, datagrams)) <= MAX_DATAGRAM
    a.hear(datagrams)
    assert [group for event in a.events for group in event.advert.groups] == list(groups(500))
    assert {event.advert.config_digest for event in a.events} == {b"digest!!"}


def test_an_answer_is_one_datagram_whatever_the_number_of_groups() -> None:
    a, b = Node(A, 1, count=500), Node(B, 1, count=500)
    a.tick(count=500)
    answers = a.hear(b.tick(count=1))
    assert len(answers) == 1
    assert len(answers[0]) <= MAX_DATAGRAM


def test_loss_and_round_trip_time_on_a_fake_clock() -> None:
    a, b = Node(A, 1), Node(B, 1)
    talk(a, b, 0)
    for tick in range(1, 201):
        now_us = tick * 200 * MS
        b.hear(a.tick(now_us), now_us + 2 * MS)  # 2 ms there, held for 48 ms, 3 ms back
        if tick % 10:
            a.hear(b.tick(now_us + 50 * MS), now_us + 53 * MS)
        else:
            b.tick(now_us + 50 * MS)
    sessions = a.endpoint.sessions[B]
    assert sessions.rtt_us == 5 * MS
    assert sessions.srtt_us == pytest.approx(5 * MS, abs=10)
    assert sessions.current is not None
    assert sessions.current.loss == pytest.approx(0.1, abs=0.011)


def test_a_reload_keeps_the_sequence_and_the_sessions() -> None:
    a, b = Node(A, 1), Node(B, 1)
    talk(a, b, 0)
    a.endpoint.configure(Membership(A, "web", (B, C), (GroupName("g0"),)), [b"n" * 32, KEY], SILENT_US)
    assert a.hear(b.tick(200 * MS), 200 * MS) == []
    assert a.confirmed[-1]
    b.endpoint.configure(Membership(B, "web", (A, C), (GroupName("g0"),)), [KEY, b"n" * 32], SILENT_US)
    b.hear(a.tick(300 * MS), 300 * MS)
    assert b.confirmed[-1]
    assert b.endpoint.rejected == {}


def test_a_reload_says_anew_after_how_long_a_new_boot_is_a_sign_of_life() -> None:
    a, b, reborn = Node(A, 1), Node(B, 1), Node(B, 2)
    talk(a, b, 0)
    heard = len(a.events)
    a.endpoint.configure(Membership(A, "web", (B,), (GroupName("g0"),)), [KEY], 700 * MS)
    a.hear(reborn.tick(600 * MS), 600 * MS)
    assert len(a.events) == heard
    a.endpoint.configure(Membership(A, "web", (B,), (GroupName("g0"),)), [KEY], SILENT_US)
    a.hear(reborn.tick(600 * MS), 600 * MS)
    assert a.confirmed[heard:] == [False]


def test_a_peer_that_left_the_configuration_is_unknown() -> None:
    a, b = Node(A, 1), Node(B, 1)
    a.endpoint.configure(Membership(A, "web", (C,), ()), [KEY], SILENT_US)
    a.hear(b.tick())
    assert a.endpoint.rejected == {Reject.UNKNOWN_NODE: 1}


def test_too_many_peers_stop_the_start() -> None:
    names = tuple(NodeName(f"n{number}") for number in range(MAX_PEERS + 1))
    with pytest.raises(StartError, match="33 peers, at most 32"):
        Node(A, 1, nodes=names)
    assert len(Node(A, 1, nodes=names[:MAX_PEERS]).endpoint.sessions) == MAX_PEERS


@pytest.mark.parametrize("boot_id", [b"short", NO_BOOT])
def test_a_boot_id_must_be_one(boot_id: bytes) -> None:
    with pytest.raises(StartError, match=r"^heartbeat boot id: 8 random bytes"):
        Endpoint(PathId.UDP, Membership(A, "web", (B,), ()), [KEY], boot_id=boot_id, silent_after_us=0)
