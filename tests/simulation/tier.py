"""What living many seeds has in common for both tiers: on several processors, with replays, as a program.

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
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.simulation.figures import HOUR_MS, Figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.simulation.life import Outcome

REPLAY_EVERY = 20
REPLAY_TIMEOUT_S = 300


@dataclass(frozen=True)
class Tier:
    """One tier: the module that is its program, and the function of that module that lives a seed."""

    module: str
    live_seed: Callable[[int], Outcome]

    def replay_elsewhere(self, seed: int) -> str:
        """Return the digest of a seed's trace as a fresh interpreter with another hash seed has it."""
        command = [sys.executable, "-m", self.module, "--digest", str(seed)]
        environment = {**os.environ, "PYTHONHASHSEED": str(seed % 1_000 + 1)}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=REPLAY_TIMEOUT_S
        )
        return done.stdout.strip()

    def lives(self, seeds: Iterable[int], processes: int) -> Iterator[Outcome]:
        """Live seeds, in order, on several processors."""
        if processes == 1:
            yield from map(self.live_seed, seeds)
            return
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            yield from pool.imap(self.live_seed, seeds, chunksize=4)  # whoever stops looking ends the rest

    def live_all(
        self, seeds: Iterable[int], processes: int, report: Callable[[Outcome], str], hours: float = math.inf
    ) -> Figures:
        """Live seeds until so many hours are simulated, print what breaks, and return the figures."""
        figures = Figures()
        for outcome in self.lives(seeds, processes):
            figures.add(outcome)
            seed = outcome.options.seed
            if outcome.broken is not None:
                print(report(outcome), flush=True)  # noqa: T201 - this is a program
            if seed % REPLAY_EVERY == 0:
                figures.replays += 1
                figures.replays_equal += (
                    outcome.sha256 == self.live_seed(seed).sha256 == self.replay_elsewhere(seed)
                )
            if figures.simulated_ms >= hours * HOUR_MS:
                break
        return figures

    def parser(self, description: str | None, start: int) -> argparse.ArgumentParser:
        """Return the command line that both have; how many lives, each adds itself."""
        parser = argparse.ArgumentParser(prog=f"python -m {self.module}", description=description)
        parser.add_argument("--start", type=int, default=start, help="the first seed")
        parser.add_argument("--processes", type=int, default=1)
        parser.add_argument("--trace", type=int, default=0, help="print so many of the last lines of each trace")
        parser.add_argument("--digest", type=int, help="print the digest of one seed's trace and nothing else")
        return parser

    def obey(
        self, given: argparse.Namespace, count: int, report: Callable[[Outcome], str], hours: float = math.inf
    ) -> int:
        """Do what the command line says with `count` lives at most; return the exit code."""
        if given.digest is not None:
            print(self.live_seed(given.digest).sha256)  # noqa: T201 - this is a program
            return 0
        seeds = range(given.start, given.start + count)
        if given.trace:
            for outcome in self.lives(seeds, 1):
                print(outcome.options.told(), *outcome.trace[-given.trace :], outcome.broken, sep="\n")  # noqa: T201 - a program
        figures = self.live_all(seeds, given.processes, report, hours)
        print(figures.told())  # noqa: T201 - this is a program
        return 1 if figures.broken or figures.replays != figures.replays_equal else 0
