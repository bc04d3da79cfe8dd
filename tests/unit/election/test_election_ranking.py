from __future__ import annotations

from itertools import permutations

from hafailover.election.ranking import Candidate, preempts, rank_of, ranked
from tests.unit.election.bench import A, B, C

HIGH, LOW, LATE = Candidate(A, 100, 0), Candidate(B, 90, 1), Candidate(C, 90, 2)


def test_only_a_higher_priority_preempts_and_no_place_in_the_file() -> None:
    assert preempts(HIGH, LOW)
    assert not preempts(LOW, HIGH)
    assert not preempts(LOW, LATE)
    assert not preempts(LATE, LOW)


def test_every_order_of_asking_gives_the_same_ranking() -> None:
    for order in permutations((HIGH, LOW, LATE)):
        assert ranked(order) == (HIGH, LOW, LATE)
        assert [rank_of(name, order) for name in (A, B, C)] == [0, 1, 2]


def test_who_is_no_candidate_comes_last() -> None:
    assert rank_of(C, (HIGH, LOW)) == 2
    assert rank_of(C, ()) == 0
