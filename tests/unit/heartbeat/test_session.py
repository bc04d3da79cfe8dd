from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hafailover.election.values import Advert, Leaving, NodeName
from hafailover.errors import WireError
from hafailover.heartbeat.lineage import MAX_RETIRED
from hafailover.heartbeat.session import (
    ANSWER_BURST,
    ANSWER_GAP_US,
    CANDIDATE_LIFE_US,
    LOSS_WINDOW,
    MAX_CANDIDATES,
    MAX_RTT_US,
    Own,
    PeerSessions,
    Session,
    Standing,
)
from hafailover.heartbeat.wire import MAX_HELD_US, Message, PeerRecord, Reject

ME, PEER = NodeName("me"), NodeName("peer")
MINE, OLDER_MINE = b"my boot.", b"my older"
SILENT_US = 500_000
MS = 1_000


def boot(number: int) -> bytes:
    return b"boot%04d" % number


def message(number: int, sequence: int, sent_at_us: int = 0) -> Message:
    return Message(boot(number), sequence, sent_at_us, (), Advert(PEER, bytes(8), 1_000, Leaving.NO, False, (), ()))


def echo(
    sequence: int, of: bytes = MINE, *, echo_us: int = 0, held_us: int = 0, confirmed: bool = False
) -> PeerRecord:
    return PeerRecord(ME, of, sequence, echo_us, held_us, confirmed)


def own(next_sequence: int) -> Own:
    return Own(MINE, next_sequence)


def confirmed(number: int = 1, *, sequence: int = 2) -> PeerSessions:
    """Return sessions with this boot confirmed by an echo of our sequence 5, last heard at 1 ms."""
    sessions = PeerSessions(SILENT_US)
    sessions.hear(message(number, sequence - 1), None, own(5), 0)
    sessions.hear(message(number, sequence), echo(5), own(6), 1 * MS)
    return sessions


def rejected(sessions: PeerSessions, heard: Message, record: PeerRecord | None = None, now_us: int = 2 * MS) -> str:
    with pytest.raises(WireError) as caught:
        sessions.hear(heard, record, own(100), now_us)
    return caught.value.reason


# Confirmation


def test_a_boot_is_confirmed_by_an_echo_of_what_was_sent_after_it_was_first_heard() -> None:
    sessions = PeerSessions(SILENT_US)
    assert sessions.hear(message(1, 1), None, own(5), 0) is Standing.UNCONFIRMED
    assert sessions.hear(message(1, 2), echo(4), own(6), 0) is Standing.UNCONFIRMED
    assert sessions.hear(message(1, 3), echo(5), own(6), 0) is Standing.CONFIRMED
    assert sessions.hear(message(1, 4), None, own(7), 0) is Standing.CONFIRMED


def test_the_first_datagram_never_confirms_even_with_our_boot_in_it() -> None:
    sessions = PeerSessions(SILENT_US)
    assert sessions.hear(message(1, 1), echo(4), own(5), 0) is Standing.UNCONFIRMED


def test_an_echo_of_an_older_boot_of_ours_confirms_nothing() -> None:
    sessions = PeerSessions(SILENT_US)
    sessions.hear(message(1, 1), None, own(5), 0)
    assert sessions.hear(message(1, 2), echo(900, OLDER_MINE), own(6), 0) is Standing.UNCONFIRMED


# Replay


@pytest.mark.parametrize("sequence", [1, 2])
def test_a_duplicate_or_overtaken_datagram_is_a_replay(sequence: int) -> None:
    assert rejected(confirmed(), message(1, sequence), echo(99)) == Reject.REPLAYED


def test_a_replay_says_what_came_after_what() -> None:
    with pytest.raises(WireError, match=r"^replayed: 1 after 2$"):
        confirmed().hear(message(1, 1), None, own(100), 2 * MS)


def test_nothing_was_seen_of_a_peer_before_its_first_datagram() -> None:
    assert PeerSessions(SILENT_US).seen_at_us is None


