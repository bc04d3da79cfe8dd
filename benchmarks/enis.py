"""How long a client waits when the host is lost that has a secondary ENI, or many addresses.

    python -m benchmarks.enis [--runs N] [--case NAME]... [--json FILE]

Needs root (network namespaces) and Debian's iproute2 and nftables. Every run has a lab of its own (see
`benchmarks.failover`): a VPC-like fabric in which secondary ENIs are hot-plugged, the cloud's emulator with 100 ms
per request and 500 ms per write, and a client that asks all addresses at a time. A probe counts as answered once
all of them have answered, so an outage lasts until the last one is back. The daemons advertise every 100 ms and
take a peer for dead after 300 ms: 900 ms are the dead interval, one request and one write, and what a client waits
beyond them is the overhead.

How many writes the cloud lets work on one ENI at a time no document says. Here it is any number, and in the cases
that say so only one.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from hafailover.emulator.world import VIP, EniSpec
from tests.lab.cloud import CloudSettings
from tests.lab.fabric import LabError, sweep, why_not
from tests.lab.lab import INSTANCE, Lab, pause
from tests.lab.pair import GroupSettings, Pair, PairSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST, SECOND = "web-a", "web-b"
DEAD_MS, REQUEST_MS, WRITE_MS = 300, 100, 500
SETTLE_S = 0.5
TEN = 10
MANY = tuple(f"10.0.1.{100 + order}" for order in range(29))  # an ENI has at most 30, of which one is its own


@dataclass(frozen=True, slots=True)
class Case:
    """What moves: `enis`, or else `addresses` on the nodes' own ENIs; and what the cloud lets be done at a time.

    `beside` names the case of one of the same kind. `most_over_ms` and `most_ratio` are the goals: how much longer
    than the dead interval, a request and a write the worst outage may be, and how much longer than in that case the
    median.
    """

    name: str
    enis: tuple[EniSpec, ...] = ()
    addresses: tuple[str, ...] = ()
    strategy: str = "migrate"
    serialise: str = "ip"
    probe_ms: float = 2.0
    beside: str = ""
    most_over_ms: float | None = None
    most_ratio: float | None = None

    @property
    def moving(self) -> tuple[str, ...]:
        """All addresses that the client asks."""
        return (*self.addresses, *(address for spec in self.enis for address in spec.addresses))


def _eni(order: int, count: int) -> EniSpec:
    first = 100 + TEN * order
    addresses = tuple(f"10.0.1.{first + i}" for i in range(count))
    return EniSpec(f"eni-cccccc0{order}", addresses, INSTANCE[FIRST])


ONE_ENI, ONE, ONE_BY_ONE = "an ENI", "an address", "an address, released and taken"
CASES = (
    Case(ONE_ENI, enis=(_eni(0, 1),), most_over_ms=50),
    Case(
        "3 ENIs with 10 addresses each",
        enis=tuple(_eni(order, TEN) for order in range(3)),
        probe_ms=10,
        beside=ONE_ENI,
        most_ratio=2,
    ),
    Case(ONE, addresses=(VIP,), most_over_ms=50),
    Case("29 addresses", addresses=MANY, probe_ms=10, beside=ONE, most_ratio=2),
    Case(ONE_BY_ONE, addresses=(VIP,), strategy="reassign"),
    Case(
        "29 addresses, released and taken",
        addresses=MANY,
        strategy="reassign",
        probe_ms=10,
        beside=ONE_BY_ONE,
        most_ratio=2,
    ),
    Case("29 addresses, one write at a time", addresses=MANY, serialise="eni", probe_ms=10, beside=ONE),
    Case(
        "29 addresses, released and taken, one write at a time",
        addresses=MANY,
        strategy="reassign",
        serialise="eni",
        probe_ms=10,
        beside=ONE_BY_ONE,
    ),
)
BY_NAME = {case.name: case for case in CASES}


@dataclass(frozen=True, slots=True)
class Run:
    """What one run showed. `writes` are those that the cloud accepted; `complete`: all is where it belongs."""

    case: str
    outage_ms: float
    writes: int
    complete: bool
    prober_late_ms: float

    @property
    def over_ms(self) -> float:
        """What the client waited beyond the dead interval, one request and one write."""
        return self.outage_ms - DEAD_MS - REQUEST_MS - WRITE_MS


def run_once(case: Case, offset_s: float) -> Run:
    """Take the first host's power away in a fresh lab. Raises LabError with the logs where that goes wrong."""
    cloud = CloudSettings(
        latency_ms=REQUEST_MS,
        task_ms=WRITE_MS,
        addresses=case.addresses,
        enis=case.enis,
        serialise=case.serialise,
        cpu=16,
    )
    group = GroupSettings(addresses=case.addresses, enis=tuple(spec.eni_id for spec in case.enis))
    settings = PairSettings(dead_interval=f"{DEAD_MS}ms", strategy=case.strategy, groups=(group,))
    with Lab(cloud) as lab:
        try:
            return _run(lab, Pair(lab, settings), case, offset_s)
        except LabError as error:
            logs = "".join(f"----- {path}\n{text}\n" for path, text in lab.logs().items())
            raise LabError(f"{case.name}: {error}\n{logs}") from error


