"""All kinds of faults, and the storm that lets them happen: each begins something, and returns how that ends."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Protocol

from hafailover.election import events as ev
from tests.simulation.fault_broker import (
    BrokerCut,
    BrokerDown,
    BrokerRestart,
    LateWills,
    Replayed,
    Stale,
    Takeover,
    Traffic,
)
from tests.simulation.fault_hosts import (
    Crippled,
    Freeze,
    Kill,
    PowerOff,
    ServiceDown,
    SlowHooks,
    Suspend,
    Vanish,
)
from tests.simulation.fault_paths import CutLink, Flapping, Isolate, Partition, Replay, Swizzle, Weather
from tests.simulation.fault_people import (
    POLL_MS,
    Console,
    Drain,
    FailingReads,
    Failover,
    Outage,
    Pause,
    Regroup,
    Reload,
    Renode,
    StaleReads,
    Stop,
    Writes,
)
from tests.simulation.fault_resources import LateLinks, Mutex, NoLinks, NoMigration, Quota, TakeRefused, ToStranger

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.options import Wave
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe

    End = Callable[[], None]


class Kind(Protocol):
    """One kind of fault."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None] | None:
        """Let it begin: what it is, and how it ends; None where there is nothing that it could befall now."""


KINDS: dict[str, Kind] = {
    "loss": Weather("loss", (0.05, 0.15, 0.3)),
    "double": Weather("double", (0.2,)),
    "delay": Weather("delay_ms", (20, 100, 500)),
    "spikes": Weather("spike", (0.02, 0.2)),
    "replay": Replay(),
    "cut": CutLink(),
    "one-way-cut": CutLink(one_way=True),
    "wall": CutLink(wall=True),
    "isolate": Isolate(wall=False),
    "isolate-host": Isolate(),
    "host-dark": Isolate(api=True),
    "partition": Partition(),
    "swizzle": Swizzle(),
    "flapping": Flapping(),
    **{kind: Writes(kind) for kind in ("throttle", "error-before", "error-after", "request-lost", "reply-lost")},
    **{kind: Writes(kind) for kind in ("late-effect", "task-fails", "task-slow")},
    "stale-reads": StaleReads(),
    "failing-reads": FailingReads(),
    "api-outage-one": Outage(everyone=False),
    "api-outage-all": Outage(everyone=True),
    "kill": Kill(),
    "kill-interrupted": Kill(doomed=True),
    "kill-disk-lost": Kill(disk="lost"),
    "kill-disk-old": Kill(disk="old"),
    "power-off": PowerOff(),
    "hiccup": Freeze(2_000),
    "freeze": Freeze(),
    "suspend": Suspend(),
    "service-down": ServiceDown(),
    "services-down": ServiceDown(everyone=True),
    "crippled": Crippled(),
    "slow-hooks": SlowHooks(),
    "vanish": Vanish(),
    "console": Console(),
    "failover": Failover(),
    "pause": Pause(),
    "reload": Reload(),
    "regroup": Regroup(),
    "renode": Renode(),
    "drain": Drain(),
    "stop": Stop(),
    "restart": Stop(restarting=True),
    "quota": Quota(),
    "mutex": Mutex(),
    "take-refused": TakeRefused(),
    "to-stranger": ToStranger(),
    "no-eni-migration": NoMigration(),
    "late-links": LateLinks(),
    "no-links": NoLinks(),
    "broker-down": BrokerDown(),
    "broker-cut": BrokerCut(),
    "broker-restart": BrokerRestart(),
    "broker-takeover": Takeover(),
    "broker-stale": Stale(),
    "broker-replay": Replayed(),
    "broker-late-wills": LateWills(),
    "broker-slow": Traffic("delay_ms", (50, 300, 2_000, 6_000)),
    "broker-spikes": Traffic("spike", (0.01, 0.1)),
    "broker-loss": Traffic("loss", (0.1, 0.5)),
    "broker-double": Traffic("double", (0.3,)),
}


class Storm:
    """The faults of one life: each kind with its own random numbers, so that leaving one out changes no other."""

    def __init__(self, universe: Universe) -> None:
        self._universe = universe
        self._ends: dict[int, tuple[str, End]] = {}
        self._serial = 0
        self._until = 0

    def begin(self, until: int) -> None:
        """Let faults happen until an instant."""
        self._until = until
        universe = self._universe
        for wave in universe.options.waves:
            rng = random.Random(f"{universe.options.seed}:fault:{wave.kind}")  # noqa: S311 - to be repeated
            universe.at(universe.now + _length(rng, 0, wave.mean_calm_ms), self._strike, wave, rng)

    def _strike(self, wave: Wave, rng: random.Random) -> None:
        universe = self._universe
        if universe.now >= self._until:
            return
        length_ms = _length(rng, wave.least_ms, wave.mean_ms)
        begun = KINDS[wave.kind].begin(universe, rng)
        if begun is not None:
            detail, end = begun
            universe.struck(wave.kind, detail)
            if end is not None:
                self._serial += 1
                self._ends[self._serial] = (wave.kind, end)
                universe.at(universe.now + length_ms, self._end, self._serial)
        calm_ms = _length(rng, wave.least_calm_ms, wave.mean_calm_ms)
        universe.at(universe.now + length_ms + calm_ms, self._strike, wave, rng)

    def _end(self, serial: int) -> None:
        kind, end = self._ends.pop(serial, ("", None))
        if end is not None:
            self._universe.struck(kind, "", over=True)
            end()

    def heal(self) -> None:
        """End all that goes on, mend what is broken, and have every daemon run and take part."""
        universe = self._universe
        self._until = 0
        for serial in tuple(self._ends):
            self._end(serial)
        for name, host in universe.hosts.items():
            host.crippled = False
            if host.process is not None:
                host.process.doomed = False
            if not host.service:
                universe.serve(name, up=True)
            if not host.powered:
                universe.power(name, on=True)
            self._include(name)
            universe.reload(name)
        universe.struck("heal", "", over=True)

    def _include(self, name: str) -> None:
        """Have a daemon run and take part; one that was out of the file, when all have read that it is back."""
        universe = self._universe
        universe.start(name)
        process = universe.hosts[name].process
        if process is None or name in universe.out:
            universe.at(universe.now + POLL_MS, self._include, name)
            return
        if process.node.context.drained:
            universe.ask(name, lambda request: ev.DrainAsked(request, drained=False))
        if not universe.options.paused and _is_paused(process):
            universe.ask(name, lambda request: ev.ResumeAsked(request, None))


def _is_paused(process: Process) -> bool:
    return any(group.pause.holds(process.clock) for group in process.node.groups.values())


def _length(rng: random.Random, least_ms: int, mean_ms: int) -> int:
    return least_ms + round(rng.expovariate(1 / mean_ms))