def test_a_replay_does_not_refresh_the_peer() -> None:
    sessions = confirmed()
    rejected(sessions, message(1, 2), now_us=700 * MS)
    assert sessions.seen_at_us == 1 * MS


def test_a_recording_from_before_our_start_is_never_confirmed() -> None:
    sessions = PeerSessions(SILENT_US)
    for sequence in range(1, 500):
        record = echo(sequence, OLDER_MINE, confirmed=True)
        standing = sessions.hear(message(1, sequence), record, own(sequence), sequence * MS)
        assert standing is Standing.UNCONFIRMED


def test_a_recording_that_knew_our_present_boot_is_never_confirmed() -> None:
    # The recorded daemon ran beside this one and has echoed all of our first 99 datagrams.
    sessions = PeerSessions(SILENT_US)
    for sequence in range(1, 100):
        standing = sessions.hear(
            message(1, sequence), echo(sequence, confirmed=True), own(100 + sequence), sequence
        )
        assert standing is Standing.UNCONFIRMED


def test_a_recording_never_displaces_a_live_confirmed_boot() -> None:
    sessions = confirmed(2)
    for sequence in range(1, 50):
        now_us = sequence * 100 * MS
        assert sessions.hear(message(2, 2 + sequence), echo(9), own(200), now_us) is Standing.CONFIRMED
        assert sessions.hear(message(1, sequence), echo(sequence), own(200), now_us) is Standing.HIDDEN


def test_a_recording_beside_a_silent_boot_is_a_sign_of_life_and_the_boot_may_come_back() -> None:
    sessions = confirmed(2)
    assert sessions.hear(message(1, 1), None, own(9), 1 * MS + SILENT_US) is Standing.HIDDEN
    assert sessions.hear(message(1, 2), None, own(9), 2 * MS + SILENT_US) is Standing.UNCONFIRMED
    assert sessions.hear(message(2, 3), None, own(9), 3 * MS + SILENT_US) is Standing.CONFIRMED


def test_a_boot_that_asks_for_longer_counts_as_silent_later() -> None:
    sessions = confirmed(2)
    said = message(2, 3)
    asks = replace(said, advert=replace(said.advert, dead_interval_ms=6_000))
    sessions.hear(asks, None, own(9), 1 * MS)
    assert sessions.hear(message(1, 1), None, own(9), 3_001 * MS) is Standing.HIDDEN
    assert sessions.hear(message(1, 2), None, own(9), 3_002 * MS) is Standing.UNCONFIRMED
    sessions.hear(message(2, 4), None, own(9), 4_000 * MS)
    assert sessions.hear(message(1, 3), None, own(9), 4_501 * MS) is Standing.UNCONFIRMED


def test_a_hidden_datagram_does_not_count_as_seen() -> None:
    sessions = confirmed(2)
    sessions.hear(message(1, 1), None, own(9), 100 * MS)
    assert sessions.seen_at_us == 1 * MS


# Restart


def test_a_restarted_peer_takes_over_once_confirmed_and_its_old_boot_never_returns() -> None:
    sessions = confirmed(1)
    assert sessions.hear(message(2, 1), None, own(9), 2 * MS) is Standing.HIDDEN
    assert sessions.hear(message(2, 2), echo(9), own(10), 3 * MS) is Standing.CONFIRMED
    assert rejected(sessions, message(1, 3), echo(50)) == Reject.RETIRED_BOOT
    assert rejected(sessions, message(1, 4), echo(50), now_us=3600_000 * MS) == Reject.RETIRED_BOOT


def test_a_late_proof_of_the_boot_before_does_not_displace_its_successor() -> None:
    sessions = PeerSessions(SILENT_US)
    sessions.hear(message(1, 1), None, own(5), 0)
    sessions.hear(message(2, 1), None, own(6), 1 * MS)
    assert sessions.hear(message(2, 2), echo(6), own(7), 2 * MS) is Standing.CONFIRMED
    late = message(1, 2)  # made while boot 1 lived, in answer to our 5
    assert sessions.hear(late, echo(5), own(8), 3 * MS) is Standing.HIDDEN
    assert sessions.hear(message(2, 3), None, own(9), 4 * MS) is Standing.CONFIRMED


