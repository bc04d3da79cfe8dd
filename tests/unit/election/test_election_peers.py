from __future__ import annotations

from dataclasses import replace

import pytest

from hafailover.election.events import AdvertReceived
from hafailover.election.peers import AUDIBLE, REFUSAL_FRESH_MS, Liveness, Peer
from hafailover.election.peertable import PeerTable
from hafailover.election.values import Advert, GroupAdvert, GroupName, Leaving, NodeName, State, Timing
from tests.unit.election.bench import DIGEST, GROUP, MEMBERS, TIMING, A, B, C

NOW = 50_000  # dead interval 400 ms, restart_grace 3 s


def advert(
    state: State = State.BACKUP, *, leaving: Leaving = Leaving.NO, hears: tuple[NodeName, ...] = ()
) -> Advert:
    return Advert(A, DIGEST, 400, leaving, False, hears, (GroupAdvert(GROUP, state, 1, 100, True),))


def heard(*, leaving: Leaving = Leaving.NO, confirmed: bool = True) -> Peer:
    peer = Peer(MEMBERS[0], TIMING)
    peer.hear(advert(leaving=leaving), NOW, confirmed=confirmed)
    return peer


def test_words_that_count_again_are_news() -> None:
    peer = heard()
    assert not peer.hear(advert(), NOW + 10, confirmed=False)
    assert peer.unsure_since == NOW + 10
    assert not peer.hear_again(advert(), NOW + 20, confirmed=True, said_after=None)
    assert peer.hear(advert(), NOW + 20, confirmed=True)
    assert peer.sure
    assert peer.hear_again(advert(), NOW + 30, confirmed=True, said_after=None)


@pytest.mark.parametrize(("leaving", "patience_ms"), [(Leaving.NO, 400), (Leaving.RESTARTING, 3_000)])
def test_what_is_not_confirmed_counts_once_the_patience_with_the_daemon_before_is_over(
    leaving: Leaving, patience_ms: int
) -> None:
    peer = heard(leaving=leaving)
    assert not peer.hear(advert(State.INIT), NOW + patience_ms - 1, confirmed=False)
    assert peer.confirmed
    peer = heard(leaving=leaving)
    assert peer.hear(advert(State.INIT), NOW + patience_ms, confirmed=False)
    assert not peer.confirmed


@pytest.mark.parametrize(
    ("refused_ms", "now_ms", "gone"),
    [
        ((), 3_000, False),
        ((0,), 2_999, False),
        ((0,), 3_000, False),
        ((0, 2_000), 2_999, False),
        ((0, 2_000), 3_000, True),
    ],
)
def test_a_peer_is_given_up_that_is_refused_for_all_of_the_grace(
    refused_ms: tuple[int, ...], now_ms: int, *, gone: bool
) -> None:
    peer = Peer(MEMBERS[0], TIMING)
    for at_ms in refused_ms:
        peer.refuse(NOW + at_ms)
    assert peer.given_up(NOW + now_ms) is gone


def test_a_peer_is_never_heard_at_first() -> None:
    peer = Peer(MEMBERS[0], TIMING)
    assert peer.name == A
    assert peer.liveness(NOW) is Liveness.NEVER
    assert peer.next_change(NOW) is None
    assert peer.group(GROUP) is None
    assert not peer.refused
    assert not peer.hears(B)
    assert not peer.claiming


@pytest.mark.parametrize(
    ("silence", "liveness"),
    [
        (0, Liveness.ALIVE),
        (199, Liveness.ALIVE),
        (200, Liveness.LATE),
        (201, Liveness.LATE),
        (399, Liveness.LATE),
        (400, Liveness.DOWN),
        (401, Liveness.DOWN),
    ],
)
def test_silence_makes_a_peer_late_and_then_down(silence: int, liveness: Liveness) -> None:
    assert heard().liveness(NOW + silence) is liveness
    assert liveness.heard is (liveness is not Liveness.DOWN)


@pytest.mark.parametrize(
    ("silence", "liveness"),
    [(199, Liveness.ALIVE), (200, Liveness.RESTARTING), (2_999, Liveness.RESTARTING), (3_000, Liveness.DOWN)],
)
def test_an_announced_restart_is_given_its_grace(silence: int, liveness: Liveness) -> None:
    assert heard(leaving=Leaving.RESTARTING).liveness(NOW + silence) is liveness


