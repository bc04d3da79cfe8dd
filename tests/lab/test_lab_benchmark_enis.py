"""The arithmetic of the benchmark of ENIs: no namespace, no root."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import enis
from benchmarks.enis import BY_NAME, CASES, ONE_ENI, Run

THREE = "3 ENIs with 10 addresses each"
ONE = Run(case=ONE_ENI, outage_ms=920.0, writes=1, complete=True, prober_late_ms=1.0)
MORE = replace(ONE, case=THREE, outage_ms=1840.0, writes=3)


def test_a_row_says_what_the_client_waited_and_what_is_beyond_the_clouds_own_time() -> None:
    runs = [ONE, replace(ONE, outage_ms=900.0), replace(ONE, outage_ms=950.0), MORE]
    header, _, first, second = enis.table(CASES, runs).splitlines()
    assert "over 900 ms" in header
    assert first == f"| {ONE_ENI} | 920 / 950 ms | 20 / 50 ms |  | 1 | at most 50 ms over | yes |"
    assert second == f"| {THREE} | 1840 / 1840 ms | 940 / 940 ms | 2.0 times | 3 | at most 2 times | yes |"


@pytest.mark.parametrize("bad", [replace(ONE, outage_ms=951.0), replace(ONE, complete=False)])
def test_one_bad_run_misses_the_goal(bad: Run) -> None:
    assert enis.reached(BY_NAME[ONE_ENI], [ONE])
    assert not enis.reached(BY_NAME[ONE_ENI], [ONE, bad])


def test_more_than_twice_the_time_of_one_misses_the_goal() -> None:
    case = BY_NAME[THREE]
    assert enis.reached(case, [ONE, MORE])
    assert not enis.reached(case, [ONE, replace(MORE, outage_ms=1841.0)])
    assert enis.reached(case, [MORE]), "alone it has nothing to be compared with"


def test_every_case_is_beside_one_of_its_kind() -> None:
    for case in CASES:
        if case.beside:
            other = BY_NAME[case.beside]
            assert (len(other.moving), other.strategy) == (1, case.strategy)
        assert len(set(case.moving)) == len(case.moving) in (1, 29, 30)
