"""The return rule by itself; docs/failure-model.md has the rule and the models behind it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hafailover.election.context import Context
from hafailover.election.events import HoldersRead
from hafailover.election.returns import LAG_MS, LOOK_MS, OLD_MS, Returns
from hafailover.election.values import Advert, GroupAdvert, Leaving, Member, NodeName, Sighting, State
from tests.unit.election.bench import DIGEST, GROUP, MEMBERS, OTHER, TIMING, VIP, A, C

LOST = 1_000
READ = LOST + LAG_MS  # the earliest question whose answer counts
OVER = READ + OLD_MS + TIMING.request_life_ms
WITNESS = replace(MEMBERS[2], witness=True)


class Most:
    def randint(self, a: int, b: int) -> int:
        del a
        return b


class Case:
    """Node `b` of three, whose last move of the address may have taken effect until LOST."""

    def __init__(self) -> None:
        self.context = Context(MEMBERS[1], MEMBERS, TIMING, Most(), 0)
        self.returns = Returns(GROUP, self.context)
        self.returns.had((VIP,), LOST)

    def read(self, asked_at: int, holder: str | None = "eni-a", *, settled: bool = True) -> None:
        sighting = Sighting(VIP, holder, settled)
        self.context.holders.answer(HoldersRead((sighting,), asked_at))
        self.returns.see(sighting)

    def say(self, name: NodeName, said_after: int | None, *, moving: bool = False, confirmed: bool = True) -> None:
        said = GroupAdvert(GROUP, State.BACKUP, 1, 100, eligible=True, moving=moving)
        peer = self.context.peers.get(name)
        assert peer is not None
        advert = Advert(name, DIGEST, 400, Leaving.NO, False, (), (said,))
        peer.hear(advert, 1, confirmed=confirmed, said_after=said_after)

    def free(self, now: int) -> bool:
        return self.returns.wait(VIP, now) is None


@pytest.mark.parametrize("members", [MEMBERS[:2], (*MEMBERS[:2], WITNESS)])
def test_two_members_need_no_rule(members: tuple[Member, ...]) -> None:
    returns = Returns(GROUP, Context(MEMBERS[1], members, TIMING, Most(), 0))
    returns.had((VIP,), LOST)
    assert not returns.needed
    assert returns.pending((VIP,), LOST) is None


def test_what_was_never_here_is_free() -> None:
    case = Case()
    assert case.returns.needed
    assert case.returns.wait(OTHER, LOST) is None
    case.read(LOST)
    assert case.returns.pending((OTHER,), LOST) is None


@pytest.mark.parametrize(("now", "free"), [(OVER, False), (OVER + 1, True)])
def test_a_whole_life_of_a_request_is_waited_for(now: int, *, free: bool) -> None:
    case = Case()
    case.read(READ)
    assert case.free(now) is free


@pytest.mark.parametrize(
    ("asked_at", "holder", "settled"),
    [(READ - 1, "eni-a", True), (READ, "eni-a", False), (READ, "eni-b", True)],
)
def test_only_a_late_settled_reading_of_another_begins_it(asked_at: int, holder: str, *, settled: bool) -> None:
    case = Case()
    case.read(asked_at, holder, settled=settled)
    assert not case.free(OVER + 1)
    assert case.context.holders.want(OVER + 1), "the reading that is missing is asked for"


def test_nobody_is_another() -> None:
    case = Case()
    case.read(READ, None)
    assert case.free(OVER + 1)


def test_the_first_such_reading_counts() -> None:
    case = Case()
    case.read(READ)
    case.read(READ + 500)
    assert case.free(OVER + 1)


def test_having_it_again_begins_anew() -> None:
    case = Case()
    case.read(READ)
    case.read(READ + 10, "eni-b")
    assert not case.free(OVER + 1)
    case.read(READ + 9)
    assert not case.free(OVER + 60_000), "asked before that"
    case.read(READ + 10)
    assert not case.free(OVER + 60_000), "the same question: what has been learned since tells of no reading"
    case.read(READ + 11)
    assert case.free(OVER + 12)


def test_a_move_of_long_ago_does_not_put_back_a_newer_one() -> None:
    case = Case()
    case.returns.had((VIP,), LOST - 500)
    case.read(READ - 1)
    assert not case.free(OVER + 60_000)


def test_what_is_here_now_is_not_waited_for() -> None:
    case = Case()
    case.read(READ, "eni-b")
    assert case.returns.pending((VIP,), READ + 1) is None
    assert case.returns.entangled, "it will be when it is lost"
    assert not case.free(READ + 1)


def test_a_wait_that_is_over_is_forgotten() -> None:
    case = Case()
    case.read(READ)
    assert case.returns.entangled
    assert case.free(OVER + 1)
    assert not case.returns.entangled


def test_the_word_of_all_others_saves_the_wait() -> None:
    case = Case()
    case.read(READ)
    case.say(A, READ + OLD_MS)
    assert not case.free(READ + OLD_MS + 1)
    case.say(C, READ + OLD_MS)
    assert case.free(READ + OLD_MS + 1)
    assert case.returns.pending((VIP, OTHER), READ + OLD_MS + 1) is None


@pytest.mark.parametrize(
    ("said_after", "moving", "confirmed"),
    [
        (READ + OLD_MS - 1, False, True),
        (None, False, True),
        (READ + OLD_MS, True, True),
        (READ + OLD_MS, False, False),
    ],
)
def test_but_only_a_late_and_sure_word(said_after: int | None, *, moving: bool, confirmed: bool) -> None:
    case = Case()
    case.read(READ)
    case.say(A, READ + OLD_MS)
    case.say(C, said_after, moving=moving, confirmed=confirmed)
    assert not case.free(READ + OLD_MS + 1)


def test_it_says_when_to_look_again() -> None:
    case = Case()
    assert case.returns.wait(VIP, LOST) == READ
    assert not case.context.holders.want(LOST)
    assert case.returns.wait(VIP, READ) == READ + LOOK_MS
    assert case.context.holders.want(READ)
    case.read(READ)
    assert case.returns.wait(VIP, READ + 1) == READ + 1 + LOOK_MS + 1
    assert case.returns.wait(VIP, OVER - 1) == OVER + 1
    assert case.returns.pending((OTHER, VIP), OVER - 1) == OVER + 1


def test_a_word_repeated_is_a_new_word() -> None:
    case = Case()
    case.say(A, READ)
    case.say(C, READ)
    case.read(READ)
    case.say(A, READ + OLD_MS)
    case.say(C, READ + OLD_MS)
    assert case.free(READ + OLD_MS + 1)