def test_a_restart_is_believed_of_a_confirmed_peer_only() -> None:
    assert heard(leaving=Leaving.RESTARTING, confirmed=False).liveness(NOW + 400) is Liveness.DOWN
    assert heard(leaving=Leaving.STOPPING, confirmed=False).liveness(NOW) is Liveness.ALIVE


@pytest.mark.parametrize("silence", [0, 400, 10_000])
def test_a_goodbye_needs_no_patience(silence: int) -> None:
    assert heard(leaving=Leaving.STOPPING).liveness(NOW + silence) is Liveness.LEFT


@pytest.mark.parametrize(
    ("silence", "liveness"),
    [(199, Liveness.ALIVE), (200, Liveness.RESTARTING), (2_999, Liveness.RESTARTING), (3_000, Liveness.DOWN)],
)
def test_a_host_that_refuses_is_given_the_same_grace(silence: int, liveness: Liveness) -> None:
    peer = heard()
    peer.refuse(NOW + 100)
    peer.refuse(NOW + max(100, silence - 10))
    assert peer.refused
    assert peer.liveness(NOW + silence) is liveness


@pytest.mark.parametrize(
    ("age", "liveness"),
    [
        (REFUSAL_FRESH_MS - 1, Liveness.RESTARTING),
        (REFUSAL_FRESH_MS, Liveness.RESTARTING),
        (REFUSAL_FRESH_MS + 1, Liveness.DOWN),
    ],
)
def test_a_refusal_counts_while_it_is_fresh(age: int, liveness: Liveness) -> None:
    peer = heard()
    peer.refuse(NOW + 300)
    assert peer.liveness(NOW + 300 + age) is liveness


@pytest.mark.parametrize(("age", "liveness"), [(1_800, Liveness.RESTARTING), (1_801, Liveness.DOWN)])
def test_with_long_intervals_a_refusal_counts_for_three_of_them(age: int, liveness: Liveness) -> None:
    peer = Peer(MEMBERS[0], Timing(600, 1_800, 10_000, 30_000))
    peer.hear(advert(), NOW, confirmed=True)
    peer.refuse(NOW + 600)
    assert peer.liveness(NOW + 600 + age) is liveness


@pytest.mark.parametrize(("silence", "liveness"), [(0, Liveness.RESTARTING), (2_999, Liveness.NEVER)])
def test_a_host_that_only_ever_refused_may_be_starting(silence: int, liveness: Liveness) -> None:
    peer = Peer(MEMBERS[0], TIMING)
    peer.refuse(NOW)
    assert peer.liveness(NOW + silence) is liveness
    assert peer.next_change(NOW) == NOW + 200


def test_hearing_a_peer_ends_its_refusals() -> None:
    peer = heard()
    peer.refuse(NOW)
    peer.hear(advert(), NOW + 10, confirmed=True)
    assert peer.refused is False


def test_the_next_change_is_the_next_edge() -> None:
    peer = heard()
    edges = []
    at = NOW
    while (edge := peer.next_change(at)) is not None:
        edges.append(edge - NOW)
        at = edge
    assert edges == [200, 400, 3_000]
    peer.refuse(NOW + 50)
    assert peer.next_change(NOW + 400) == NOW + 50 + REFUSAL_FRESH_MS + 1


def test_what_is_news_in_an_advert() -> None:
    peer = Peer(MEMBERS[0], TIMING)
    assert peer.hear(advert(), NOW, confirmed=True)
    assert not peer.hear(advert(), NOW + 1, confirmed=True)
    assert peer.hear(advert(State.MASTER), NOW + 2, confirmed=True)
    assert peer.hear(advert(State.MASTER, hears=(B,)), NOW + 3, confirmed=True)
    assert peer.hears(B)
    assert not peer.hears(C)
    assert peer.last_heard == NOW + 3


def test_what_is_said_once_more_of_a_group_that_was_gone_is_news() -> None:
    peer = heard()
    peer.forget_group(GROUP)
    assert peer.group(GROUP) is None
    assert peer.hear(advert(), NOW + 1, confirmed=True)
    assert peer.group(GROUP) is not None
    assert not peer.hear(advert(), NOW + 2, confirmed=True)


