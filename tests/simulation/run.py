"""Live many lives and print the figures: `python -m tests.simulation.run --hours 100 --start 10001 --processes 2`.

Every 20th seed is lived twice more, once here and once in a fresh interpreter with another hash seed: the three
traces must be equal. The exit code is 1 where anything breaks.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.simulation.faults import KINDS
from tests.simulation.figures import HOUR_MS, Figures
from tests.simulation.life import live
from tests.simulation.options import NEW_SEEDS, expand, kinds_of
from tests.simulation.shrink import report

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.simulation.life import Outcome

OPEN = Path(__file__).parent / "open.txt"
REPLAY_EVERY = 20
REPLAY_TIMEOUT_S = 300
MOST_LIVES_AN_HOUR = 40  # the shortest take some minutes


def live_seed(seed: int) -> Outcome:
    """Live the life of a seed, with every kind of fault to choose from."""
    return live(expand(seed, kinds_of(seed, KINDS)))


def known_finds() -> dict[int, str]:
    """Return the seeds that are known to break, each with the invariant that says so."""
    lines = [line.split() for line in OPEN.read_text().splitlines() if line and line[0] != "#"]
    return {int(seed): name for seed, name, *_ in lines}


def replay_elsewhere(seed: int) -> str:
    """Return the digest of a seed's trace as a fresh interpreter with another hash seed has it."""
    command = [sys.executable, "-m", "tests.simulation.run", "--digest", str(seed)]
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
        yield from pool.imap(live_seed, seeds, chunksize=4)  # whoever stops looking ends the rest


def live_all(seeds: Iterable[int], processes: int, hours: float = math.inf) -> Figures:
    """Live seeds until so many hours are simulated, print what breaks, and return the figures."""
    figures = Figures()
    for outcome in lives(seeds, processes):
        figures.add(outcome)
        seed = outcome.options.seed
        if outcome.broken is not None:
            print(report(outcome), flush=True)  # noqa: T201 - this is a program
        if seed % REPLAY_EVERY == 0:
            figures.replays += 1
            figures.replays_equal += outcome.sha256 == live_seed(seed).sha256 == replay_elsewhere(seed)
        if figures.simulated_ms >= hours * HOUR_MS:
            break
    return figures


def main() -> int:
    """Read the command line and live."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.run", description=__doc__)
    parser.add_argument("--seeds", type=int, help="how many lives (default 100)")
    parser.add_argument("--hours", type=float, help="as many lives as make so many simulated hours, instead")
    parser.add_argument("--start", type=int, default=NEW_SEEDS + 1, help="the first seed")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--trace", type=int, default=0, help="print so many of the last lines of each trace")
    parser.add_argument("--digest", type=int, help="print the digest of one seed's trace and nothing else")
    given = parser.parse_args()
    if given.digest is not None:
        print(live_seed(given.digest).sha256)  # noqa: T201 - this is a program
        return 0
    count = given.seeds or (100 if given.hours is None else round(given.hours * MOST_LIVES_AN_HOUR))
    seeds = range(given.start, given.start + count)
    if given.trace:
        for outcome in lives(seeds, 1):
            print(outcome.options.told(), *outcome.trace[-given.trace :], outcome.broken, sep="\n")  # noqa: T201 - a program
    figures = live_all(seeds, given.processes, given.hours or math.inf)
    print(figures.told())  # noqa: T201 - this is a program
    return 1 if figures.broken or figures.replays != figures.replays_equal else 0


if __name__ == "__main__":
    sys.exit(main())
