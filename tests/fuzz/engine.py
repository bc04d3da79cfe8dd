"""Runs a harness: on its corpus, with a plain seeded mutator, and, where it is installed, under atheris.

A harness is a module of tests/fuzz/targets with `one(data: bytes) -> None`, whose docstring states the
invariant in one sentence, and `SEEDS`. An input that breaks the invariant makes `one` raise; atheris
(libFuzzer, coverage-guided) and the plain engine (which only needs Python) call the same function.
"""

from __future__ import annotations

import importlib
import importlib.util
import random
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
NAMES = (
    "wire",
    "flips",
    "endpoint",
    "broker",
    "framing",
    "requests",
    "config",
    "replies",
    "api",
    "state",
    "metadata",
    "credentials",
    "http1",
    "keepalived",
)
CANARY = "canary"
MOST_BYTES = 4096
_OPTIONS = (f"-max_len={MOST_BYTES}", "-timeout=10", "-rss_limit_mb=512", "-print_final_stats=1")
LIMIT_S = 2.0  # CPU time of one input: the slowest honest one takes some milliseconds


class Harness(Protocol):
    """What a module of tests/fuzz/targets has."""

    SEEDS: tuple[bytes, ...]

    def one(self, data: bytes) -> None:
        """Raise where these bytes break the invariant."""


class SlowError(AssertionError):
    """One input took longer than any may."""


@dataclass(frozen=True, slots=True)
class Crash:
    """An input that broke the invariant, and how."""

    data: bytes
    error: str


@dataclass(frozen=True, slots=True)
class Run:
    """What a run did. `edges` None: the engine does not know."""

    target: str
    engine: str
    executions: int
    seconds: float
    corpus: int
    edges: int | None
    crashes: tuple[Crash, ...]


def harness(name: str) -> Harness:
    """Import a harness by name."""
    return cast("Harness", importlib.import_module(f"tests.fuzz.targets.{name}"))


def corpus(name: str) -> list[bytes]:
    """Return the seeds of a harness and its stored inputs, in a fixed order."""
    stored = [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]
    return [*harness(name).SEEDS, *stored]


def file_name(data: bytes) -> str:
    """Return under which name an input is stored."""
    return sha256(data).hexdigest()[:16]


def call(target: Harness, data: bytes) -> None:
    """Run one input; whatever comes out of it, or more CPU time than LIMIT_S, is a crash."""
    started_s = time.thread_time()
    target.one(data)
    spent_s = time.thread_time() - started_s
    if spent_s > LIMIT_S:
        raise SlowError(f"{spent_s:.1f} s of CPU time for {len(data)} bytes")


def run_plain(name: str, *, seed: int, executions: int = 0, seconds: float = 0.0) -> Run:
    """Run mutants of the corpus until so many are done or so long has passed; the first crash ends it."""
    target, known, rng = harness(name), corpus(name), random.Random(seed)  # noqa: S311 - repeatable
    started_s = time.monotonic()
    done = 0
    for data in _inputs(known, rng):
        if done >= executions and time.monotonic() - started_s >= seconds:
            break
        done += 1
        try:
            call(target, data)
        except Exception as error:  # noqa: BLE001 - whatever a harness raises is what is looked for
            crash = Crash(data, f"{type(error).__name__}: {error}")
            return Run(name, "plain", done, time.monotonic() - started_s, len(known), None, (crash,))
    return Run(name, "plain", done, time.monotonic() - started_s, len(known), None, ())


def _inputs(known: list[bytes], rng: random.Random) -> Iterator[bytes]:
    yield from known
    while True:
        data = rng.choice(known) if rng.random() < 0.9 else b""
        for _ in range(rng.choice((1, 1, 1, 2, 3, 5, 8))):
            data = _mutant(data, known, rng)
        yield data[:MOST_BYTES]


