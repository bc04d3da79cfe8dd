"""All figures on one page: what is measured, simulated, searched and fuzzed, by one command.

    python -m benchmarks.figures [--quick] [--part NAME]... [--limit SECONDS] [--json FILE]

Each part is a command of its own, and may be run by itself; it is printed above what it says. A part that ends with
an error, or does not end in its time, is reported as failed, the others go on, and the exit code is 1. `--quick` is
for a try; without it the page takes hours, as before a release.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[1]
FAILED_LINES = 60  # of what a failed part has said


@dataclass(frozen=True, slots=True)
class Part:
    """One section: a module, with its arguments and its limit in seconds for a release and for a try."""

    name: str
    title: str
    module: str
    full: tuple[str, ...]
    full_s: int
    quick: tuple[str, ...]
    quick_s: int
    needs_root: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What one part said; `failure` is empty where it ended well."""

    part: str
    command: str
    said: str
    took_s: float
    failure: str


SIMULATION = "tests.simulation"
PARTS = (
    Part(
        name="failover",
        title="How long a client waits, beside keepalived",
        module="benchmarks.failover",
        full=("--runs", "10"),
        full_s=3_600,
        quick=("--runs", "1", "--event", "host lost", "--idle", "0"),
        quick_s=180,
        needs_root=True,
    ),
    Part(
        name="process",
        title="A killed service, beside keepalived's track_process",
        module="benchmarks.process",
        full=("--runs", "10"),
        full_s=600,
        quick=("--runs", "1"),
        quick_s=120,
        needs_root=True,
    ),
    Part(
        name="safety",
        title="What faults cost in the lab, beside keepalived",
        module="benchmarks.safety",
        full=(),
        full_s=3_600,
        quick=("--runs", "1", "--reference-runs", "0", "--long-runs", "0"),
        quick_s=300,
        needs_root=True,
    ),
    Part(
        name="enis",
        title="Lost hosts with secondary ENIs and with many addresses",
        module="benchmarks.enis",
        full=(),
        full_s=3_600,
        quick=("--runs", "1", "--case", "an ENI"),
        quick_s=120,
        needs_root=True,
    ),
    Part(
        name="control",
        title="The control socket under a crowd",
        module="benchmarks.control",
        full=("--seconds", "60"),
        full_s=900,
        quick=("--seconds", "3", "--clients", "100"),
        quick_s=180,
    ),
    Part(
        name="reloads",
        title="A thousand reloads under traffic",
        module="benchmarks.reloads",
        full=(),
        full_s=600,
        quick=("--reloads", "50"),
        quick_s=120,
        needs_root=True,
    ),
    Part(
        name="soak",
        title="A pair that works for half an hour",
        module="benchmarks.soak",
        full=("--minutes", "30"),
        full_s=2_100,
        quick=("--minutes", "1", "--every", "10"),
        quick_s=120,
    ),
    Part(
        name="tier1",
        title="Simulation, tier 1: the core",
        module=f"{SIMULATION}.run",
        full=("--start", "10010001", "--hours", "1000", "--processes", "2"),
        full_s=7_200,
        quick=("--start", "10010001", "--hours", "3"),
        quick_s=120,
    ),
    Part(
        name="tier2",
        title="Simulation, tier 2: whole daemons",
        module=f"{SIMULATION}.daemons.run",
        full=("--seeds", "1000", "--processes", "2"),
        full_s=7_200,
        quick=("--seeds", "5"),
        quick_s=180,
    ),
    Part(
        name="ablations",
        title="Rules switched off, tier 1",
        module=f"{SIMULATION}.ablations",
        full=("--seeds", "200", "--searches", "5"),
        full_s=3_600,
        quick=("--seeds", "60", "--searches", "1"),
        quick_s=300,
    ),
    Part(
        name="ablations2",
        title="Rules switched off, tier 2",
        module=f"{SIMULATION}.daemons.ablations",
        full=("--seeds", "100"),
        full_s=3_600,
        quick=(),
        quick_s=300,
    ),
    Part(
        name="models",
        title="Models searched with Spin",
        module="tests.model.run",
        full=("--markdown",),
        full_s=900,
        quick=("claim", "reassign"),
        quick_s=300,
    ),
    Part(
        name="fuzz",
        title="Parsers fuzzed",
        module="tests.fuzz.run",
        full=("--seconds", "600"),
        full_s=9_000,
        quick=("--seconds", "2"),
        quick_s=180,
    ),
    Part(
        name="mutation",
        title="Small changes that no fast test notices",
        module="benchmarks.mutation",
        full=(),
        full_s=21_600,
        quick=("heartbeat", "--modules", "auth,path"),
        quick_s=600,
    ),
)
BY_NAME = {part.name: part for part in PARTS}


def run(part: Part, *, quick: bool, limit_s: float | None = None) -> Result:
    """Run a part to its end or to its limit; whatever it has started ends with it."""
    arguments = part.quick if quick else part.full
    bound_s = limit_s or (part.quick_s if quick else part.full_s)
    command = f"python -m {part.module} {' '.join(arguments)}".strip()
    if part.needs_root and os.geteuid() != 0:
        return Result(part.name, command, "", 0.0, "needs root")
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", part.module, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=bound_s)
        failure = f"exit code {process.returncode}" if process.returncode else ""
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its own session: nobody else is in it
        said, _ = process.communicate()
        failure = f"not done in {bound_s:.0f} s"
    return Result(part.name, command, said.rstrip(), time.monotonic() - began, failure)


def section(part: Part, result: Result) -> str:
    """Return what a part has said as a section of the page."""
    lines = result.said.splitlines()
    if result.failure:
        lines = lines[-FAILED_LINES:]
    verdict = f"**FAILED: {result.failure}**" if result.failure else "done"
    # A table that is markdown already is shown as one.
    text = "\n".join(lines)
    shown = text if lines and lines[0].startswith("|") else f"```\n{text}\n```"
    return f"## {part.title}\n\n`{result.command}`: {verdict}, {result.took_s:.0f} s\n\n{shown}\n"


def summary(results: Sequence[Result]) -> str:
    """Return the last section: what failed."""
    failed = [f"{result.part} ({result.failure})" for result in results if result.failure]
    return f"{len(results) - len(failed)} of {len(results)} parts done" + (
        f"; FAILED: {', '.join(failed)}" if failed else ""
    )


def main() -> int:
    """Run the parts one after the other and print the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.figures", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a try of a few minutes")
    parser.add_argument("--part", action="append", choices=list(BY_NAME), help="only this one; may be repeated")
    parser.add_argument("--limit", type=float, help="seconds for each part, instead of its own limit")
    parser.add_argument("--json", type=Path, help="also write what each part has said there")
    given = parser.parse_args()
    kind = "a quick try" if given.quick else "a release run"
    print(f"# Figures of hafailover\n\nPython {platform.python_version()}, {os.cpu_count()} processors, {kind}.\n")
    results = []
    for part in PARTS:
        if given.part and part.name not in given.part:
            continue
        results.append(run(part, quick=given.quick, limit_s=given.limit))
        print(section(part, results[-1]), flush=True)
    print(summary(results))
    if given.json:
        given.json.write_text(json.dumps([asdict(each) for each in results], indent=1) + "\n")
    return 1 if any(result.failure for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
