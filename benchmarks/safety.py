"""What faults cost: each of them many times, for hafailover, and for keepalived with the vendor's recipe beside it.

    python -m benchmarks.safety [--runs N] [--reference-runs N] [--long-runs N] [--fault NAME]... [--lanes N]

Every run has a lab and an emulated cloud of its own (see `benchmarks.failover`). Most of a run is waiting, so
several labs run at a time, each in a process of its own: `--lanes` of them for the faults that last 20 s, half as
many for the others. A run that fails is counted and shown and ends nothing; one that hangs is ended; and none
begins too late to end within the bound printed at the start.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import random
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.failover import SYSTEMS, Run, reached, run_once
from benchmarks.faults import BY_NAME, FAULTS, LONG, LONG_S
from benchmarks.reference import keepalived
from benchmarks.systems import Hafailover, Keepalived, ready
from tests.lab.fabric import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import FrameType

    from benchmarks.events import Event

SET_UP_S = 5.5  # a lab, two daemons and their settling, and what a run takes at its end
SPARE = 1.4  # how much longer than that all of them may take
HUNG_S = 60.0  # how much longer than it should a run takes before it is ended

LEGEND = """*Not back*: the client had no answer in the end. *Double answer*: the longest time for which the client
had answers of both hosts to and fro within one move. *Both guests*: the longest time for which both carried the
address, dead, frozen and cut ones included; the cloud sends traffic to one of them only."""


@dataclass(frozen=True, slots=True)
class Task:
    """One run to be made; `offset_s` is at which moment of a second the fault strikes."""

    fault: str
    system: str
    offset_s: float

    @property
    def should_take_s(self) -> float:
        """How long the run should take."""
        event = BY_NAME[self.fault]
        return SET_UP_S + event.lasts_s + event.watch_s


@dataclass(frozen=True, slots=True)
class Failed:
    """A run that came to no result, and why."""

    system: str
    fault: str
    why: str


def perform(task: Task) -> Run | Failed:
    """Make one run in this process. Whatever goes wrong in it is its result; it ends in bounded time."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise LabError("the run hung and was ended")

    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, task.should_take_s + HUNG_S)
    try:
        run = run_once(task.system, BY_NAME[task.fault], task.offset_s)
    except Exception as error:  # noqa: BLE001 - one run of many: whatever it is, the others are to go on
        return Failed(task.system, task.fault, f"{type(error).__name__}: {error}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return run


def tasks_for(faults: Sequence[Event], counts: dict[str, tuple[int, int]], seed: int) -> list[Task]:
    """Return the runs: as many as `counts` says for the system and a (main, long) fault."""
    rng = random.Random(seed)  # noqa: S311 - spreads strikes over a second, nothing secret
    tasks = [
        Task(fault.name, system, rng.random())
        for fault in faults
        for system, (main, long) in counts.items()
        for _ in range(long if fault in LONG else main)
        if system == Hafailover.name or _compares(fault)
    ]
    rng.shuffle(tasks)  # a slow minute of the machine is to slow all of them alike
    return tasks


def _compares(fault: Event) -> bool:
    """Whether keepalived can be put to it: it has no guards, so what differs by them is run once."""
    return fault.name != "partition for 20 s, guarded"


@dataclass(frozen=True, slots=True)
class Phase:
    """Runs of a kind, `lanes` at a time: those that last long share the machine with more others."""

    tasks: tuple[Task, ...]
    lanes: int

    @property
    def last_s(self) -> float:
        """After how long no further run begins."""
        total_s = sum(task.should_take_s for task in self.tasks)
        return SPARE * (total_s / self.lanes + self._longest_s)

    @property
    def bound_s(self) -> float:
        """After how long all have ended."""
        return self.last_s + self._longest_s + HUNG_S

    @property
    def _longest_s(self) -> float:
        return max(task.should_take_s for task in self.tasks)


def phases_of(tasks: Sequence[Task], lanes: int) -> list[Phase]:
    """Return the runs of which the time counts, and those that last long."""
    long = tuple(task for task in tasks if BY_NAME[task.fault].lasts_s >= LONG_S)
    short = tuple(task for task in tasks if task not in long)
    return [Phase(part, most) for part, most in ((short, (lanes + 1) // 2), (long, lanes)) if part]


def run_phase(phase: Phase) -> list[Run | Failed]:
    """Make all runs of a phase."""
    end_s = time.monotonic() + phase.last_s
    results: list[Run | Failed] = []
    with ProcessPoolExecutor(phase.lanes, multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(perform_until, end_s, task): task for task in phase.tasks}
        for number, future in enumerate(as_completed(futures), 1):
            task = futures[future]
            error = future.exception()
            result = future.result() if error is None else Failed(task.system, task.fault, f"{error!r}")
            results.append(result)
            print(f"  {number}/{len(phase.tasks)} {_line(result)}", file=sys.stderr, flush=True)
    return results


def perform_until(end_s: float, task: Task) -> Run | Failed:
    """Make a run unless it is later than `end_s` on the monotonic clock, which is one for all processes."""
    if time.monotonic() > end_s:
        return Failed(task.system, task.fault, "not begun: the bound had passed")
    return perform(task)


def _line(result: Run | Failed) -> str:
    if isinstance(result, Failed):
        return f"{result.fault}, {result.system}: FAILED: {result.why.splitlines()[0]}"
    return (
        f"{result.event}, {result.system}: outage {result.outage_s:.3f} s, {result.lost} lost, "
        f"{result.moves} moves, both {result.both_ms:.0f} ms, double {result.double_ms:.0f} ms"
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that so many per cent of the values do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(percent / 100 * len(ranked)) - 1)]


def _row(fault: Event, system: str, results: Iterable[Run | Failed]) -> str:
    runs = [each for each in results if isinstance(each, Run) and (each.event, each.system) == (fault.name, system)]
    failed = [
        each for each in results if isinstance(each, Failed) and (each.fault, each.system) == (fault.name, system)
    ]
    cells = [fault.name, system, str(len(runs) + len(failed)), str(len(failed))]
    if not runs:
        return f"| {' | '.join([*cells, *['-'] * 8])} |"
    outages = [run.outage_s for run in runs]
    moves = [run.moves for run in runs]
    cells += [
        str(sum(not run.answered for run in runs)),
        " / ".join(f"{percentile(outages, percent):.2f}" for percent in (50, 95, 100)),
        f"{max(run.lost for run in runs)}",
        f"{max(run.double_ms for run in runs):.0f}",
        f"{max(run.both_ms for run in runs):.0f}",
        f"{sum(moves) / len(moves):.2f} / {max(moves)}",
    ]
    ours = system == Hafailover.name
    cells += [str(fault.target), ("yes" if kept(fault, runs, failed) else "NO")] if ours else ["-", "-"]
    return f"| {' | '.join(cells)} |"


def kept(fault: Event, runs: Sequence[Run], failed: Sequence[Failed]) -> bool:
    """Whether every run came to a result and kept what is promised."""
    return bool(runs) and not failed and reached(fault, runs) and all(run.answered for run in runs)


def table(faults: Sequence[Event], results: Sequence[Run | Failed]) -> str:
    """Return the results as a Markdown table."""
    heads = [
        "fault",
        "system",
        "runs",
        "failed",
        "outage p50 / p95 / max, s",
        "most lost",
        "double answer, client, ms",
    ]
    heads += ["both guests, ms", "moves per fault, mean / max", "target", "kept"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    known = {(each.event if isinstance(each, Run) else each.fault, each.system) for each in results}
    for fault in faults:
        systems = [system for system in SYSTEMS if (fault.name, system) in known]
        lines += [_row(fault, system, results) for system in systems]
    return "\n".join(lines)


def _notes(results: Sequence[Run | Failed], phases: Sequence[Phase], took_s: float) -> str:
    runs = [each for each in results if isinstance(each, Run)]
    late_ms = max((run.prober_late_ms for run in runs), default=0.0)
    failures = [each for each in results if isinstance(each, Failed)]
    at_a_time = " and ".join(str(phase.lanes) for phase in phases)
    head = (
        f"{len(results)} runs, {len(failures)} failed, in {took_s / 60:.1f} min, {at_a_time} at a time on "
        f"{os.cpu_count()} cores; the client was late by {late_ms:.1f} ms at most; "
        f"keepalived {keepalived.version()}."
    )
    lines = [head, "", LEGEND]
    lines += [f"- failed: {each.fault}, {each.system}: {each.why.splitlines()[0]}" for each in failures]
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=20, help="of hafailover, for each of the main faults")
    parser.add_argument("--reference-runs", type=int, help="of keepalived (default: half as many; 0: none)")
    parser.add_argument("--long-runs", type=int, help="for each of the long faults (default: a quarter)")
    parser.add_argument("--fault", action="append", choices=list(BY_NAME))
    parser.add_argument("--lanes", type=int, default=4, help="labs at a time (default 4)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write every run there, the failed ones with their logs")
    return parser.parse_args()


def _counts(arguments: argparse.Namespace) -> dict[str, tuple[int, int]]:
    runs = arguments.runs
    reference = (runs + 1) // 2 if arguments.reference_runs is None else arguments.reference_runs
    long = (runs + 3) // 4 if arguments.long_runs is None else arguments.long_runs
    return {Hafailover.name: (runs, long), Keepalived.name: (reference, min(long, reference))}


def main() -> int:
    """Run the benchmark; exit code 1 where a promise is not kept or a run failed, 2 where it cannot run here."""
    arguments = _arguments()
    if not ready():
        return 2
    faults = [fault for fault in FAULTS if not arguments.fault or fault.name in arguments.fault]
    tasks = tasks_for(faults, _counts(arguments), arguments.seed)
    phases = phases_of(tasks, arguments.lanes)
    bound_s = sum(phase.bound_s for phase in phases)
    should_s = sum(phase.last_s for phase in phases) / SPARE
    print(f"{len(tasks)} runs: about {should_s / 60:.1f} min, at most {bound_s / 60:.1f} min", file=sys.stderr)
    started_s = time.monotonic()
    results = [result for phase in phases for result in run_phase(phase)]
    print(table(faults, results))
    print()
    print(_notes(results, phases, time.monotonic() - started_s))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(each) for each in results], indent=1) + "\n", encoding="utf-8")
    put = {task.fault for task in tasks if task.system == Hafailover.name}
    return 0 if all(_all_kept(fault, results) for fault in faults if fault.name in put) else 1


def _all_kept(fault: Event, results: Sequence[Run | Failed]) -> bool:
    ours = [each for each in results if each.system == Hafailover.name]
    runs = [each for each in ours if isinstance(each, Run) and each.event == fault.name]
    failed = [each for each in ours if isinstance(each, Failed) and each.fault == fault.name]
    return kept(fault, runs, failed)


if __name__ == "__main__":
    sys.exit(main())
