from __future__ import annotations

import pytest

from hafailover.election.backoff import backoff_ms


class Least:
    def randint(self, a: int, b: int) -> int:
        del b
        return a


class Most:
    def randint(self, a: int, b: int) -> int:
        del a
        return b


@pytest.mark.parametrize(
    ("failures", "least", "most"),
    [(1, 50, 100), (2, 100, 200), (6, 1_600, 3_200), (7, 2_500, 5_000), (17, 2_500, 5_000), (10_000, 2_500, 5_000)],
)
def test_the_wait_doubles_up_to_the_cap_and_half_of_it_is_drawn(failures: int, least: int, most: int) -> None:
    assert backoff_ms(failures, Least()) == least
    assert backoff_ms(failures, Most()) == most


def test_first_and_cap_can_be_chosen() -> None:
    assert backoff_ms(1, Most(), first_ms=7, cap_ms=20) == 6  # halves are rounded down: 3 + 3
    assert backoff_ms(3, Most(), first_ms=7, cap_ms=20) == 20


def test_the_ceiling_grows_to_the_largest_shift_and_no_further() -> None:
    assert backoff_ms(17, Most(), first_ms=1, cap_ms=2**20) == 2**16
    assert backoff_ms(18, Most(), first_ms=1, cap_ms=2**20) == 2**16


def test_a_huge_count_costs_nothing() -> None:
    assert backoff_ms(10**9, Most()) == 5_000
