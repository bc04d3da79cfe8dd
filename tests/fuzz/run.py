"""Fuzzes for a given time and prints a table: `python -m tests.fuzz.run [--seconds 20] [TARGET ...]`.

With `--grow` what atheris finds to be new is kept, minimised, in tests/fuzz/corpus. A crash is stored under
the name that is printed, and the exit code is 1; `--replay FILE` runs it again with its traceback.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz import engine

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = ("target", "engine", "executions", "exec/s", "corpus", "new edges", "crashes")


def main() -> int:
    """Run the command; the exit code is 1 where something was found."""
    options = _options()
    if options.replay is not None:
        engine.call(engine.harness(options.targets[0]), options.replay.read_bytes())
        return 0
    runs: list[engine.Run] = []
    sys.stdout.write(_row(HEADER))
    for name in options.targets or engine.NAMES:
        runs.append(_run(name, options))
        sys.stdout.write(_row(_cells(runs[-1])))
        sys.stdout.flush()
    total = sum(run.executions for run in runs)
    found = [(run.target, crash) for run in runs for crash in run.crashes]
    sys.stdout.write(f"{total} executions, {len(found)} crashes\n")
    sys.stdout.writelines(_stored(found))
    return 1 if found else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description="Fuzzes the parsers.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(engine.NAMES)}; default: all")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=("atheris", "plain"), help="default: atheris where it is installed")
    parser.add_argument("--grow", action="store_true", help="keep what is new (atheris)")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run this input of the one TARGET")
    return parser.parse_args()


def _run(name: str, options: argparse.Namespace) -> engine.Run:
    kind = options.engine or ("atheris" if engine.atheris_installed() else "plain")
    if kind == "plain":
        return engine.run_plain(name, seed=options.seed, seconds=options.seconds)
    if not options.grow:
        return engine.run_atheris(name, seed=options.seed, seconds=options.seconds)
    with tempfile.TemporaryDirectory(prefix="hafailover-fuzz-") as scratch:
        run = engine.run_atheris(name, seed=options.seed, seconds=options.seconds, keep=Path(scratch))
        if not run.crashes:
            _grow(name, [path.read_bytes() for path in Path(scratch).iterdir()])
    return run


def _grow(name: str, found: list[bytes]) -> None:
    """Replace the stored corpus of a target by the fewest inputs that reach as much."""
    directory = engine.CORPUS / name
    directory.mkdir(parents=True, exist_ok=True)
    stored = {path: path.read_bytes() for path in directory.iterdir()}
    kept = engine.minimised(name, [*stored.values(), *found])
    for path, data in stored.items():
        if data not in kept:
            path.unlink()
    for data in kept:
        (directory / engine.file_name(data)).write_bytes(data)


def _cells(run: engine.Run) -> tuple[str, ...]:
    rate = f"{run.executions / run.seconds:.0f}" if run.seconds else "-"
    edges = "-" if run.edges is None else str(run.edges)
    return (run.target, run.engine, str(run.executions), rate, str(run.corpus), edges, str(len(run.crashes)))


def _row(cells: tuple[str, ...]) -> str:
    first, second, *others = cells
    return f"{first:<12} {second:<8}" + "".join(f" {cell:>10}" for cell in others) + "\n"


def _stored(found: list[tuple[str, engine.Crash]]) -> Iterator[str]:
    directory = Path(tempfile.gettempdir())
    for name, crash in found:
        path = directory / f"hafailover-crash-{name}-{engine.file_name(crash.data)}"
        path.write_bytes(crash.data)
        yield f"{name}: {crash.error}\n    python -m tests.fuzz.run {name} --replay {path}\n"


if __name__ == "__main__":
    sys.exit(main())
