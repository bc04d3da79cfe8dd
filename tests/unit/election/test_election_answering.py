from __future__ import annotations

import pytest

from hafailover.election.answering import RETRY_CAP_MS, RETRY_MS, Answering
from hafailover.election.effects import Arm, Effect, ProbeGuest, StopAnswering
from hafailover.election.events import GuestArmed, GuestProbed
from tests.unit.election.bench import GROUP, OTHER, VIP

THERE = GuestArmed(GROUP, VIP)
FAILED = GuestArmed(GROUP, VIP, "no such interface")


class Case:
    def __init__(self, *leftovers: str) -> None:
        self.asked: list[Effect] = []
        mine = tuple(each for each in (VIP, OTHER) if each.id in leftovers)
        self.guest = Answering(GROUP, (VIP, OTHER), self.asked.append, leftovers=mine)

    def taken(self) -> list[Effect]:
        asked, self.asked[:] = list(self.asked), []
        return asked


def test_all_addresses_are_asked_for_also_those_that_may_be_there() -> None:
    case = Case(VIP.id)
    case.guest.arm()
    assert case.taken() == [Arm(GROUP, VIP), Arm(GROUP, OTHER)]
    assert case.guest.carries == [VIP, OTHER]


def test_all_that_is_there_is_let_go() -> None:
    case = Case(VIP.id, OTHER.id)
    case.guest.disarm(OTHER)
    assert (case.taken(), case.guest.carries) == ([StopAnswering(GROUP, OTHER)], [VIP])
    case.guest.disarm_all()
    assert (case.taken(), case.guest.carries) == ([StopAnswering(GROUP, VIP)], [])
    case.guest.disarm_all()
    assert case.taken() == []


def test_what_comes_after_it_was_let_go_is_taken_off_again() -> None:
    case = Case()
    assert case.guest.armed(THERE, 5)
    assert case.taken() == [StopAnswering(GROUP, VIP)]
    case.guest.arm()
    case.taken()
    assert case.guest.armed(THERE, 6)
    assert case.taken() == []


def test_only_what_is_carried_is_put_back() -> None:
    case = Case(VIP.id)
    case.guest.vanished(OTHER)
    assert case.taken() == []
    case.guest.vanished(VIP)
    assert case.taken() == [Arm(GROUP, VIP)]


@pytest.mark.parametrize(
    ("failures", "wait_ms"), [(1, RETRY_MS), (2, 2 * RETRY_MS), (6, 320_000), (7, RETRY_CAP_MS), (40, RETRY_CAP_MS)]
)
def test_the_wait_doubles_with_each_failure_up_to_its_cap(failures: int, wait_ms: int) -> None:
    case = Case()
    for _ in range(failures):
        case.guest.error = ""
        assert not case.guest.armed(FAILED, 70)
    assert (case.guest.error, case.guest.retry_at) == ("no such interface", 70 + wait_ms)


def test_several_that_fail_together_count_once_and_success_begins_anew() -> None:
    case = Case()
    case.guest.arm()
    case.guest.armed(FAILED, 70)
    case.guest.armed(GuestArmed(GROUP, OTHER, "no such interface"), 70)
    assert case.guest.retry_at == 70 + RETRY_MS
    case.guest.armed(THERE, 80)
    assert case.guest.error == "no such interface", "the other address is not there yet"
    case.guest.armed(GuestArmed(GROUP, OTHER), 85)
    assert case.guest.error == ""
    case.guest.armed(FAILED, 90)
    assert case.guest.retry_at == 90 + RETRY_MS


def test_one_that_is_there_at_once_does_not_shorten_the_wait_for_one_that_never_comes() -> None:
    case, other = Case(), GuestArmed(GROUP, OTHER, "no such link")
    for wait_ms in (RETRY_MS, 2 * RETRY_MS, 4 * RETRY_MS):
        case.guest.arm()
        case.guest.armed(THERE, 60)
        case.guest.armed(other, 70)
        assert case.guest.retry_at == 70 + wait_ms
        case.guest.disarm_all()
        case.guest.probed(GuestProbed(GROUP), 80)
    case.guest.arm()
    case.guest.armed(THERE, 85)
    case.guest.armed(GuestArmed(GROUP, OTHER), 86)
    case.guest.armed(other, 90)
    assert case.guest.retry_at == 90 + RETRY_MS, "once all was there"


def test_what_was_let_go_is_not_waited_for() -> None:
    case = Case()
    case.guest.arm()
    case.guest.armed(FAILED, 70)
    case.guest.probed(GuestProbed(GROUP), 80)
    case.guest.disarm(OTHER)
    case.guest.armed(THERE, 85)
    case.guest.armed(FAILED, 90)
    assert case.guest.retry_at == 90 + RETRY_MS


def test_what_is_not_waited_for_any_more_keeps_the_count_of_failures() -> None:
    case = Case()
    case.guest.arm()
    case.guest.armed(FAILED, 70)
    case.guest.disarm_all()
    case.guest.probed(GuestProbed(GROUP), 80)
    case.guest.armed(THERE, 85)
    case.guest.armed(FAILED, 90)
    assert case.guest.retry_at == 90 + 2 * RETRY_MS


def test_a_guest_that_was_looked_at_begins_anew() -> None:
    case = Case()
    case.guest.armed(FAILED, 70)
    case.guest.probed(GuestProbed(GROUP), 80)
    assert case.guest.error == ""
    case.guest.armed(GuestArmed(GROUP, OTHER), 85)
    assert case.guest.error == ""


def test_a_guest_in_which_something_is_still_wrong_stays_at_fault_whatever_else_is_there() -> None:
    case = Case()
    case.guest.armed(FAILED, 70)
    case.guest.probed(GuestProbed(GROUP, "no such interface"), 80)
    assert (case.guest.error, case.guest.retry_at) == ("no such interface", 80 + RETRY_MS)
    case.guest.armed(GuestArmed(GROUP, OTHER), 85)
    assert case.guest.error == "no such interface"


def test_a_guest_is_looked_at_once_at_a_time() -> None:
    case = Case()
    case.guest.armed(FAILED, 70)
    case.guest.probe()
    case.guest.probe()
    assert case.taken() == [ProbeGuest(GROUP)]
    case.guest.probed(GuestProbed(GROUP, "no such interface"), 80)
    case.guest.probe()
    assert case.taken() == [ProbeGuest(GROUP)]
