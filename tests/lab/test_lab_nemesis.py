"""A life under faults at random. Many more: `python -m tests.lab.nemesis --seeds 1 100`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.nemesis import Nemesis

if TYPE_CHECKING:
    from tests.lab.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

STEPS = 4


@pytest.mark.parametrize("seed", [1, 5])
def test_pair_survives_faults_at_random(lab: Lab, seed: int) -> None:
    verdict = Nemesis(lab, seed, STEPS).run()
    assert not verdict.wrong, f"{verdict}\n{verdict.blows}"
    assert len(verdict.blows) >= STEPS
