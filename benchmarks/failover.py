"""How long a client waits: each event, several times, for keepalived with the vendor's recipe and for hafailover.

    python -m benchmarks.failover [--runs N] [--event NAME]... [--only SYSTEM] [--json FILE]

Needs root (network namespaces) and Debian's iproute2, nftables and keepalived. Every run has a lab of its own: a
VPC-like fabric, the cloud's emulator with 100 ms per request and 500 ms per move, and a client that asks the
every 2 ms. Both systems advertise every 100 ms and take a peer for dead after 300 ms; hafailover checks the service
every 100 ms, keepalived every second (its default). An event strikes at a random moment of a second.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import defaultdict
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.events import EVENTS, Event
from benchmarks.footprint import measure_footprint
from benchmarks.reference import keepalived
from benchmarks.systems import Hafailover, Keepalived, System, ready
from tests.lab.fabric import LabError
from tests.lab.lab import Lab, pause
from tests.lab.pair import PairSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SYSTEMS = (Keepalived.name, Hafailover.name)
SLACK_NS = 20_000_000  # a probe sent just before a move had effect may be answered by the new host


@dataclass(frozen=True, slots=True)
class Run:
    """What one run showed. `outage_s` is 0 where no probe was lost; `call_ms` is decision to API call, or None.

    `double_ms` is for how long the client had answers of both hosts to and fro, `both_ms` for how long both guests
    carried the address. `answered`: whether the client had answers again in the end.
    """

    system: str
    event: str
    outage_s: float
    lost: int
    moves: int
    writes: int
    carriers: tuple[str, ...]
    prober_late_ms: float
    double_ms: float
    both_ms: float
    answered: bool
    call_ms: float | None = None


def _system(name: str, lab: Lab, event: Event) -> System:
    if name == Keepalived.name:
        return Keepalived(lab)
    return Hafailover(lab, PairSettings(guards=event.guards))


def run_once(name: str, event: Event, offset_s: float) -> Run:
    """Let one event strike one system in a fresh lab. Raises LabError with the logs where that goes wrong."""
    with Lab() as lab:
        try:
            return strike(lab, _system(name, lab, event), event, offset_s)
        except LabError as error:
            logs = "".join(f"----- {path}\n{text}\n" for path, text in lab.logs().items())
            raise LabError(f"{event.name}, {name}: {error}\n{logs}") from error


def strike(lab: Lab, system: System, event: Event, offset_s: float) -> Run:
    """Start a system, let the event strike it so long after the probe has begun, and return what was seen."""
    system.start()
    if event.prepare is not None:
        event.prepare(lab)
    with lab.watch_guests() as guests, lab.probe() as probe:
        pause(0.3 + offset_s)
        event.strike(lab, system)
        pause(event.watch_s)
    report, moves = probe.report, lab.cloud.applied()
    return Run(
        system=system.name,
        event=event.name,
        outage_s=report.gap_ms / 1000 if report.lost else 0.0,
        lost=report.lost,
        moves=len(moves),
        writes=lab.cloud.writes(),
        carriers=tuple(host for host in lab.hosts if lab.carries(host)),
        prober_late_ms=report.late_ms,
        double_ms=double_answer_ms(report.switches, [move.routed_ns for move in moves]),
        both_ms=guests.report.both_ms,
        answered=report.answered_at_end,
        call_ms=system.call_ms(),
    )


def double_answer_ms(switches: Sequence[tuple[int, str]], moved_ns: Sequence[int]) -> float:
    """Return the longest time for which a client had answers of two hosts to and fro, within one move.

    `switches` are the probes at which another host began to answer than before, `moved_ns` when moves had effect. A
    move explains one switch; if there are more before the next move, then from the first to the last of them two
    hosts answered.
    """
    bounds = [0, *(at_ns - SLACK_NS for at_ns in moved_ns), sys.maxsize]
    longest = 0
    for start, end in pairwise(bounds):
        within = [at_ns for at_ns, _ in switches[1:] if start <= at_ns < end]
        longest = max(longest, within[-1] - within[0] if within else 0)
    return longest / 1e6


def run_all(names: Sequence[str], events: Sequence[Event], runs: int, seed: int) -> list[Run]:
    """Run everything, the systems in turn, so that a slow minute of the machine slows both."""
    offsets = random.Random(seed)  # noqa: S311 - spreads strikes over a second, nothing secret
    done = []
    for event in events:
        for number in range(runs):
            offset_s = offsets.random()
            for name in names:
                run = run_once(name, event, offset_s)
                done.append(run)
                print(
                    f"  {event.name} {number + 1}/{runs} {name}: outage {run.outage_s:.3f} s, "
                    f"{run.lost} lost, {run.moves} moves, {run.writes} writes",
                    file=sys.stderr,
                )
    return done


def _outages(runs: Iterable[Run]) -> tuple[float, float]:
    values = [run.outage_s for run in runs]
    return median(values), max(values)


def _cell(runs: Sequence[Run]) -> str:
    if not runs:
        return "-"
    middle, most = _outages(runs)
    lost = max(run.lost for run in runs)
    moves = max(run.moves for run in runs)
    writes = max(run.writes for run in runs)
    outage = f"{middle:.2f} / {most:.2f} s, {lost} lost" if lost else "0 lost"
    return f"{outage}; {moves} mv, {writes} wr"


def _ratio(reference: Sequence[Run], ours: Sequence[Run]) -> str:
    if not reference or not ours:
        return "-"
    theirs_s, ours_s = _outages(reference)[0], _outages(ours)[0]
    if not ours_s:
        return "-" if not theirs_s else "no outage"
    return f"{theirs_s / ours_s:.1f}"


def reached(event: Event, runs: Sequence[Run]) -> bool:
    """Whether every run kept what is promised for the event (an outage: the median)."""
    target = event.target
    return all(
        (
            target.outage_s is None or _outages(runs)[0] <= target.outage_s,
            target.lost is None or all(run.lost == target.lost for run in runs),
            target.writes is None or all(run.writes == target.writes for run in runs),
            target.moves is None or all(run.moves == target.moves for run in runs),
            target.most_moves is None or all(run.moves <= target.most_moves for run in runs),
        )
    )


def table(events: Sequence[Event], runs: Sequence[Run]) -> str:
    """Return the comparison as a Markdown table; outages are median / worst."""
    by_cell: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in runs:
        by_cell[run.event, run.system].append(run)
    lines = [
        f"| event | keepalived {keepalived.version()} + recipe | hafailover | ratio | target | reached |",
        "|---|---|---|---|---|---|",
    ]
    for event in events:
        theirs, ours = by_cell[event.name, Keepalived.name], by_cell[event.name, Hafailover.name]
        mark = ("yes" if reached(event, ours) else "NO") if ours else "-"
        cells = (event.name, _cell(theirs), _cell(ours), _ratio(theirs, ours), str(event.target), mark)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _call_times(runs: Sequence[Run]) -> str:
    values = [run.call_ms for run in runs if run.call_ms is not None]
    if not values:
        return "decision to API call: not measured"
    return f"decision to API call: median {median(values):.1f} ms, worst {max(values):.1f} ms ({len(values)} runs)"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="runs per event and system (default 5)")
    parser.add_argument("--event", action="append", choices=[event.name for event in EVENTS])
    parser.add_argument("--only", choices=SYSTEMS, help="one system alone")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--idle", type=float, default=20.0, help="seconds of rest for CPU and memory; 0: none")
    parser.add_argument("--json", type=Path, help="also write every run there")
    return parser.parse_args()


def main() -> int:
    """Run the benchmark; exit code 1 where a target is missed, 2 where it cannot run here."""
    arguments = _arguments()
    if not ready():
        return 2
    names = (arguments.only,) if arguments.only else SYSTEMS
    events = [event for event in EVENTS if not arguments.event or event.name in arguments.event]
    try:
        runs = run_all(names, events, arguments.runs, arguments.seed)
        footprints = [measure_footprint(name, arguments.idle) for name in names] if arguments.idle else []
    except LabError as error:
        print(f"the lab failed: {error}", file=sys.stderr)
        return 2
    print(table(events, runs))
    print()
    print(_call_times(runs))
    for footprint in footprints:
        print(footprint)
    if arguments.json:
        rows = {"runs": [asdict(run) for run in runs], "footprints": [asdict(each) for each in footprints]}
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="ascii")
    ours = [[run for run in runs if (run.event, run.system) == (event.name, Hafailover.name)] for event in events]
    return 0 if all(reached(event, group) for event, group in zip(events, ours, strict=True) if group) else 1


if __name__ == "__main__":
    sys.exit(main())
