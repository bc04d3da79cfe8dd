from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pytest

from hafailover.election.effects import Move, Persist, SendAdverts
from hafailover.election.invariants import check, check_order
from hafailover.election.values import Advert, Leaving, Memory, State
from hafailover.errors import InvariantError
from tests.unit.election.bench import DIGEST, GROUP, VIP, A

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from hafailover.election.group import Group

MOVE = Move(GROUP, 1, VIP, "eni-a", "eni-b")
SAVE = Persist(Memory())
SAY = SendAdverts(Advert(A, DIGEST, 400, Leaving.NO, drained=False, hears=(), groups=()))


@dataclass
class Facts:
    state: State = State.BACKUP
    term: int = 3
    claim: object | None = None
    release: object | None = None
    name: str = GROUP


def judge(facts: Facts, *effects: Effect, before: int = 3) -> None:
    check((cast("Group", facts),), (before,), effects)


@pytest.mark.parametrize(
    "facts",
    [
        Facts(),
        Facts(State.CLAIMING, claim=object()),
        Facts(State.RELEASING, release=object()),
        Facts(State.MASTER, term=4),
    ],
)
def test_what_is_in_order_passes(facts: Facts) -> None:
    judge(facts, SAVE, MOVE, SAY)


@pytest.mark.parametrize(
    "facts",
    [
        Facts(State.CLAIMING),
        Facts(State.BACKUP, claim=object()),
        Facts(State.RELEASING),
        Facts(State.MASTER, release=object()),
    ],
)
def test_a_claim_or_release_belongs_to_its_state(facts: Facts) -> None:
    with pytest.raises(InvariantError, match="carries what belongs to that state"):
        judge(facts)


def test_who_serves_has_a_term() -> None:
    with pytest.raises(InvariantError, match="belongs to that state"):
        judge(Facts(State.MASTER, term=0), before=0)


def test_a_term_never_decreases() -> None:
    with pytest.raises(InvariantError, match="never decreases"):
        judge(Facts(term=3), before=4)


def test_a_move_comes_after_the_disk() -> None:
    with pytest.raises(InvariantError, match="on disk before"):
        check_order((MOVE, SAVE))
    check_order((SAVE, MOVE, SAY))


def test_one_advertisement_per_event() -> None:
    with pytest.raises(InvariantError, match="one advertisement"):
        judge(Facts(), SAY, SAY)
