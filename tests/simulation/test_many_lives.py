"""As many lives as fit into a run of all tests: `run.py` lives a thousand hours before a release."""

from __future__ import annotations

import pytest

from tests.simulation.figures import HOUR_MS
from tests.simulation.run import known_finds, live_seed
from tests.simulation.shrink import report

BLOCKS, HOURS = 20, 5  # about ten CPU-seconds each
FIRST_SEED, SEEDS = 10_120_000, 1_000  # of a block, and how far the next one is away


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_hours_of_faults_break_nothing(block: int) -> None:
    first = FIRST_SEED + block * SEEDS
    simulated_ms, faults = 0, 0
    for seed in range(first, first + SEEDS):
        outcome = live_seed(seed)
        if outcome.broken is not None and outcome.broken.name == known_finds().get(seed):
            continue
        assert outcome.broken is None, report(outcome)
        assert outcome.steps == outcome.events  # each held against the models
        simulated_ms += outcome.simulated_ms
        faults += sum(count for name, count in outcome.counts.items() if name.startswith("fault:"))
        if simulated_ms >= HOURS * HOUR_MS:
            break
    assert simulated_ms >= HOURS * HOUR_MS
    assert faults > 500
