"""Check the formal models with Spin and print what came out: `python tests/model/run.py [--markdown] [WORD..]`.

`expected.json` lists the cases: a model, its parameters, what is searched for, and whether the model holds. A case
that is meant to be violated is a rule taken away: a model that cannot fail proves nothing. Needs the Debian
packages spin and gcc.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
CASE_S = 40  # what one case may take; the longest takes a few seconds
WORKERS = 2
DEPTH = 1_000_000  # steps in one run of a model; 56 bytes each
MEMORY_MB = 1_500
HOLDS, VIOLATED = "holds", "violated"


class ModelError(Exception):
    """Spin or the compiler did not do what was asked: nothing has been learned about the model."""


@dataclass(frozen=True)
class Case:
    """One model with its parameters; `says` is the sentence that is tried or the rule that is taken away.

    `search` is "assertions" or the name of the model's ltl formula; a `large` search is worth optimising for.
    """

    model: str
    parameters: dict[str, str | int]
    search: str
    expected: str
    says: str
    large: bool = False
    name: str = ""

    @property
    def label(self) -> str:
        """The parameters as one would type them."""
        return " ".join(f"{key}={value}" for key, value in self.parameters.items())


@dataclass(frozen=True)
class Finding:
    """What the search found; `states` are distinct states, `depth` the longest run, in steps."""

    case: Case
    result: str
    states: int
    depth: int
    seconds: float

    @property
    def as_expected(self) -> bool:
        """Whether the model says what it is expected to say."""
        return self.result == self.case.expected


def load_cases(path: Path = HERE / "expected.json") -> list[Case]:
    """Return the cases in the order of the file."""
    cases = [Case(**each) for each in json.loads(path.read_text())]
    return [replace(each, name=f"{each.model} {each.label} {each.search}") for each in cases]


def missing_tools() -> list[str]:
    """Return which of the programs needed are not there."""
    return [tool for tool in ("spin", "gcc") if shutil.which(tool) is None]


def _run(command: list[str], where: Path) -> str:
    try:
        done = subprocess.run(command, cwd=where, capture_output=True, text=True, timeout=CASE_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"{command[0]} took more than {CASE_S} s") from error
    return done.stdout + done.stderr


def _build(case: Case, where: Path) -> None:
    defines = [f"-D{key}={value}" for key, value in case.parameters.items()]
    said = _run(["spin", *defines, "-a", str(HERE / f"{case.model}.pml")], where)
    if "Error" in said or not (where / "pan.c").exists():
        raise ModelError(said)
    # No reduction: it buys little here, and the hidden scratch variables are easier to trust without it.
    kind = ["-DSAFETY", "-DNOCLAIM"] if case.search == "assertions" else ["-DNFAIR=6"]
    # Most of the time goes into compiling: to optimise pays only where there is much to search.
    speed = "-O1" if case.large else "-O0"
    said = _run(["gcc", speed, "-w", "-DNOREDUCE", f"-DMEMLIM={MEMORY_MB}", *kind, "-o", "pan", "pan.c"], where)
    if not (where / "pan").exists():
        raise ModelError(said)


def _search(case: Case, where: Path) -> str:
    # -a: acceptance cycles, -f: no process that could go on is left out for ever
    liveness = [] if case.search == "assertions" else ["-a", "-f"]
    return _run(["./pan", f"-m{DEPTH}", "-w20", "-c1", *liveness], where)


def check(case: Case) -> Finding:
    """Search a model's states. Raises ModelError where the search says nothing, or was not complete."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hafailover-model-") as name:
        where = Path(name)
        _build(case, where)
        said = _search(case, where)
    errors = _number(r"errors: (\d+)", said)
    if errors == 0 and re.search(r"too small|out of memory|max\. |truncated|Search not completed", said):
        raise ModelError(f"the search of {case.name} was not complete:\n{said}")
    return Finding(
        case=case,
        result=VIOLATED if errors else HOLDS,
        states=_number(r"(\d+) states, stored", said),
        depth=_number(r"depth reached (\d+)", said),
        seconds=time.monotonic() - began,
    )


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    if found is None:
        raise ModelError(text)
    return int(found[1])


def check_all(cases: list[Case]) -> list[Finding]:
    """Check cases, two at a time; the findings are in the order of the cases."""
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(check, cases))


def table(findings: list[Finding], *, markdown: bool) -> str:
    """Return what was found as text, one case a line."""
    rows = [("model", "parameters", "what", "result", "states", "depth", "s")]
    rows += [
        (
            each.case.model,
            each.case.label or "-",
            each.case.says,
            each.result if each.as_expected else f"{each.result} (UNEXPECTED)",
            f"{each.states}",
            f"{each.depth}",
            f"{each.seconds:.1f}",
        )
        for each in findings
    ]
    if markdown:
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([lines[0], "|---|---|---|---|---:|---:|---:|", *lines[1:]])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def main() -> int:
    """Check all cases, or those whose line has one of the words; 1 where one is not as expected."""
    parser = argparse.ArgumentParser(description="Check the formal models with Spin.")
    parser.add_argument("words", nargs="*", help="only cases with one of these in their name")
    parser.add_argument("--markdown", action="store_true", help="print a table for the documentation")
    given = parser.parse_args()
    missing = missing_tools()
    if missing:
        sys.stderr.write(f"needs {' and '.join(missing)}\n")
        return 2
    cases = [each for each in load_cases() if not given.words or any(word in each.name for word in given.words)]
    began = time.monotonic()
    findings = check_all(cases)
    sys.stdout.write(table(findings, markdown=given.markdown) + "\n")
    wrong = sum(not each.as_expected for each in findings)
    states = sum(each.states for each in findings)
    sys.stdout.write(
        f"\n{len(findings)} cases, {wrong} not as expected, {states} states, {time.monotonic() - began:.0f} s\n"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
