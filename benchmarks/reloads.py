"""What reloads cost while clients are served: probes, writes, roles, memory, descriptors.

    python -m benchmarks.reloads [--reloads 1000] [--pause 100] [--limit 300]

Needs what benchmarks.failover needs. A pair of daemons in the lab, a client that asks the address every 2 ms. One
file after another is written and taken in by both daemons, one after the other, by what `hafailover reload` sends.
Two files take turns that differ in the heartbeat's interval, the interval of a check, a check that is there in one
only, the audit and the log's level; and the heartbeat key is rotated all the while, as the configuration's page
says. The exit code is 1 where a goal is missed, or where `--limit` seconds were too few.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.soak import Sample, look
from benchmarks.systems import ready
from tests.lab.fabric import LabError
from tests.lab.lab import Lab, pause
from tests.lab.pair import Pair, PairSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.lab.prober import ProbeReport

OLD, NEW = "/var/lib/hafailover/cluster.key", "/var/lib/hafailover/new.key"
ROTATION = ((OLD,), (OLD, NEW), (NEW, OLD), (NEW,), (NEW, OLD), (OLD, NEW))  # there, and back again
EXTRA = """
[[group.check]]
name = "maintenance"
type = "file"
path = "/run/maintenance"
reverse = true
"""
# What every other file has in place of what the first one has.
OTHER = {
    'interval = "100ms"\ndead_interval': 'interval = "90ms"\ndead_interval',
    'interval = "120ms"': 'interval = "150ms"',
    'audit_interval = "30s"': 'audit_interval = "20s"',
    'level = "debug"': 'level = "info"',
}
WARM_UP = 0.1  # of the reloads, after which memory and descriptors are first looked at
SETTLE_S = 1.0


@dataclass
class Run:
    """What has been seen. `before` and `after` by daemon, the first after the warm-up; `changes` are of roles."""

    took_ms: list[float] = field(default_factory=list)
    seconds: float = 0.0
    files: int = 0
    before: dict[str, Sample] = field(default_factory=dict)
    after: dict[str, Sample] = field(default_factory=dict)
    writes: int = 0
    changes: int = 0
    report: ProbeReport | None = None

    @property
    def clean(self) -> bool:
        """Whether nobody but the log has noticed."""
        return self.report is not None and (self.report.lost, self.writes, self.changes) == (0, 0, 0)


def variant(plain: str, order: int) -> str:
    """Return the file of this order, in which nothing needs a restart that the one before has not."""
    text = plain
    if order % 2:
        for old, new in OTHER.items():
            if old not in text:
                raise LabError(f"the lab's file has no {old!r}")
            text = text.replace(old, new)
        text += EXTRA
    files = ", ".join(f'"{file}"' for file in ROTATION[order % len(ROTATION)])
    return text.replace(f'key_file = "{OLD}"', f"key_files = [{files}]")


def reload(pair: Pair, name: str) -> float:
    """Have a daemon read the file again; return what it took, in milliseconds. Raises LabError where it refuses."""
    began_s = time.perf_counter()
    reply = pair.ask(name, "reload")
    took_ms = 1000 * (time.perf_counter() - began_s)
    if not reply.get("changed"):
        raise LabError(f"{name} took nothing in: {reply or 'no answer'}")
    return took_ms


def roles(pair: Pair) -> float:
    """Return how often a group has changed its state, on all nodes."""
    return sum(pair.metric(name, "hafailover_role_changes_total") for name in pair.lab.hosts)


def run(files: int, pause_s: float, limit_s: float) -> Run:
    """Have both daemons take in so many files, with a pause after each, while there is time. Raises LabError."""
    with Lab() as lab:
        pair = Pair(lab, PairSettings(check_interval="120ms"))
        fresh = secrets.token_hex(32)
        for name in lab.hosts:
            pair.write_key(name, fresh, "new.key")
        pair.start()
        seen, changed = Run(), roles(pair)
        with lab.probe(max_s=limit_s + 60) as probe:
            _reload_all(pair, seen, files, pause_s, limit_s)
            pause(SETTLE_S)
        seen.report = probe.report
        seen.after = samples(pair)
        seen.writes, seen.changes = lab.cloud.writes(), int(roles(pair) - changed)
        return seen


def _reload_all(pair: Pair, seen: Run, files: int, pause_s: float, limit_s: float) -> None:
    plain, began_s = pair.config.read_text(), time.monotonic()
    for order in range(1, files + 1):
        pair.config.write_text(variant(plain, order))
        seen.took_ms += [reload(pair, name) for name in pair.lab.hosts]
        seen.files, seen.seconds = order, time.monotonic() - began_s
        if order == max(1, int(files * WARM_UP)):
            seen.before = samples(pair)
        if seen.seconds > limit_s:
            return
        pause(pause_s)


def samples(pair: Pair) -> dict[str, Sample]:
    """Return what the kernel says of the daemons now."""
    return {name: look(pair.daemon(name).pid, time.monotonic()) for name in pair.lab.hosts}


def told(seen: Run, files: int) -> Sequence[str]:
    """Return the figures as lines."""
    ordered = sorted(seen.took_ms)
    middle, most, worst = median(ordered), ordered[int(len(ordered) * 0.99)], ordered[-1]
    lines = [f"{seen.files} files of {files}, taken in by each of two daemons in {seen.seconds:.0f} s"]
    lines.append(f"a reload took {middle:.1f} ms, {most:.1f} ms at 99 %, {worst:.1f} ms at worst")
    if seen.report is not None:
        probes = f"lost probes {seen.report.lost} of {seen.report.sent}"
        lines.append(f"{probes}, API writes {seen.writes}, role changes {seen.changes}")
        lines.append(f"the prober itself was {seen.report.late_ms:.0f} ms late at worst")
    lines += [
        "",
        "| daemon | memory MiB, after the warm-up, at the end | descriptors | threads |",
        "|---|---|---|---|",
    ]
    for name, before in seen.before.items():
        after = seen.after[name]
        lines.append(
            f"| {name} | {before.rss_mib:.1f}, {after.rss_mib:.1f} | {before.descriptors}, {after.descriptors} |"
            f" {before.threads}, {after.threads} |"
        )
    return lines


def main() -> int:
    """Run the benchmark; exit code 1 where a goal is missed, 2 where it cannot run here."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reloads", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--reloads", type=int, default=1000, help="of each daemon (default 1000)")
    parser.add_argument("--pause", type=float, default=100, help="milliseconds after each file (default 100)")
    parser.add_argument("--limit", type=float, default=300, help="seconds after which it stops (default 300)")
    given = parser.parse_args()
    if not ready():
        return 2
    try:
        seen = run(given.reloads, given.pause / 1000, given.limit)
    except LabError as error:
        print(f"the lab failed: {error}", file=sys.stderr)
        return 2
    print("\n".join(told(seen, given.reloads)))
    return 0 if seen.clean and seen.files == given.reloads else 1


if __name__ == "__main__":
    sys.exit(main())
