"""What the figures are made of."""

from __future__ import annotations

from dataclasses import replace

from tests.simulation.figures import Figures
from tests.simulation.life import live
from tests.simulation.options import Options, Wave, expand

PAIR = (("a", 100), ("b", 90))
CALM = Options(seed=1, priorities=PAIR, timing=expand(1, ()).timing, trouble_ms=60_000)


def test_a_life_tells_what_it_has_reached() -> None:
    outcome = live(replace(CALM, waves=(Wave("power-off", 20_000, 5_000, 20_000, 20_000),), trouble_ms=240_000))
    assert outcome.broken is None
    assert outcome.steps == outcome.events
    assert {("init", "TimerExpired"), ("backup", "AdvertReceived"), ("master", "HoldersRead")} <= {
        (state.lower(), event) for state, event in outcome.pairs
    }
    assert {"MASTER_DEAD", "CLAIM_DONE", "MASTER_ALIVE"} <= outcome.reasons
    assert [reason for reason, length_ms in outcome.failovers if length_ms > 0]
    assert 0 < outcome.recovery[0] <= outcome.recovery[1]
    assert outcome.double[0] <= outcome.double[1]


def test_nobodys_time_is_measured() -> None:
    waves = (Wave("failover", 1_000, 1_000, 5_000, 5_000),)
    outcome = live(replace(CALM, seed=3, strategy="reassign", waves=waves))
    assert outcome.broken is None
    assert 0 < outcome.longest_vacant_ms < 10_000


def test_figures_keep_the_longest_and_the_nearest_to_its_bound() -> None:
    figures = Figures()
    outcome = live(replace(CALM, trouble_ms=0))
    for double in ((10, 100), (20, 1_000), (5, 10)):
        outcome.double = double
        figures.add(outcome)
    assert "longest double answer 20 ms (bound 1000 ms); nearest to its bound 5 of 10 ms" in figures.told()
    assert "violations 0" in figures.told()
    assert figures.steps == 3 * outcome.steps