def test_a_candidate_beside_a_boot_that_is_confirmed_may_answer_the_next_challenge() -> None:
    sessions = PeerSessions(SILENT_US)
    sessions.hear(message(2, 1), None, own(5), 0)
    sessions.hear(message(1, 1), None, own(6), 0)
    assert sessions.hear(message(1, 2), echo(6), own(7), 1 * MS) is Standing.CONFIRMED
    assert sessions.hear(message(2, 2), echo(6), own(7), 2 * MS) is Standing.HIDDEN
    assert sessions.hear(message(2, 3), echo(7), own(8), 3 * MS) is Standing.CONFIRMED


def test_the_retired_boots_are_bounded_and_a_forgotten_one_is_still_not_believed() -> None:
    sessions = confirmed(0)
    for number in range(1, MAX_RETIRED + 2):
        first = 100 * number
        sessions.hear(message(number, 1), None, own(first), number)
        assert sessions.hear(message(number, 2), echo(first), own(first + 1), number) is Standing.CONFIRMED
    assert len(sessions._lineage._retired) == MAX_RETIRED
    assert sessions.hear(message(0, 3), echo(6), own(5000), 100) is Standing.HIDDEN
    assert sessions.hear(message(0, 4), echo(4999), own(5001), 100) is Standing.HIDDEN
    assert rejected(sessions, message(1, 3)) == Reject.RETIRED_BOOT


def test_candidates_are_bounded_and_the_one_with_the_most_chances_goes_first() -> None:
    sessions = PeerSessions(SILENT_US)
    for sequence in (1, 2, 3):
        sessions.hear(message(0, sequence), None, own(5), 0)
    for number in range(1, MAX_CANDIDATES + 1):
        sessions.hear(message(number, 1), None, own(5), 0)
    assert {candidate.boot for candidate in sessions._candidates} == {boot(n) for n in range(1, MAX_CANDIDATES + 1)}


def test_the_candidate_with_the_most_chances_is_told_by_count_not_by_age() -> None:
    sessions = PeerSessions(SILENT_US)
    for number in range(MAX_CANDIDATES):
        for sequence in (1, 2, 3)[: 3 if number == 2 else 2]:
            sessions.hear(message(number, sequence), None, own(5), 0)
    sessions.hear(message(9, 1), None, own(5), 0)
    assert [candidate.boot for candidate in sessions._candidates] == [boot(0), boot(1), boot(3), boot(9)]


def test_a_silent_candidate_is_forgotten_and_begins_again() -> None:
    sessions = PeerSessions(SILENT_US)
    sessions.hear(message(1, 7), None, own(5), 0)
    assert rejected(sessions, message(1, 7), now_us=CANDIDATE_LIFE_US - 1) == Reject.REPLAYED
    assert sessions.hear(message(1, 7), echo(5), own(50), CANDIDATE_LIFE_US) is Standing.UNCONFIRMED
    assert sessions.hear(message(1, 8), echo(49), own(51), CANDIDATE_LIFE_US) is Standing.UNCONFIRMED
    assert sessions.hear(message(1, 9), echo(50), own(51), CANDIDATE_LIFE_US) is Standing.CONFIRMED


# What the peer is told


def test_a_peer_never_heard_is_told_so() -> None:
    assert PeerSessions(SILENT_US).record(PEER, 0) == PeerRecord(PEER)


def test_a_peer_is_told_its_boot_and_the_echo_for_its_round_trip_time() -> None:
    sessions = confirmed()
    sessions.hear(message(1, 3, sent_at_us=777), None, own(7), 10 * MS)
    assert sessions.record(PEER, 14 * MS) == PeerRecord(PEER, boot(1), 3, 777, 4 * MS, confirmed=True)


@pytest.mark.parametrize(("now_us", "held_us"), [(0, 0), (1 * MS + 2**40, MAX_HELD_US)])
def test_the_time_held_stays_within_its_field(now_us: int, held_us: int) -> None:
    assert confirmed().record(PEER, now_us).held_us == held_us


