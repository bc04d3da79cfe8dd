"""How soon a killed service is noticed: a process check, beside keepalived's `track_process`.

    python -m benchmarks.process [--runs N]

Needs what benchmarks.failover needs. The lab is the same, but neither system asks the service anything: each
watches its process, which gets SIGKILL. Shown are the time from the kill to the arrival of the first API call that
moves the address, and the client's outage; both median / worst. A request takes 100 ms there and a move 500 ms.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.reference import keepalived
from benchmarks.systems import FIRST, Hafailover, Keepalived, System, ready
from tests.lab.fabric import LabError
from tests.lab.lab import SERVICE_PIDFILE, Lab, pause
from tests.lab.pair import PairSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

SYSTEMS = (Keepalived.name, Hafailover.name)
WATCH_S = 3.5
CHECK = f"""
[[group.check]]
name = "process"
type = "process"
pidfile = "/{SERVICE_PIDFILE}"
fall = 1
rise = 1
"""
SETTINGS = PairSettings(check_interval="1m", more=CHECK)  # the lab's own check would notice as well


@dataclass(frozen=True, slots=True)
class Run:
    """What one run showed: milliseconds from the kill to the first call that writes, and seconds of outage.

    None where nobody had called when the watching ended.
    """

    system: str
    call_ms: float | None
    outage_s: float


def run_once(name: str, offset_s: float) -> Run:
    """Kill the service once in a fresh lab. Raises LabError with the logs where that goes wrong."""
    with Lab() as lab:
        try:
            return _run(
                lab, Keepalived(lab, tracks_process=True) if name == Keepalived.name else _ours(lab), offset_s
            )
        except LabError as error:
            logs = "".join(f"----- {path}\n{text}\n" for path, text in lab.logs().items())
            raise LabError(f"{name}: {error}\n{logs}") from error


def _ours(lab: Lab) -> Hafailover:
    return Hafailover(lab, SETTINGS)


def _run(lab: Lab, system: System, offset_s: float) -> Run:
    system.start()
    with lab.probe() as probe:
        pause(0.3 + offset_s)
        killed_ns = time.monotonic_ns()
        lab.hosts[FIRST].stop_service()
        pause(WATCH_S)
    calls = [call.at_ns for call in lab.cloud.arrivals() if call.writes and call.at_ns >= killed_ns]
    call_ms = (calls[0] - killed_ns) / 1e6 if calls else None
    return Run(system.name, call_ms, probe.report.gap_ms / 1000)


def table(runs: Sequence[Run]) -> str:
    """Return the comparison as a Markdown table."""
    lines = ["| system | runs | not noticed | kill to API call | outage |", "|---|---|---|---|---|"]
    titles = {Keepalived.name: f"keepalived {keepalived.version()}, track_process + recipe"}
    for name in SYSTEMS:
        mine = [run for run in runs if run.system == name]
        calls = [run.call_ms for run in mine if run.call_ms is not None]
        outages = [run.outage_s for run in mine if run.call_ms is not None]
        if calls:
            call = f"{median(calls):.0f} / {max(calls):.0f} ms"
            outage = f"{median(outages):.2f} / {max(outages):.2f} s"
            missed = len(mine) - len(calls)
            lines.append(f"| {titles.get(name, name)} | {len(mine)} | {missed} | {call} | {outage} |")
    return "\n".join(lines)


def main() -> int:
    """Run the benchmark; exit code 2 where it cannot run here."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="runs per system (default 5)")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if not ready():
        return 2
    offsets = random.Random(arguments.seed)  # noqa: S311 - spreads kills over a second, nothing secret
    runs = []
    try:
        for _ in range(arguments.runs):
            offset_s = offsets.random()
            for name in SYSTEMS:  # in turn, so that a slow minute of the machine slows both
                runs.append(run_once(name, offset_s))
                print(f"  {runs[-1]}", file=sys.stderr)
    except LabError as error:
        print(f"the lab failed: {error}", file=sys.stderr)
        return 2
    print(table(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