def _mutant(data: bytes, known: list[bytes], rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    end = min(len(data), at + rng.choice((1, 1, 2, 4, 8, 32)))
    before, part, after = data[:at], data[at:end], data[end:]
    other = rng.choice(known)
    start = rng.randrange(len(other) + 1)
    others = other[start : start + rng.choice((1, 4, 16, 64, MOST_BYTES))]
    flipped = bytes([(part or b"\0")[0] ^ 1 << rng.randrange(8)])
    byte = bytes([rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))])
    fresh = rng.randbytes(rng.choice((1, 1, 2, 4, 8)))
    return rng.choice(
        (
            before + flipped + part[1:] + after,
            before + byte + part[1:] + after,
            before + fresh + part + after,
            before + after,
            before + part * rng.choice((2, 2, 4, 40)) + after,
            before,
            before + others + part + after,
            before + others,
        )
    )


def atheris_installed() -> bool:
    """Tell whether the coverage-guided engine can be used here (the optional extra `fuzz`)."""
    return importlib.util.find_spec("atheris") is not None


def run_atheris(
    name: str, *, seed: int, executions: int = 0, seconds: float = 0.0, keep: Path | None = None
) -> Run:
    """Run libFuzzer on the corpus in a process of its own; what it adds to the corpus goes to `keep`."""
    with tempfile.TemporaryDirectory(prefix="hafailover-fuzz-") as scratch:
        work = Path(scratch)
        found = keep or work / "found"
        given = work / "given"
        for directory in (found, given):
            directory.mkdir(parents=True, exist_ok=True)
        known = corpus(name)
        for data in known:
            (given / file_name(data)).write_bytes(data)
        bound = f"-runs={executions}" if executions else f"-max_total_time={max(1, round(seconds))}"
        options = (*_OPTIONS, bound, f"-seed={seed}", f"-artifact_prefix={work}/bad-")
        started_s = time.monotonic()
        ended = subprocess.run(
            (sys.executable, "-m", "tests.fuzz.child", name, str(found), str(given), *options),
            cwd=HERE.parents[1],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds + 120,
            check=False,
        )
        spent_s = time.monotonic() - started_s
        crashes = tuple(Crash(path.read_bytes(), _error(ended.stdout)) for path in sorted(work.glob("bad-*")))
        if not crashes and ended.returncode:
            crashes = (Crash(b"", ended.stdout[-2000:]),)
        edges = [int(number) for number in re.findall(r"\bcov: (\d+)", ended.stdout)]
        done = re.findall(r"stat::number_of_executed_units: (\d+)", ended.stdout)
        grown = len(known) + sum(1 for _ in found.iterdir())
    gained = edges[-1] - edges[0] if edges else None
    return Run(name, "atheris", int(done[-1]) if done else 0, spent_s, grown, gained, crashes)


def _error(output: str) -> str:
    """Return the exception out of what libFuzzer prints, or its own complaint."""
    match = re.search(r"Uncaught Python exception: ===\n(.*)", output) or re.search(r"ERROR: (libFuzzer.*)", output)
    return match[1] if match else output[-500:]


def minimised(name: str, more: Iterable[bytes]) -> list[bytes]:
    """Return the fewest of these inputs, short ones first, that together reach what all of them reach."""
    target = harness(name)
    lines: set[tuple[str, int, int]] = set()
    for data in target.SEEDS:
        lines |= _reached(target, data)
    kept: list[bytes] = []
    for data in sorted(set(more), key=lambda each: (len(each), each)):
        fresh = _reached(target, data) - lines
        if fresh:
            kept.append(data)
            lines |= fresh
    return kept


def _reached(target: Harness, data: bytes) -> set[tuple[str, int, int]]:
    """Return the jumps from line to line within the product that this input makes."""
    jumps: set[tuple[str, int, int]] = set()

    def enter(frame: FrameType, _event: str, _arg: object) -> Callable[..., Any] | None:
        file = frame.f_code.co_filename
        if "/hafailover/" not in file and not file.endswith(("_parser.py", "_readers.py")) and "/h11/" not in file:
            return None
        last = [frame.f_lineno]

        def step(inner: FrameType, event: str, _arg: object) -> Any:
            if event == "line":
                jumps.add((file, last[0], inner.f_lineno))
                last[0] = inner.f_lineno
            elif event == "exception":
                jumps.add((file, inner.f_lineno, -1))
            return step

        return step

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        target.one(data)
    finally:
        sys.settrace(before)
    return jumps
