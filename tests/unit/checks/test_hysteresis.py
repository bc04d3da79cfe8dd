from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hafailover.checks.hysteresis import Hysteresis
from hafailover.election.values import CheckState

PENDING, UP, DOWN = CheckState.PENDING, CheckState.UP, CheckState.DOWN


def states(rise: int, fall: int, results: str) -> list[CheckState]:
    """Return the state after each result; + is a pass, - a failure."""
    hysteresis = Hysteresis(rise, fall)
    return [hysteresis.record(passed=result == "+") for result in results]


def test_nothing_is_known_before_the_first_result() -> None:
    assert Hysteresis(3, 3).state is PENDING


def test_one_pass_ends_the_waiting() -> None:
    assert states(3, 3, "--+") == [PENDING, PENDING, UP]


def test_one_failure_after_a_restart_is_borne_as_before() -> None:
    assert states(3, 3, "---") == [PENDING, PENDING, DOWN]


def test_falls_after_so_many_failures_in_a_row() -> None:
    assert states(1, 3, "+--+---") == [UP, UP, UP, UP, UP, UP, DOWN]


def test_rises_after_so_many_passes_in_a_row() -> None:
    assert states(2, 1, "-+-++") == [DOWN, DOWN, DOWN, DOWN, UP]


def test_one_result_is_enough_where_one_is_asked_for() -> None:
    assert states(1, 1, "+-+-") == [UP, DOWN, UP, DOWN]


@given(st.integers(1, 5), st.integers(1, 5), st.text("+-", min_size=1, max_size=60))
def test_the_state_is_what_a_look_back_at_all_results_says(rise: int, fall: int, results: str) -> None:
    expected = PENDING
    for end in range(1, len(results) + 1):
        so_far = results[:end]
        if so_far.endswith("+" * (rise if expected is DOWN else 1)):
            expected = UP
        elif so_far.endswith("-" * fall) and expected is not DOWN:
            expected = DOWN
    assert states(rise, fall, results)[-1] is expected
