"""Lives under faults at random. Many more: `python -m tests.lab.nemesis --seeds 1 100`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.cloud import CloudSettings
from tests.lab.nemesis import Nemesis

if TYPE_CHECKING:
    from tests.lab.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(240)]

STEPS = 4


@pytest.mark.parametrize(
    ("seed", "cloud"), [(1, CloudSettings()), (3, CloudSettings(nodes=3))], ids=["pair", "witness"]
)
def test_nodes_survives_faults_at_random(lab: Lab, seed: int) -> None:
    verdict = Nemesis(lab, seed, STEPS).run()
    assert not verdict.wrong, f"{verdict}\n{verdict.blows}"
    assert len(verdict.blows) >= STEPS
