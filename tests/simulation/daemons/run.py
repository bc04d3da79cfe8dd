"""Live many lives of whole daemons and print the figures.

`python -m tests.simulation.daemons.run --seeds 100 --start 1 --processes 1`. Every 20th seed is lived twice more,
once here and once in a fresh interpreter with another hash seed: the three traces must be equal. The exit code is 1
where anything breaks.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
from typing import TYPE_CHECKING
from unittest.mock import patch

from tests.simulation import shrink
from tests.simulation.daemons.life import live, options_of
from tests.simulation.figures import Figures
from tests.simulation.run import REPLAY_EVERY, REPLAY_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.simulation.life import Outcome

MODULE = "tests.simulation.daemons.run"


def live_seed(seed: int) -> Outcome:
    """Live the life of a seed."""
    return live(options_of(seed))


def replay_elsewhere(seed: int) -> str:
    """Return the digest of a seed's trace as a fresh interpreter with another hash seed has it."""
    command = [sys.executable, "-m", MODULE, "--digest", str(seed)]
    environment = {**os.environ, "PYTHONHASHSEED": str(seed % 1_000 + 1)}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=REPLAY_TIMEOUT_S
    )
    return done.stdout.strip()


def lives(seeds: Iterable[int], processes: int) -> Iterator[Outcome]:
    """Live seeds, in order, on several processors."""
    if processes == 1:
        yield from map(live_seed, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(live_seed, seeds, chunksize=4)


def report(outcome: Outcome, most_lives: int = 12) -> str:
    """Return what to know of a failed life, made small first."""
    seed = outcome.options.seed
    with patch.object(shrink, "live", live), patch.object(shrink, "MOST_LIVES", most_lives):
        told = shrink.report(outcome)
    return f"{told}(here: python -m {MODULE} --start {seed} --seeds 1 --trace 200)\n"


def live_all(seeds: Iterable[int], processes: int, shrunk: int = 12) -> Figures:
    """Live seeds, print what breaks, and return the figures."""
    figures = Figures()
    for outcome in lives(seeds, processes):
        figures.add(outcome)
        seed = outcome.options.seed
        if outcome.broken is not None:
            print(report(outcome, shrunk), flush=True)  # noqa: T201 - this is a program
        if seed % REPLAY_EVERY == 0:
            figures.replays += 1
            figures.replays_equal += outcome.sha256 == live_seed(seed).sha256 == replay_elsewhere(seed)
    return figures


def main() -> int:
    """Read the command line and live."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many lives")
    parser.add_argument("--start", type=int, default=1, help="the first seed")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--shrink", type=int, default=12, help="try so many lives to make a failing one smaller")
    parser.add_argument("--trace", type=int, default=0, help="print so many of the last lines of each trace")
    parser.add_argument("--digest", type=int, help="print the digest of one seed's trace and nothing else")
    given = parser.parse_args()
    if given.digest is not None:
        print(live_seed(given.digest).sha256)  # noqa: T201 - this is a program
        return 0
    seeds = range(given.start, given.start + given.seeds)
    if given.trace:
        for outcome in lives(seeds, 1):
            print(outcome.options.told(), *outcome.trace[-given.trace :], outcome.broken, sep="\n")  # noqa: T201 - a program
    figures = live_all(seeds, given.processes, given.shrink)
    print(figures.told())  # noqa: T201 - this is a program
    return 1 if figures.broken or figures.replays != figures.replays_equal else 0


if __name__ == "__main__":
    sys.exit(main())