def _run(lab: Lab, pair: Pair, case: Case, offset_s: float) -> Run:
    pair.start()
    pause(SETTLE_S)
    with lab.probe(*case.moving, interval_ms=case.probe_ms) as probe:
        pause(SETTLE_S + offset_s)
        lab.crash(FIRST)
        pair.wait_state(SECOND, "MASTER", timeout_s=50)
        pause(SETTLE_S)
    moved = {move.resource: move.holder for move in lab.cloud.all_applied()}
    resources = (*case.addresses, *(spec.eni_id for spec in case.enis))
    return Run(
        case=case.name,
        outage_ms=probe.report.gap_ms,
        writes=lab.cloud.accepted(),
        complete=probe.report.answered_at_end and moved == dict.fromkeys(resources, SECOND),
        prober_late_ms=probe.report.late_ms,
    )


def run_all(cases: Sequence[Case], runs: int, seed: int) -> list[Run]:
    """Run everything, the cases in turn, so that a slow minute of the machine slows all."""
    offsets = random.Random(seed)  # noqa: S311 - spreads strikes over a second, nothing secret
    done = []
    for number in range(runs):
        for case in cases:
            run = run_once(case, offsets.random())
            done.append(run)
            print(f"  {case.name} {number + 1}/{runs}: {run.outage_ms:.0f} ms", file=sys.stderr)
    return done


def of(case: Case | str, runs: Sequence[Run]) -> list[Run]:
    """Return the runs of a case."""
    name = case if isinstance(case, str) else case.name
    return [run for run in runs if run.case == name]


def ratio(case: Case, runs: Sequence[Run]) -> float | None:
    """Return how many times the median outage of the case beside it this one's is, None where there is none."""
    mine, other = of(case, runs), of(case.beside, runs)
    if not mine or not other:
        return None
    return median(run.outage_ms for run in mine) / median(run.outage_ms for run in other)


def reached(case: Case, runs: Sequence[Run]) -> bool:
    """Whether every run came to its end, and the goals were kept."""
    mine, beside = of(case, runs), ratio(case, runs)
    over = case.most_over_ms is None or all(run.over_ms <= case.most_over_ms for run in mine)
    slower = case.most_ratio is None or beside is None or beside <= case.most_ratio
    return all(run.complete for run in mine) and over and slower


def goal(case: Case) -> str:
    """Return a case's goal in words."""
    over = "" if case.most_over_ms is None else f"at most {case.most_over_ms:g} ms over"
    return over or ("" if case.most_ratio is None else f"at most {case.most_ratio:g} times")


def table(cases: Sequence[Case], runs: Sequence[Run]) -> str:
    """Return the figures as a Markdown table."""
    bound = DEAD_MS + REQUEST_MS + WRITE_MS
    lines = [
        f"| host lost that has | outage p50 / worst | over {bound} ms | beside one | writes | goal | reached |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in cases:
        mine, beside = of(case, runs), ratio(case, runs)
        if not mine:
            continue
        outages = [run.outage_ms for run in mine]
        worst = max(outages)
        cells = (
            case.name,
            f"{median(outages):.0f} / {worst:.0f} ms",
            f"{median(run.over_ms for run in mine):.0f} / {max(run.over_ms for run in mine):.0f} ms",
            "" if beside is None else f"{beside:.1f} times",
            str(max(run.writes for run in mine)),
            goal(case),
            "yes" if reached(case, runs) else "NO",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="runs per case (default 5)")
    parser.add_argument("--case", action="append", choices=list(BY_NAME))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write every run there")
    return parser.parse_args()


def main() -> int:
    """Run the benchmark; exit code 1 where a goal is missed, 2 where it cannot run here."""
    arguments = _arguments()
    if reason := why_not():
        print(f"the benchmark cannot run: {reason}", file=sys.stderr)
        return 2
    sweep()
    cases = [case for case in CASES if not arguments.case or case.name in arguments.case]
    try:
        runs = run_all(cases, arguments.runs, arguments.seed)
    except LabError as error:
        print(f"the lab failed: {error}", file=sys.stderr)
        return 2
    print(table(cases, runs))
    late = max(run.prober_late_ms for run in runs)
    print(f"\nThe client itself was late by {late:.0f} ms at most.")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(run) for run in runs], indent=1) + "\n", encoding="ascii")
    return 0 if all(reached(case, runs) for case in cases) else 1


if __name__ == "__main__":
    sys.exit(main())
