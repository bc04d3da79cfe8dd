from __future__ import annotations

import pytest

from hafailover.election.values import GuardVerdict, NodeName
from hafailover.heartbeat.presence import Presence, PresenceState
from hafailover.heartbeat.witness import LATELY_US, SETTLING_US, Finding, Witness

PEER = NodeName("web-a")
S = 1_000_000
FRESH_US = S
KEEPALIVE_US = 2 * S
BOOT, OTHER_BOOT = b"boot 1..", b"boot 2.."
ONLINE, LOST, LEFT = PresenceState.ONLINE, PresenceState.LOST, PresenceState.LEFT


class Story:
    """A witness that has long been connected; instants are in seconds."""

    def __init__(self, *, alone: bool = False) -> None:
        self.witness = Witness(alone=alone, fresh_us=FRESH_US, keepalive_us=KEEPALIVE_US)
        self.witness.connected(0)

    def says(
        self, state: PresenceState, at: float, *, boot: bytes = BOOT, connection: int = 1, retained: bool = False
    ) -> None:
        self.witness.saw(Presence(PEER, state, boot, connection), round(at * S), retained=retained)

    def heard(self, at: float, *, news: bool = True) -> None:
        self.witness.heard(PEER, round(at * S), news=news)

    def find(self, at: float, peer: NodeName | None = PEER) -> Finding:
        """Ask, with an own heartbeat that was sent when the question was asked and has just come back."""
        now_us = round(at * S)
        self.witness.returned(now_us - 5, now_us)
        return self.witness.find(peer, now_us, now_us - 10)


@pytest.fixture
def story() -> Story:
    return Story()


def test_a_node_that_the_broker_does_not_see_may_not_accuse(story: Story) -> None:
    story.says(ONLINE, 1)
    story.heard(10)
    story.says(LOST, 13)
    assert story.find(14) is Finding.HOST_LOST
    asked_at_us = 15 * S
    assert story.witness.find(PEER, asked_at_us + 1, asked_at_us) is Finding.CUT_OFF
    assert Finding.CUT_OFF.verdict is GuardVerdict.DENY


def test_a_broker_that_is_away_for_long_or_from_the_start_is_not_needed(story: Story) -> None:
    assert story.witness.find(PEER, S, S) is Finding.BROKER_DOWN
    story.witness.returned(10 * S, 10 * S)
    assert story.witness.find(PEER, 10 * S + LATELY_US - 1, 11 * S) is Finding.CUT_OFF
    assert story.witness.find(PEER, 10 * S + LATELY_US, 11 * S) is Finding.BROKER_DOWN
    assert Finding.BROKER_DOWN.verdict is GuardVerdict.UNKNOWN


def test_where_it_is_the_only_path_nothing_is_allowed_without_the_broker() -> None:
    story = Story(alone=True)
    assert story.witness.find(PEER, S, S) is Finding.ONLY_PATH
    story.witness.returned(S, S)
    assert story.witness.find(PEER, 2 * LATELY_US, 2 * LATELY_US) is Finding.ONLY_PATH
    assert Finding.ONLY_PATH.verdict is GuardVerdict.DENY


@pytest.mark.parametrize("sign", ["heartbeat", "connection"])
def test_a_peer_that_the_broker_brings_is_not_accused(story: Story, sign: str) -> None:
    if sign == "heartbeat":
        story.heard(20)
    else:
        story.says(ONLINE, 20)
    assert story.find(20.33) is Finding.RETURNED
    assert story.find(20.34) is not Finding.RETURNED
    assert Finding.RETURNED.verdict is GuardVerdict.DENY


def test_what_another_path_had_brought_before_is_no_sign_of_life(story: Story) -> None:
    story.says(ONLINE, 1)
    story.heard(19.9)
    story.heard(20, news=False)
    assert story.find(20.3) is Finding.CONNECTED
    story.says(LOST, 22)
    assert story.find(22.1) is Finding.HOST_LOST
    story.heard(30, news=False)
    story.says(ONLINE, 30.1, connection=2)
    story.says(LOST, 31.9, connection=2)
    assert story.find(32) is Finding.DAEMON_LOST


def test_what_the_broker_had_kept_is_no_sign_of_life(story: Story) -> None:
    story.says(ONLINE, 20, retained=True)
    assert story.find(20.1) is Finding.CONNECTED