def test_each_living_boot_is_told_of_in_turn_so_that_a_replay_hides_none() -> None:
    sessions = confirmed(1)
    sessions.hear(message(2, 1), None, own(9), 2 * MS)
    records = [sessions.record(PEER, 3 * MS) for _ in range(4)]
    assert {(record.boot, record.confirmed) for record in records} == {(boot(1), True), (boot(2), False)}


def test_an_answer_tells_of_the_boot_that_it_answers() -> None:
    sessions = confirmed(1)
    sessions.hear(message(2, 1), None, own(9), 2 * MS)
    assert [sessions.record(PEER, 3 * MS, boot(2)).boot for _ in range(3)] == [boot(2)] * 3


# Answers


def test_an_unconfirmed_boot_is_answered_within_the_limit() -> None:
    sessions = PeerSessions(SILENT_US)
    heard = message(1, 1)
    sessions.hear(heard, echo(1), own(5), 0)
    answers = [sessions.may_answer(heard, echo(1), own(5), now_us) for now_us in range(0, 1_000 * MS, MS // 2)]
    assert answers[:ANSWER_BURST] == [True] * ANSWER_BURST
    assert sum(answers) <= ANSWER_BURST + 1_000 * MS // ANSWER_GAP_US
    assert sum(answers) >= 1_000 * MS // ANSWER_GAP_US


def test_a_burst_at_one_instant_has_its_four_answers() -> None:
    sessions = PeerSessions(SILENT_US)
    answers = [sessions.may_answer(message(1, 1), echo(1), own(5), 0) for _ in range(ANSWER_BURST + 2)]
    assert answers == [True] * ANSWER_BURST + [False] * 2


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        (echo(5, confirmed=True), False),  # both are sure
        (echo(5, confirmed=False), True),  # the peer is not
        (echo(5, OLDER_MINE, confirmed=True), True),  # the peer means an older daemon
        (None, False),  # the peer does not know this node and never will
    ],
)
def test_a_confirmed_boot_is_answered_while_it_is_not_sure_of_us(record: PeerRecord | None, wanted: bool) -> None:  # noqa: FBT001 - a parameter of the table
    assert confirmed().may_answer(message(1, 3), record, own(6), 2 * MS) is wanted


def test_a_new_boot_is_answered_beside_a_confirmed_one() -> None:
    assert confirmed(1).may_answer(message(2, 1), echo(5, confirmed=True), own(6), 2 * MS)


# Measures


def test_the_round_trip_time_leaves_out_what_the_peer_held() -> None:
    sessions = confirmed()
    sessions.hear(message(1, 3), echo(6, echo_us=10 * MS, held_us=5 * MS), own(7), 16 * MS)
    assert (sessions.rtt_us, sessions.srtt_us) == (1 * MS, 1 * MS)
    sessions.hear(message(1, 4), echo(6, echo_us=10 * MS, held_us=5 * MS), own(7), 24 * MS)
    assert (sessions.rtt_us, sessions.srtt_us) == (9 * MS, 2 * MS)


def test_a_round_trip_may_take_no_time_and_the_smoothed_one_is_whole() -> None:
    sessions = confirmed()
    sessions.hear(message(1, 3), echo(6, echo_us=10 * MS, held_us=6 * MS), own(7), 16 * MS)
    assert (sessions.rtt_us, sessions.srtt_us) == (0, 875)
    sessions.hear(message(1, 4), echo(6, echo_us=10 * MS, held_us=6 * MS), own(7), 16 * MS + 17)
    assert (sessions.rtt_us, sessions.srtt_us) == (17, 767)
    assert isinstance(sessions.srtt_us, int)


@pytest.mark.parametrize(
    "record",
    [
        None,
        echo(6, OLDER_MINE, echo_us=10 * MS),
        echo(6, echo_us=10 * MS, held_us=MAX_HELD_US),
        echo(6, echo_us=10 * MS, held_us=7 * MS),  # longer than it can have been
    ],
)
def test_an_echo_that_cannot_be_right_measures_nothing(record: PeerRecord | None) -> None:
    sessions = PeerSessions(SILENT_US)
    sessions.hear(message(1, 1), None, own(5), 0)
    sessions.hear(message(1, 2), echo(5, held_us=MAX_HELD_US), own(6), 0)
    sessions.hear(message(1, 3), record, own(7), 16 * MS)
    assert (sessions.rtt_us, sessions.srtt_us) == (None, None)


