"""Faults at random, one after another and several at a time, on real daemons; then everything heals.

A seed gives the whole plan, as far as real time lets it be repeated. What has to hold is in `Nemesis.judge`.

    python -m tests.lab.nemesis [--seeds FIRST LAST] [--steps N]
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.cloud import CloudSettings
from tests.lab.fabric import LabError, sweep, why_not
from tests.lab.lab import Lab, pause
from tests.lab.pair import GROUP, Pair, PairSettings
from tests.lab.processes import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

SETTLE_S = 45.0  # an unanswered request's life and some hold-down
CALM_S = 2.0
MOST_DESCRIPTORS_MORE = 12  # connections to the API that are kept for a while
GUARDS: tuple[tuple[str, ...], ...] = ((), ("vip",), ("vip", "cloud"))
HANDOVERS = ("overlap", "overlap", "strict")
CLOUD_FAULTS: tuple[dict[str, object], ...] = (
    {"kind": "hang-after", "action": "writes", "count": 1},
    {"kind": "hang-before", "action": "writes", "count": 1},
    {"kind": "reset-after", "action": "writes", "count": 1},
    {"kind": "http-500-after", "action": "writes", "count": 1},
    {"kind": "throttle", "action": "*", "count": 3},
    {"kind": "task-failed", "action": "writes", "count": 1},
    {"kind": "task-slow", "action": "writes", "count": 1, "ms": 3000},
    {"kind": "latency", "action": "*", "count": 10, "ms": 700},
    {"kind": "stale", "action": "reads", "count": 3, "ms": 2000},
    {"kind": "truncated", "action": "*", "count": 2},
)


@dataclass(frozen=True, slots=True)
class Blow:
    """A fault that can be undone; `touches` are the things that no other fault may touch meanwhile."""

    name: str
    touches: frozenset[str]
    strike: Callable[[], object]
    heal: Callable[[], object]


@dataclass(slots=True)
class Verdict:
    """What a life showed; `shape` is who lived it, and `wrong` is empty where all is well."""

    seed: int
    shape: str
    blows: list[str]
    moves: int
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        said = "; ".join(self.wrong) or "ok"
        return f"seed {self.seed}: {len(self.blows)} blows, {self.moves} moves, {self.shape}: {said}"


class Nemesis:
    """One life under faults: of a pair, or of a pair and a witness where the lab has three hosts."""

    def __init__(self, lab: Lab, seed: int, steps: int) -> None:
        self.lab = lab
        self.hosts = tuple(lab.hosts)
        self.seed = seed
        self.steps = steps
        self.rng = random.Random(seed)  # noqa: S311 - a plan of faults is no secret
        witnesses = self.hosts[2:]
        guards = ("quorum",) if witnesses else self.rng.choice(GUARDS)
        handover = self.rng.choice(HANDOVERS)
        self.shape = f"{len(self.hosts)} nodes, {handover}, guards {list(guards)}"
        settings = PairSettings(
            guards=guards,
            witnesses=witnesses,
            audit_interval="1s",
            more_group=f'hold_down = "1s"\nhandover = "{handover}"',
            hooks={"master": 0.0, "backup": 0.2},
        )
        self.pair = Pair(lab, settings)
        self.struck: list[str] = []
        self._on: list[Blow] = []
        self._descriptors: dict[str, int] = {}

    def run(self) -> Verdict:
        """Strike, heal, and judge."""
        self.pair.start()
        self._descriptors = {name: self._count_descriptors(name) for name in self.hosts}
        for _ in range(self.steps):
            self._step()
        self._heal_all()
        return self.judge()

    def _step(self) -> None:
        for _ in range(self.rng.choice((1, 1, 1, 2, 3))):
            self._strike()
            pause(self.rng.uniform(0.0, 0.6))
        pause(self.rng.uniform(0.2, 3.0))
        self.rng.shuffle(self._on)
        while self._on:
            self._on.pop().heal()
            pause(self.rng.uniform(0.0, 0.5))
        pause(self.rng.uniform(0.2, CALM_S))

    def _strike(self) -> None:
        taken = frozenset[str]().union(*(blow.touches for blow in self._on))
        free = [blow for blow in self._blows() if not blow.touches & taken]
        if free:
            blow = self.rng.choice(free)
            self.struck.append(blow.name)
            self._on.append(blow)
            blow.strike()

    def _heal_all(self) -> None:
        while self._on:
            self._on.pop().heal()
        self.lab.cloud.heal()

    # -- the faults --------------------------------------------------------------------------------------------

    def _blows(self) -> list[Blow]:
        per_host = [blow for name in self.hosts for blow in self._blows_to(name)]
        cuts = [blow for first, second in combinations(self.hosts, 2) for blow in self._cuts(first, second)]
        return [*per_host, *cuts, self._cloud_blow()]

    def _blows_to(self, name: str) -> list[Blow]:
        lab, pair = self.lab, self.pair
        host, own = frozenset({name}), lab.hosts[name]
        return [
            Blow(f"lose {name}", host, lambda: lab.fabric.lose(name), lambda: lab.fabric.regain(name)),
            Blow(f"freeze {name}", host, lambda: lab.freeze(name), lambda: lab.thaw(name)),
            Blow(f"freeze daemon {name}", host, lambda: self._signal(name, stop=True), lambda: self._signal(name)),
            Blow(f"kill daemon {name}", host, lambda: pair.kill_daemon(name), lambda: pair.start_daemon(name)),
            Blow(f"stop daemon {name}", host, lambda: self._stop(name), lambda: pair.start_daemon(name)),
            Blow(f"stop service {name}", host, own.stop_service, own.start_service),
            Blow(
                f"cut api {name}",
                frozenset({f"api {name}"}),
                lambda: lab.fabric.cut_cloud(name),
                lambda: lab.fabric.mend_cloud(name),
            ),
            Blow(f"failover from {name}", host, lambda: self._hand_over(name), lambda: None),
        ]

    def _cuts(self, first: str, second: str) -> list[Blow]:
        link, lab = frozenset({f"link {first} {second}"}), self.lab
        ways = [
            Blow(
                f"cut {source} to {target}",
                link,
                lambda source=source, target=target: lab.fabric.cut_heartbeats(source, target),  # type: ignore[misc]
                lambda source=source, target=target: lab.fabric.mend_heartbeats(source, target),  # type: ignore[misc]
            )
            for source, target in ((first, second), (second, first))
        ]
        return [
            *ways,
            Blow(f"part {first} {second}", link, lambda: lab.part(first, second), lambda: lab.join(first, second)),
        ]

    def _cloud_blow(self) -> Blow:
        fault = dict(self.rng.choice(CLOUD_FAULTS))
        kind = str(fault.pop("kind"))
        return Blow(f"api {kind}", frozenset({"cloud"}), lambda: self.lab.cloud.fault(kind, **fault), lambda: None)

    def _signal(self, name: str, *, stop: bool = False) -> None:
        self.pair.daemon(name).signal(signal.SIGSTOP if stop else signal.SIGCONT)

    def _stop(self, name: str) -> None:
        self.pair.daemon(name).signal(signal.SIGTERM)

    def _hand_over(self, name: str) -> None:
        self.pair.ask(name, "failover", group=GROUP)

    # -- the verdict -------------------------------------------------------------------------------------------

    def judge(self) -> Verdict:
        """Say what is wrong once everything has healed.

        One master, which is the holder, and only it carries the address; the client is served; no daemon has ended
        by itself or said anything critical; no more moves than faults and commands; descriptors come back.
        """
        verdict = Verdict(self.seed, self.shape, self.struck, 0)
        try:
            wait_for("the pair settles", self._settled, SETTLE_S, pause_s=0.3)
            pause(CALM_S)
            if not self._settled():
                verdict.wrong.append("it settled and did not stay so")
        except LabError as error:
            verdict.wrong.append(f"{error}: {self._shown()}")
        verdict.moves = len(self.lab.cloud.moves())
        if verdict.moves > len(self.struck):
            verdict.wrong.append(f"{verdict.moves} moves for {len(self.struck)} blows")
        verdict.wrong += [*self._unserved(), *self._complaints(), *self._leaks()]
        return verdict

    def _settled(self) -> bool:
        holder = self.lab.cloud.holder()
        states = {name: self.pair.state(name) for name in self.hosts}
        carrying = {name for name in self.hosts if self.lab.carries(name)}
        wanted = {name: "MASTER" if name == holder else "BACKUP" for name in self.hosts}
        return states == wanted and carrying == {holder}

    def _shown(self) -> str:
        carrying = [name for name in self.hosts if self.lab.carries(name)]
        states = [
            (name, self.pair.group(name).get("state"), self.pair.group(name).get("why")) for name in self.hosts
        ]
        return f"holder {self.lab.cloud.holder()}, carrying {carrying}, {states}"

    def _unserved(self) -> list[str]:
        with self.lab.probe() as probe:
            pause(0.5)
        return (
            [] if not probe.report.lost else [f"{probe.report.lost} of {probe.report.sent} probes lost at the end"]
        )

    def _complaints(self) -> list[str]:
        return [
            f"{name} said {entry['event']}: {entry}"
            for name in self.hosts
            for entry in self.pair.log(name)
            if entry.get("level") == "critical" or "Traceback" in str(entry)
        ] + [
            f"a traceback in {name}'s log"
            for name in self.hosts
            if "Traceback" in (self.lab.hosts[name].directory / "daemon.log").read_text(errors="replace")
        ]

    def _count_descriptors(self, name: str) -> int:
        return len(list(Path(f"/proc/{self.pair.daemon(name).pid}/fd").iterdir()))

    def _leaks(self) -> list[str]:
        return [
            f"{name} has {now} descriptors, had {before}"
            for name, before in self._descriptors.items()
            if (now := self._count_descriptors(name)) > before + MOST_DESCRIPTORS_MORE
        ]


def live(seed: int, steps: int) -> tuple[Verdict, dict[str, str]]:
    """Live one life in a lab of its own; return what it showed, and the logs where something is wrong.

    Every third seed is that of a pair with a witness.
    """
    with Lab(CloudSettings(nodes=2 if seed % 3 else 3)) as lab:
        nemesis = Nemesis(lab, seed, steps)
        try:
            verdict = nemesis.run()
        except LabError as error:
            verdict = Verdict(seed, nemesis.shape, nemesis.struck, 0, [str(error)])
        return verdict, lab.logs(200_000) if verdict.wrong else {}


def main() -> int:
    """Live many lives; exit code 1 where one went wrong, with its logs in /tmp."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs=2, default=(1, 10), metavar=("FIRST", "LAST"))
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--logs", type=Path, help="a directory for the logs of lives that went wrong")
    arguments = parser.parse_args()
    reason = why_not()
    if reason:
        sys.stderr.write(f"the lab cannot run: {reason}\n")
        return 2
    sweep()
    bad = blows = moves = 0
    for seed in range(arguments.seeds[0], arguments.seeds[1] + 1):
        verdict, logs = live(seed, arguments.steps)
        sys.stdout.write(f"{verdict}\n")
        sys.stdout.flush()
        bad, blows, moves = bad + bool(verdict.wrong), blows + len(verdict.blows), moves + verdict.moves
        if verdict.wrong:
            sys.stdout.write(f"  {', '.join(verdict.blows)}\n")
        for name, text in logs.items():
            if arguments.logs:
                arguments.logs.mkdir(parents=True, exist_ok=True)
                (arguments.logs / f"{seed}-{name.replace('/', '-')}").write_text(text, encoding="utf-8")
    lives = arguments.seeds[1] - arguments.seeds[0] + 1
    sys.stdout.write(f"{lives} lives, {blows} blows, {moves} moves, {bad} wrong\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
