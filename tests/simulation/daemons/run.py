"""Live many lives of whole daemons and print the figures.

`python -m tests.simulation.daemons.run --seeds 100 --processes 1`
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from tests.simulation import shrink, tier
from tests.simulation.daemons.life import live, options_of
from tests.simulation.options import BROKER_SEEDS

if TYPE_CHECKING:
    from tests.simulation.life import Outcome

MODULE = "tests.simulation.daemons.run"


def live_seed(seed: int) -> Outcome:
    """Live the life of a seed."""
    return live(options_of(seed))


def report(outcome: Outcome, most_lives: int = 12) -> str:
    """Return what to know of a failed life, made small first."""
    return shrink.report(outcome, most_lives, live, MODULE)


TIER = tier.Tier(MODULE, live_seed)


def main() -> int:
    """Read the command line and live."""
    parser = TIER.parser(f"{__doc__} {tier.__doc__}", BROKER_SEEDS + 1)
    parser.add_argument("--seeds", type=int, default=100, help="how many lives")
    parser.add_argument("--shrink", type=int, default=12, help="try so many lives to make a failing one smaller")
    given = parser.parse_args()
    return TIER.obey(given, given.seeds, partial(report, most_lives=given.shrink))


if __name__ == "__main__":
    sys.exit(main())