def test_after_this_nodes_return_others_are_given_time_to_return(story: Story) -> None:
    story.heard(90)
    story.witness.connected(100 * S)
    assert story.find(100.1) is Finding.SETTLING
    assert Finding.SETTLING.verdict is GuardVerdict.DENY
    assert story.find(100 + SETTLING_US / S) is Finding.UNSEEN


def test_but_not_who_has_been_back_and_is_silent_since(story: Story) -> None:
    story.witness.connected(100 * S)
    story.heard(100.5, news=False)
    assert story.find(102) is Finding.UNSEEN


def test_a_will_long_after_the_last_heartbeat_is_evidence_against_the_host(story: Story) -> None:
    story.says(ONLINE, 1)
    story.heard(10)
    story.says(LOST, 12)
    assert story.find(12.1) is Finding.HOST_LOST
    assert Finding.HOST_LOST.verdict is GuardVerdict.ALLOW


def test_a_will_right_after_a_heartbeat_is_none(story: Story) -> None:
    story.says(ONLINE, 1)
    story.heard(10)
    story.says(LOST, 11.999)
    assert story.find(12.1) is Finding.DAEMON_LOST
    assert Finding.DAEMON_LOST.verdict is GuardVerdict.UNKNOWN


def test_a_late_will_is_no_evidence_against_a_host_whose_kernel_has_answered_since(story: Story) -> None:
    story.says(ONLINE, 1)
    story.witness.refused(PEER, 9 * S)
    story.heard(10)
    story.says(LOST, 13)
    assert story.find(13.1) is Finding.HOST_LOST
    story.witness.refused(PEER, round(10.2 * S))
    assert story.find(13.2) is Finding.DAEMON_GONE
    assert Finding.DAEMON_GONE.verdict is GuardVerdict.UNKNOWN


def test_nor_is_one_that_the_broker_had_kept_or_that_ends_nothing_known(story: Story) -> None:
    story.heard(10)
    story.says(LOST, 20, retained=True)
    assert story.find(21) is Finding.UNSEEN
    story.says(LOST, 22, boot=OTHER_BOOT)
    assert story.find(23) is Finding.UNSEEN


def test_nor_without_a_heartbeat_that_would_date_it(story: Story) -> None:
    story.says(ONLINE, 1)
    story.says(LOST, 12)
    assert story.find(13) is Finding.UNSEEN


def test_a_will_of_an_older_connection_does_not_hurt_a_living_node(story: Story) -> None:
    story.says(ONLINE, 1, connection=1)
    story.heard(10)
    story.says(ONLINE, 12, connection=2)  # it took over its own session
    story.says(LOST, 12.1, connection=1)
    assert story.find(20) is Finding.CONNECTED


def test_nor_does_a_recorded_word_of_an_older_connection(story: Story) -> None:
    story.says(ONLINE, 1, connection=2)
    story.heard(10)
    story.says(LOST, 13, connection=2)
    story.says(ONLINE, 14, connection=1)
    assert story.find(14.1) is Finding.HOST_LOST


def test_a_node_that_says_again_that_it_is_there_is_there(story: Story) -> None:
    story.says(ONLINE, 1)
    story.heard(10)
    story.says(LOST, 13)
    story.says(ONLINE, 14)
    assert story.find(14.3) is Finding.RETURNED
    assert story.find(20) is Finding.CONNECTED


def test_a_new_daemon_takes_the_place_of_the_old_one(story: Story) -> None:
    story.says(ONLINE, 1, connection=7)
    story.says(ONLINE, 2, boot=OTHER_BOOT, connection=1)
    story.heard(10)
    story.says(LOST, 13, connection=7)
    assert story.find(14) is Finding.CONNECTED
    story.says(LOST, 15, boot=OTHER_BOOT, connection=1)
    assert story.find(16) is Finding.HOST_LOST


def test_a_goodbye_and_a_connection_say_nothing_of_the_service(story: Story) -> None:
    story.says(ONLINE, 1)
    assert story.find(10) is Finding.CONNECTED
    story.says(LEFT, 11)
    assert story.find(12) is Finding.LEFT
    assert {Finding.LEFT.verdict, Finding.CONNECTED.verdict, Finding.UNSEEN.verdict} == {GuardVerdict.UNKNOWN}


def test_of_whom_nobody_knows_nothing_is_said_either(story: Story) -> None:
    story.says(LOST, 13)
    assert story.find(14, None) is Finding.UNSEEN
