"""How many small changes of the pure core the fast tests notice.

    python -m benchmarks.mutation [ROOM ...] [--modules NAME,NAME...]

mutmut changes the functions of a room one at a time, in a copy of the tree, and runs the room's fast tests on
each change. It does not change what stands at the level of a module or class, nor decorated functions. Takes
minutes for the heartbeats, an hour or more for the election; needs `pip install mutmut` (the extra `mutation`).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[1]
COPIED = ("hafailover", "tests", "config", "docs", "benchmarks", "pyproject.toml")
KILLED, SURVIVED, TIMEOUT = "killed", "survived", "timeout"
_OUTCOMES = {1: KILLED, 3: KILLED, 0: SURVIVED, 24: TIMEOUT, 36: TIMEOUT, 152: TIMEOUT, 255: TIMEOUT, -24: TIMEOUT}
_LONGEST_S = 6 * 3600


@dataclass(frozen=True, slots=True)
class Room:
    """What is changed, as patterns within the package, and the tests that are to notice."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


ROOMS = {
    "heartbeat": Room(
        ("auth", "endpoint", "names", "path", "session", "wire"),
        (
            "tests/unit/heartbeat/test_wire.py",
            "tests/unit/heartbeat/test_session.py",
            "tests/unit/heartbeat/test_endpoint.py",
            "tests/unit/heartbeat/test_heartbeat_auth.py",
            "tests/unit/heartbeat/test_heartbeat_names.py",
        ),
    ),
    # Without tests/property, which takes a minute: mutmut would run it on each change that is left.
    "election": Room(("*",), ("tests/unit/election", "tests/scenarios")),
}


@dataclass(frozen=True, slots=True)
class Score:
    """What became of the mutants of one room; `survivors` are mutmut's names of them."""

    room: str
    outcomes: Counter[str]
    survivors: tuple[str, ...]

    def __str__(self) -> str:
        total = self.outcomes.total()
        noticed = self.outcomes[KILLED] + self.outcomes[TIMEOUT]
        counts = (total, self.outcomes[KILLED], self.outcomes[SURVIVED], self.outcomes[TIMEOUT])
        others = total - sum(counts[1:])
        score = f"{100 * noticed / total:.1f} %" if total else "-"
        return f"{self.room:<12}" + "".join(f"{count:>10}" for count in (*counts, others)) + f"{score:>10}"


def main() -> int:
    """Print the table and the survivors with their changes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutation", description="Mutation testing.")
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"of {', '.join(ROOMS)}; default: all")
    parser.add_argument("--children", type=int, default=2, help="processes at a time")
    parser.add_argument("--modules", help="only these of a room, as auth,names")
    options = parser.parse_args()
    if importlib.util.find_spec("mutmut") is None:
        print("mutmut is not installed: pip install -e '.[mutation]'", file=sys.stderr)
        return 2
    print(
        f"{'room':<12}"
        + "".join(f"{word:>10}" for word in ("mutants", KILLED, SURVIVED, TIMEOUT, "other", "score"))
    )
    for name in options.rooms or ROOMS:
        with tempfile.TemporaryDirectory(prefix="hafailover-mutation-") as scratch:
            tree = Path(scratch)
            copy(tree, name, options.modules.split(",") if options.modules else ROOMS[name].modules)
            run(tree, options.children)
            score = read(tree, name)
            print(score, flush=True)
            for survivor in score.survivors:
                print(change(tree, survivor), flush=True)
    return 0


def copy(tree: Path, name: str, modules: Sequence[str]) -> None:
    """Copy what mutmut and the tests need, and tell mutmut which modules to change."""
    for part in COPIED:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tree / part)
    room = ROOMS[name]
    tests = [each for each in room.tests if (ROOT / each).exists()]
    lines = [
        "[tool.mutmut]",
        f'source_paths = ["hafailover/{name}"]',
        f"only_mutate = {json.dumps([f'hafailover/{name}/{module}.py' for module in modules])}",
        f"also_copy = {json.dumps([*COPIED])}",
        'pytest_add_cli_args = ["-p", "no:randomly", "-p", "no:cacheprovider", "--hypothesis-seed=0"]',
        f"pytest_add_cli_args_test_selection = {json.dumps(tests)}",
    ]
    with (tree / "pyproject.toml").open("a") as file:
        file.write("\n" + "\n".join(lines) + "\n")


def run(tree: Path, children: int) -> None:
    """Run mutmut; CalledProcessError with its output where it cannot."""
    command = (sys.executable, "-m", "mutmut", "run", "--max-children", str(children))
    subprocess.run(command, cwd=tree, check=True, stdout=subprocess.DEVNULL, timeout=_LONGEST_S)


def read(tree: Path, name: str) -> Score:
    """Return what mutmut has stored beside each changed module."""
    codes: dict[str, int | None] = {}
    for path in sorted((tree / "mutants").glob("hafailover/**/*.meta")):
        codes |= json.loads(path.read_text())["exit_code_by_key"]
    outcomes = {mutant: "other" if code is None else _OUTCOMES.get(code, "other") for mutant, code in codes.items()}
    left = tuple(mutant for mutant, outcome in outcomes.items() if outcome not in (KILLED, TIMEOUT))
    return Score(name, Counter(outcomes.values()), left)


def change(tree: Path, mutant: str) -> str:
    """Return a survivor's name and the lines that it changes."""
    shown = subprocess.run(
        (sys.executable, "-m", "mutmut", "show", mutant), cwd=tree, capture_output=True, text=True, check=False
    )
    lines = [line for line in shown.stdout.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    return "\n".join((mutant, *(f"    {line}" for line in lines)))


if __name__ == "__main__":
    sys.exit(main())
