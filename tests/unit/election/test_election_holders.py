from __future__ import annotations

import pytest

from hafailover.election.events import HoldersRead
from hafailover.election.holders import Holders
from hafailover.election.values import Sighting
from tests.unit.election.bench import OTHER, VIP


class Most:
    def randint(self, a: int, b: int) -> int:
        del a
        return b


def read(holder: str | None, asked_at: int) -> HoldersRead:
    return HoldersRead((Sighting(VIP, holder),), asked_at)


@pytest.fixture
def holders() -> Holders:
    return Holders(Most())


def test_nothing_is_known_before_the_first_answer(holders: Holders) -> None:
    assert holders.sighting(VIP) is None
    assert holders.asked_at is None
    assert holders.last_asked is None
    assert holders.deadline is None
    assert not holders.readable
    assert not holders.want(0)


@pytest.mark.parametrize(("after", "known"), [(None, True), (99, True), (100, True), (101, False)])
def test_an_answer_is_as_fresh_as_its_question(holders: Holders, after: int | None, *, known: bool) -> None:
    holders.answer(read("eni-a", 100))
    assert holders.readable
    assert (holders.sighting(VIP, after=after) == Sighting(VIP, "eni-a")) is known
    assert holders.sighting(OTHER, after=after) is None


def test_one_read_at_a_time(holders: Holders) -> None:
    holders.need(50)
    assert [holders.deadline, holders.want(60)] == [0, True]
    assert holders.last_asked == 60
    assert not holders.want(61)
    holders.need(70)
    assert holders.deadline is None, "the answer under way is waited for"
    assert not holders.want(71)
    holders.answer(read("eni-a", 60))
    assert holders.last_asked == 60
    assert holders.want(80), "that question was asked too early"
    holders.answer(read("eni-a", 80))
    assert not holders.want(90)


@pytest.mark.parametrize(("asked_at", "again"), [(69, True), (70, False), (71, False)])
def test_a_need_is_met_by_a_question_that_is_late_enough(holders: Holders, asked_at: int, *, again: bool) -> None:
    holders.need(70)
    assert holders.want(60)
    holders.need(65)
    holders.need(70)
    holders.need(68)
    holders.answer(read("eni-a", asked_at))
    assert holders.want(100) is again


def test_a_need_that_is_met_already_asks_nothing(holders: Holders) -> None:
    holders.answer(read("eni-a", 100))
    holders.need(100)
    assert not holders.want(200)
    holders.need(101)
    assert holders.want(200)


def test_an_answer_to_an_older_question_changes_nothing(holders: Holders) -> None:
    holders.answer(read("eni-b", 100))
    holders.answer(read("eni-a", 99))
    assert holders.sighting(VIP) == Sighting(VIP, "eni-b")
    assert holders.asked_at == 100


def test_a_failed_read_is_repeated_after_a_growing_wait(holders: Holders) -> None:
    holders.answer(read("eni-a", 10))
    holders.need(100)
    assert holders.want(100)
    holders.fail(110, "ClientTimeout")
    assert (holders.failures, holders.last_error, holders.readable) == (1, "ClientTimeout", False)
    assert holders.deadline == 210
    assert [holders.want(at) for at in (209, 210)] == [False, True]
    holders.need(250)
    holders.fail(300, "ClientTimeout")
    assert holders.deadline == 500
    assert [holders.want(at) for at in (499, 500)] == [False, True]
    holders.answer(read("eni-b", 500))
    assert (holders.failures, holders.last_error, holders.readable) == (0, "", True)


@pytest.mark.parametrize(("now", "after"), [(100, 101), (101, 101)])
def test_a_question_of_the_same_millisecond_may_have_come_before(holders: Holders, now: int, after: int) -> None:
    assert holders.after(now) == now
    holders.answer(read("eni-a", 100))
    assert holders.after(now) == after


def test_what_the_own_call_proves_is_learnt(holders: Holders) -> None:
    holders.answer(read("eni-a", 100))
    holders.learn(VIP, None)
    assert holders.sighting(VIP, after=100) == Sighting(VIP, None)
