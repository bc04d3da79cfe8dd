from __future__ import annotations

from itertools import permutations

from hafailover.election.ranking import Candidate, outranks, rank_of, ranked
from tests.unit.election.bench import A, B, C

HIGH, LOW, LATE = Candidate(A, 100, 0), Candidate(B, 90, 1), Candidate(C, 90, 2)


def test_higher_priority_and_then_the_earlier_place_rank_first() -> None:
    assert outranks(HIGH, LOW)
    assert not outranks(LOW, HIGH)
    assert outranks(LOW, LATE)
    assert not outranks(LATE, LOW)
    assert not outranks(LOW, LOW)


def test_every_order_of_asking_gives_the_same_ranking() -> None:
    for order in permutations((HIGH, LOW, LATE)):
        assert ranked(order) == (HIGH, LOW, LATE)
        assert [rank_of(name, order) for name in (A, B, C)] == [0, 1, 2]


def test_who_is_no_candidate_comes_last() -> None:
    assert rank_of(C, (HIGH, LOW)) == 2
    assert rank_of(C, ()) == 0
