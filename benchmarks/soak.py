"""Whether the memory or the descriptors of a pair that works for a long time grow.

    python -m benchmarks.soak [--minutes 30] [--every 60] [--json FILE]

Two real daemons on loopback beside the emulated cloud. Every `--every` seconds the address moves: by request, and
every third time because the master's host is lost. About once a second, both daemons are scraped, asked for their
status, and have their status page loaded. The slope is that of the least squares over the samples after the warm-up
(the first fifth), with its standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.footprint import rss_mib
from tests.system.loopback import METRICS_PORT, LoopbackPair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hafailover.demo.troupe import Actor

BLOCK = "127.77.42"
ROUND_S = 1.0
ANSWER_S = 10.0
WARM_UP = 0.2  # of the time
LOST_EVERY = 3
PATHS = ("/metrics", "/", "/healthz")
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a daemon: seconds since the beginning, resident memory, descriptors, threads."""

    at_s: float
    rss_mib: float
    descriptors: int
    threads: int


@dataclass(frozen=True, slots=True)
class Slope:
    """How fast a figure grows, per hour, and the standard error of that."""

    per_hour: float
    error: float


@dataclass
class Soak:
    """What has been seen; `slowest_s` by kind of request."""

    samples: dict[str, list[Sample]] = field(default_factory=dict)
    moves: int = 0
    lost_hosts: int = 0
    requests: dict[str, int] = field(default_factory=dict)
    slowest_s: dict[str, float] = field(default_factory=dict)

    def asked(self, what: str, took_s: float) -> None:
        """Count a request."""
        self.requests[what] = self.requests.get(what, 0) + 1
        self.slowest_s[what] = max(self.slowest_s.get(what, 0.0), took_s)


def slope(points: Sequence[tuple[float, float]]) -> Slope:
    """Return the least-squares slope of (seconds, value) per hour; 0 where there are too few to tell."""
    count = len(points)
    if count < 3:  # noqa: PLR2004 - two points have no error
        return Slope(0.0, 0.0)
    mean_s = sum(at for at, _ in points) / count
    mean = sum(value for _, value in points) / count
    spread = sum((at - mean_s) ** 2 for at, _ in points)
    rise = sum((at - mean_s) * (value - mean) for at, value in points) / spread
    rest = sum((value - mean - rise * (at - mean_s)) ** 2 for at, value in points)
    return Slope(rise * HOUR_S, sqrt(rest / (count - 2) / spread) * HOUR_S)


def look(pid: int, at_s: float) -> Sample:
    """Return what the kernel says of a process now."""
    process = Path(f"/proc/{pid}")
    return Sample(
        at_s, rss_mib([pid]), len(list((process / "fd").iterdir())), len(list((process / "task").iterdir()))
    )


def load(actor: Actor, path: str) -> float:
    """Load a page; return what it took. Raises OSError, HTTPException, and ValueError where it is none."""
    began_s = time.perf_counter()
    connection = http.client.HTTPConnection(actor.host, METRICS_PORT, timeout=ANSWER_S)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        if not reply.read() or reply.status != http.HTTPStatus.OK:
            raise ValueError(f"{path} of {actor.name}: {reply.status}")
    finally:
        connection.close()
    return time.perf_counter() - began_s


async def soak(seconds: float, every_s: float) -> Soak:
    """Let a pair work for so long. Raises what a daemon that does not answer as it should makes of it."""
    seen = Soak()
    with tempfile.TemporaryDirectory(prefix="hafailover-soak-") as folder:
        async with LoopbackPair(Path(folder), BLOCK, checked=True) as pair:
            began_s, next_move_s = time.monotonic(), every_s / 2
            while (at_s := time.monotonic() - began_s) < seconds:
                if at_s >= next_move_s:
                    next_move_s += every_s
                    await move(pair, seen)
                for actor in pair.actors:
                    await visit(actor, seen, time.monotonic() - began_s)
                await asyncio.sleep(ROUND_S)
    return seen


async def move(pair: LoopbackPair, seen: Soak) -> None:
    """Move the address to the other node."""
    seen.moves += 1
    if seen.moves % LOST_EVERY:
        await pair.failover()
    else:
        seen.lost_hosts += 1
        await pair.lose_master()


async def visit(actor: Actor, seen: Soak, at_s: float) -> None:
    """Ask a daemon for everything that it tells, and sample it."""
    for path in PATHS:
        seen.asked(path, await asyncio.to_thread(load, actor, path))
    began_s = time.perf_counter()
    await asyncio.to_thread(actor.status)
    seen.asked("status", time.perf_counter() - began_s)
    if actor.process is None or actor.process.returncode is not None:
        raise RuntimeError(f"the daemon of {actor.name} has ended")
    seen.samples.setdefault(actor.name, []).append(look(actor.process.pid, at_s))


def told(seen: Soak, seconds: float) -> str:
    """Return the figures as text."""
    asked = ", ".join(
        f"{count} x {what} (slowest {1000 * seen.slowest_s[what]:.0f} ms)" for what, count in seen.requests.items()
    )
    lines = [
        f"{seconds / 60:g} minutes, {seen.moves} moves of which {seen.lost_hosts} by a lost host",
        f"asked: {asked}",
        "",
        "| daemon | figure | after warm-up | end | most | per hour, least squares |",
        "|---|---|---|---|---|---|",
    ]
    for name, samples in seen.samples.items():
        warm = [sample for sample in samples if sample.at_s >= WARM_UP * seconds]
        lines += [_row(name, figure, warm) for figure in ("rss_mib", "descriptors", "threads") if warm]
    return "\n".join(lines)


def _row(name: str, figure: str, samples: Sequence[Sample]) -> str:
    points = [(sample.at_s, float(getattr(sample, figure))) for sample in samples]
    values = [value for _, value in points]
    growth = slope(points)
    return (
        f"| {name} | {figure} | {values[0]:.4g} | {values[-1]:.4g} | {max(values):.4g} | "
        f"{growth.per_hour:+.2f} ± {growth.error:.2f} |"
    )


def main() -> int:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--every", type=float, default=60, help="seconds between two moves")
    parser.add_argument("--json", type=Path, help="also write every sample there")
    given = parser.parse_args()
    seen = asyncio.run(soak(given.minutes * 60, given.every))
    print(told(seen, given.minutes * 60))
    if given.json:
        given.json.write_text(json.dumps(asdict(seen), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
