"""The kinds of faults that only whole daemons can suffer; all others are tier 1's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from tests.simulation import faults
from tests.simulation.fault_hosts import pick_running
from tests.simulation.fault_paths import Weather

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from tests.simulation.daemons.town import Town
    from tests.simulation.faults import Kind
    from tests.simulation.universe import Universe

    End = Callable[[], None]

MANNERS = ("status", "scrape", "slow", "deaf", "dead")


@dataclass(frozen=True, slots=True)
class DiskFull:
    """The disk of a host takes nothing more."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        name = rng.choice(list(universe.hosts))
        disk = cast("Town", universe).disks[name]
        disk.full = True

        def end() -> None:
            disk.full = False

        return name, end


@dataclass(frozen=True, slots=True)
class DiskHangs:
    """Each write to the disk of a host takes long."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        name = rng.choice(list(universe.hosts))
        disk = cast("Town", universe).disks[name]
        disk.hangs_ms = rng.choice((300, 1_500, 8_000))

        def end() -> None:
            disk.hangs_ms = 0

        return f"{name} {disk.hangs_ms} ms", end


@dataclass(frozen=True, slots=True)
class GuestSlow:
    """Each change of the guest's network takes its time on one host."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        name = rng.choice(list(universe.hosts))
        slow = cast("Town", universe).slow_guests_ms
        slow[name] = rng.choice((20, 100, 400))

        def end() -> None:
            slow.pop(name, None)

        return f"{name} {slow[name]} ms", end


@dataclass(frozen=True, slots=True)
class WallJumps:
    """Somebody sets the time of day of a host."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        name, skew_ms = rng.choice(list(universe.hosts)), rng.choice((0, -4_000, 30_000, 290_000, -7_200_000))
        cast("Town", universe).skews_ms[name] = skew_ms
        return f"{name} {skew_ms} ms", None


@dataclass(frozen=True, slots=True)
class Clients:
    """Many clients come to the control socket and the page of a host, of all manners."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None] | None:
        host = pick_running(universe, rng)
        if host is None:
            return None
        name, clients = host.member.name, cast("Town", universe).clients
        for _ in range(rng.choice((1, 5, 40, 150))):
            instant = universe.now + rng.randrange(2_000)
            universe.at(instant, clients.pester, name, rng.choice(MANNERS))
        return name, None


@dataclass(frozen=True, slots=True)
class StopTwice:
    """A daemon is stopped, and again while it stops; it is started by whoever watches it."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None] | None:
        begun = faults.KINDS["stop"].begin(universe, rng)
        if begun is not None:
            process: Any = universe.hosts[begun[0]].process
            universe.at(universe.now + rng.randrange(3_000), _signal_again, process)
        return begun


def _signal_again(process: Any) -> None:
    from hafailover.election.events import StopAsked  # noqa: PLC0415 - only here

    if process is not None:
        process.post(StopAsked(restarting=False))


OWN: dict[str, Kind] = {
    "disk-full": DiskFull(),
    "disk-hangs": DiskHangs(),
    "corrupt": Weather("corrupt", (0.02, 0.3)),
    "clients": Clients(),
    "guest-slow": GuestSlow(),
    "wall-jumps": WallJumps(),
    "stop-twice": StopTwice(),
}
ALL: dict[str, Kind] = {**faults.KINDS, **OWN}
# What is on a disk that is full or hangs may be older than what was decided.
FORGETFUL = frozenset({"disk-full", "disk-hangs"})
