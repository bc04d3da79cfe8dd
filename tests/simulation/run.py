"""Live many lives and print the figures, as `python -m tests.simulation.run --hours 100 --processes 2`."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.simulation import tier
from tests.simulation.faults import KINDS
from tests.simulation.life import live
from tests.simulation.options import BROKER_SEEDS, expand, kinds_of
from tests.simulation.shrink import report

if TYPE_CHECKING:
    from tests.simulation.life import Outcome

OPEN = Path(__file__).parent / "open.txt"
MOST_LIVES_AN_HOUR = 40  # the shortest take some minutes


def live_seed(seed: int) -> Outcome:
    """Live the life of a seed, with every kind of fault to choose from."""
    return live(expand(seed, kinds_of(seed, KINDS)))


def known_finds() -> dict[int, str]:
    """Return the seeds that are known to break, each with the invariant that says so."""
    lines = [line.split() for line in OPEN.read_text().splitlines() if line and line[0] != "#"]
    return {int(seed): name for seed, name, *_ in lines}


TIER = tier.Tier("tests.simulation.run", live_seed)


def main() -> int:
    """Read the command line and live."""
    parser = TIER.parser(f"{__doc__} {tier.__doc__}", BROKER_SEEDS + 1)
    parser.add_argument("--seeds", type=int, help="how many lives (default 100)")
    parser.add_argument("--hours", type=float, help="as many lives as make so many simulated hours, instead")
    given = parser.parse_args()
    count = given.seeds or (100 if given.hours is None else round(given.hours * MOST_LIVES_AN_HOUR))
    return TIER.obey(given, count, report, given.hours or math.inf)


if __name__ == "__main__":
    sys.exit(main())