def test_a_round_trip_longer_than_a_minute_is_not_one() -> None:
    sessions = confirmed()
    sessions.hear(message(1, 3), echo(5, echo_us=1), own(6), MAX_RTT_US + 1)
    assert sessions.rtt_us == MAX_RTT_US
    sessions.hear(message(1, 4), echo(5, echo_us=0), own(6), MAX_RTT_US + 1)
    assert sessions.rtt_us == MAX_RTT_US


def test_a_time_held_that_no_longer_fits_its_field_measures_nothing() -> None:
    sessions = confirmed()
    before = sessions.rtt_us
    record = echo(6, echo_us=1, held_us=MAX_HELD_US)
    sessions.hear(message(1, 3), record, own(7), 1 + MAX_HELD_US + 20_000 * MS)
    assert sessions.rtt_us == before


def test_an_unconfirmed_boot_measures_nothing() -> None:
    sessions = PeerSessions(SILENT_US)
    sessions.hear(message(1, 1), echo(3), own(5), 7)
    assert sessions.rtt_us is None


def test_loss_is_the_share_of_the_last_hundred_that_did_not_come() -> None:
    session = Session(boot(1), 1, 0)
    assert session.loss == 0.0
    for sequence in range(1, 301):
        if sequence % 4:
            session.advance(sequence, 0, 0)
    # 299 was the last to come: of 200..299 the 25 multiples of four are missing.
    assert session.loss == pytest.approx(0.25)


def test_loss_is_forgotten_after_a_hundred_good_ones() -> None:
    session = Session(boot(1), 1, 0)
    session.advance(1, 0, 0)
    session.advance(1_000_000, 0, 0)
    assert session.loss == pytest.approx(0.99)
    for sequence in range(1_000_001, 1_000_001 + LOSS_WINDOW):
        session.advance(sequence, 0, 0)
    assert session.loss == 0.0


def test_joining_in_the_middle_is_no_loss() -> None:
    session = Session(boot(1), 1, 0)
    session.advance(5_000, 0, 0)
    session.advance(5_001, 0, 0)
    assert session.loss == 0.0


@given(st.lists(st.integers(1, 400), min_size=1, max_size=300))
def test_loss_agrees_with_counting(sequences: list[int]) -> None:
    session = Session(boot(1), 1, 0)
    taken: list[int] = []
    for sequence in sequences:
        if not taken or sequence > taken[-1]:
            session.advance(sequence, 0, 0)
            taken.append(sequence)
    first = max(taken[0], taken[-1] - LOSS_WINDOW + 1)
    window = range(first, taken[-1] + 1)
    assert session.loss == pytest.approx(1 - len(set(window) & set(taken)) / len(window))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 30), st.integers(1, 50), st.integers(0, 20), st.booleans(), st.integers(0, 3_000 * MS)
        ),
        max_size=100,
    )
)
def test_whatever_is_replayed_nothing_is_confirmed_and_nothing_grows(
    recording: list[tuple[int, int, int, bool, int]],
) -> None:
    # Everything recorded echoes at most our sequence 20; we are beyond it.
    sessions = PeerSessions(SILENT_US)
    now_us = 0
    for place, (number, sequence, seen, ours, pause_us) in enumerate(recording):
        now_us += pause_us
        record = echo(seen, MINE if ours else OLDER_MINE)
        try:
            standing = sessions.hear(message(number, sequence), record, own(21 + place), now_us)
        except WireError as error:
            standing = Standing.HIDDEN if error.reason == Reject.REPLAYED else Standing.CONFIRMED
        assert standing is not Standing.CONFIRMED
        assert len(sessions._candidates) <= MAX_CANDIDATES
    assert sessions.current is None
