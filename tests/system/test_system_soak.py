"""That the soak benchmark sees what it is there to see."""

from __future__ import annotations

import os

import pytest

from benchmarks.soak import PATHS, look, slope, soak, told


def test_a_slope_is_per_hour_and_says_how_sure_it_is() -> None:
    leak = slope([(at_s, 50 + at_s / 1800) for at_s in range(0, 600, 10)])
    assert leak.per_hour == pytest.approx(2)
    assert leak.error == pytest.approx(0, abs=1e-6)
    flat = slope([(at_s, 50 + (at_s // 10) % 2) for at_s in range(0, 600, 10)])
    assert abs(flat.per_hour) < 2 * flat.error
    assert slope([(0, 1), (1, 2)]).per_hour == 0


def test_a_look_counts_what_is_open() -> None:
    before = look(os.getpid(), 0)
    with open(os.devnull), open(os.devnull):  # noqa: PTH123 - two descriptors
        assert look(os.getpid(), 1).descriptors == before.descriptors + 2
    assert 5 < before.rss_mib < 2000
    assert before.threads >= 1


@pytest.mark.system
@pytest.mark.timeout(120)
async def test_a_short_soak_moves_the_address_and_asks_for_everything() -> None:
    seen = await soak(8, 2)
    assert seen.moves >= 3
    assert seen.lost_hosts >= 1
    assert set(seen.requests) == {*PATHS, "status"}
    assert len(seen.samples["web-a"]) == len(seen.samples["web-b"]) == seen.requests["/"] / 2
    assert "| web-b | descriptors |" in told(seen, 8)
