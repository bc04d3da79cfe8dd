"""As many lives of whole daemons as fit into a run of all tests; `run.py` lives more before a release."""

from __future__ import annotations

import pytest

from tests.simulation.daemons.run import live_seed, report
from tests.simulation.figures import HOUR_MS
from tests.simulation.options import BROKER_SEEDS

HOURS, SEEDS = 5, 1_000  # of each block, about twenty CPU-seconds
FIRST_SEEDS = (10_020_000, BROKER_SEEDS + 20_000)  # without a broker, and with one in a third of the lives


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", FIRST_SEEDS)
def test_hours_of_faults_break_nothing(first: int) -> None:
    simulated_ms, faults = 0, 0
    for seed in range(first, first + SEEDS):
        outcome = live_seed(seed)
        assert outcome.broken is None, report(outcome)
        simulated_ms += outcome.simulated_ms
        faults += sum(count for name, count in outcome.counts.items() if name.startswith("fault:"))
        if simulated_ms >= HOURS * HOUR_MS:
            break
    assert simulated_ms >= HOURS * HOUR_MS
    assert faults > 500