def test_an_advert_told_in_parts_updates_what_it_names() -> None:
    peer = heard()
    peer.hear(Advert(A, DIGEST, 400, Leaving.NO, False, (), ()), NOW + 1, confirmed=True)
    group = peer.group(GROUP)
    assert group is not None
    assert group.state is State.BACKUP


def test_and_no_part_that_says_the_same_again_is_news() -> None:
    peer = Peer(MEMBERS[0], TIMING)
    named = (GROUP, GroupName("other"))
    parts = [
        Advert(A, DIGEST, 400, Leaving.NO, False, (), (GroupAdvert(name, State.BACKUP, 1, 100, eligible=True),))
        for name in named
    ]
    news = [peer.hear(part, NOW + at, confirmed=True) for at, part in enumerate((*parts, *parts))]
    assert news == [True, True, False, False]


def test_an_unconfirmed_advert_of_a_confirmed_peer_is_a_sign_of_life_only() -> None:
    peer = heard()
    assert not peer.hear(advert(State.MASTER), NOW + 300, confirmed=False)
    assert peer.liveness(NOW + 400) is Liveness.ALIVE
    group = peer.group(GROUP)
    assert group is not None
    assert group.state is State.BACKUP


def test_but_after_a_goodbye_it_is_all_there_is_to_go_by() -> None:
    peer = heard(leaving=Leaving.STOPPING)
    assert peer.liveness(NOW + 1) is Liveness.LEFT
    assert peer.hear(advert(State.MASTER), NOW + 1, confirmed=False)
    assert peer.liveness(NOW + 1) is Liveness.ALIVE
    group = peer.group(GROUP)
    assert group is not None
    assert group.state is State.MASTER
    assert not peer.sure


def test_another_daemon_that_may_speak_makes_a_peers_word_unsure_until_it_is_confirmed() -> None:
    peer = heard()
    assert peer.sure
    peer.hear(advert(State.MASTER), NOW + 10, confirmed=False)
    peer.hear(advert(State.MASTER), NOW + 20, confirmed=False)
    assert (peer.sure, peer.unsure_since) == (False, NOW + 10)
    peer.hear(advert(), NOW + 30, confirmed=True)
    assert peer.sure


def test_and_all_there_is_to_go_by_once_what_was_confirmed_is_silent() -> None:
    peer = heard()
    for after in (0, 100, 200, 300, 399):
        assert not peer.hear(advert(State.MASTER), NOW + after, confirmed=False)
    assert peer.hear(advert(State.MASTER), NOW + 400, confirmed=False)
    group = peer.group(GROUP)
    assert group is not None
    assert group.state is State.MASTER
    assert not peer.confirmed


def test_confirmation_is_news() -> None:
    peer = heard(confirmed=False)
    assert peer.hear(advert(), NOW + 1, confirmed=True)
    assert peer.confirmed


@pytest.mark.parametrize("state", State)
def test_a_claiming_peer_is_known(state: State) -> None:
    peer = Peer(MEMBERS[0], TIMING)
    peer.hear(advert(state), NOW, confirmed=True)
    assert peer.claiming is (state is State.CLAIMING)


# -- the table ---------------------------------------------------------------------------------------------------


@pytest.fixture
def table() -> PeerTable:
    return PeerTable((MEMBERS[2], MEMBERS[0]), TIMING)


def hear(table: PeerTable, name: NodeName, at: int, *, leaving: Leaving = Leaving.NO) -> Peer:
    peer = table.get(name)
    assert peer is not None
    peer.hear(advert(leaving=leaving), at, confirmed=True)
    return peer


def test_peers_come_in_node_order_and_strangers_are_none(table: PeerTable) -> None:
    assert [peer.name for peer in table] == [A, C]
    assert table.get(B) is None
    assert table.next_change(NOW) is None


def test_who_was_never_heard_is_no_confirmed_voice(table: PeerTable) -> None:
    assert [(peer.confirmed, peer.sure) for peer in table] == [(False, False)] * 2


def test_another_file_changes_nothing_of_what_is_believed_of_those_that_stay(table: PeerTable) -> None:
    peer = hear(table, A, NOW)
    table.sweep(NOW)
    table.configure(MEMBERS, TIMING)
    assert [each.member for each in table] == [*MEMBERS]
    assert table.sweep(NOW + 100) == ()
    assert peer.present_since == NOW


def test_a_sweep_tells_each_change_once(table: PeerTable) -> None:
    peer = hear(table, A, NOW)
    assert table.sweep(NOW) == ((peer, Liveness.NEVER),)
    assert peer.present_since == NOW
    assert table.sweep(NOW + 199) == ()
    assert table.sweep(NOW + 200) == ((peer, Liveness.ALIVE),)
    hear(table, A, NOW + 250)
    assert table.sweep(NOW + 250) == ((peer, Liveness.LATE),)
    assert peer.present_since == NOW, "a late peer was never away"
    assert table.sweep(NOW + 650) == ((peer, Liveness.ALIVE),)
    assert not peer.confirmed, "a recording of a dead peer must not sound like the peer"
    hear(table, A, NOW + 700)
    table.sweep(NOW + 700)
    assert peer.present_since == NOW + 700


def test_who_is_heard_now(table: PeerTable) -> None:
    hear(table, A, NOW)
    hear(table, C, NOW + 300)
    assert table.heard(NOW + 300) == (A, C)
    assert table.heard(NOW + 400) == (C,)
    assert table.next_change(NOW + 300) == NOW + 400
    assert Liveness.RESTARTING not in AUDIBLE


def test_a_sleeper_blames_nobody_that_was_there_before(table: PeerTable) -> None:
    hear(table, A, NOW)
    table.sweep(NOW)
    table.excuse_all(NOW + 20_000)
    peer = table.get(A)
    assert peer is not None
    assert peer.liveness(NOW + 20_000) is Liveness.ALIVE


def test_a_sleeper_does_not_raise_the_dead(table: PeerTable) -> None:
    peer = hear(table, A, NOW)
    table.sweep(NOW)
    table.sweep(NOW + 400)
    table.excuse_all(NOW + 20_000)
    assert peer.liveness(NOW + 20_000) is Liveness.DOWN


def test_a_peer_that_only_refused_needs_no_excuse(table: PeerTable) -> None:
    peer = table.get(A)
    assert peer is not None
    peer.refuse(NOW)
    table.sweep(NOW)
    table.excuse_all(NOW + 100)
    before = peer.last_heard
    assert before is None


def test_what_is_believed_is_worked_out_anew_when_something_is_heard() -> None:
    peer = heard()
    assert peer.liveness(NOW + 399) is Liveness.LATE
    assert peer.liveness(NOW + 100) is Liveness.ALIVE  # asked about an earlier moment
    peer.hear(advert(), NOW + 399, confirmed=True)
    assert peer.liveness(NOW + 399) is Liveness.ALIVE
    peer.hear(advert(leaving=Leaving.STOPPING), NOW + 399, confirmed=True)
    assert peer.liveness(NOW + 399) is Liveness.LEFT
    peer.forget()
    assert peer.liveness(NOW + 399) is Liveness.ALIVE
    assert peer.confirmed is False, "it is compared with what comes with the next datagram"


def test_a_repetition_is_taken_in_and_is_no_news() -> None:
    table = PeerTable(MEMBERS, TIMING)
    said, changed = AdvertReceived(advert(), "udp"), AdvertReceived(advert(State.MASTER), "udp")
    assert table.repeats(said, NOW) is False  # never heard: its first word is news
    peer = table.get(A)
    assert peer is not None
    before = peer.last_heard
    assert before is None
    peer.hear(said.advert, NOW, confirmed=True)
    assert table.repeats(said, NOW) is False  # not yet believed alive
    table.sweep(NOW)
    assert table.repeats(AdvertReceived(advert(), "udp"), NOW + 100) is True
    assert table.repeats(changed, NOW + 150) is False
    assert table.repeats(AdvertReceived(advert(), "udp", confirmed=False), NOW + 150) is False
    assert peer.last_heard == NOW + 100
    assert table.sweep(NOW + 299) == ()


def test_a_stranger_repeats_nothing() -> None:
    said = replace(advert(), node=NodeName("stranger"))
    assert PeerTable(MEMBERS, TIMING).repeats(AdvertReceived(said, "udp"), NOW) is False
