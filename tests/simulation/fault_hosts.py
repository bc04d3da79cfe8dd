"""What can go wrong on a host: its daemon, its service, its guest, the machine itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hafailover.election import events as ev
from hafailover.election.values import Memory

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from tests.simulation.host import Host
    from tests.simulation.universe import Universe

    End = Callable[[], None]


def pick_running(universe: Universe, rng: random.Random) -> Host | None:
    """Return a host whose daemon runs: more often the holder than chance would have it."""
    running = [host for host in universe.hosts.values() if host.running and not host.suspended]
    holding = [universe.by_holder.get(holder or "") for holder in universe.holder.values()]
    holders = [host for host in running if host in holding]
    if holders and rng.random() < 0.5:
        return rng.choice(holders)
    return rng.choice(running) if running else None


@dataclass(frozen=True, slots=True)
class Kill:
    """A daemon dies, between two effects of a batch perhaps, and starts again with what is on its disk."""

    doomed: bool = False
    disk: str = "kept"  # kept | lost | old

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None] | None:
        host = pick_running(universe, rng)
        if host is None or host.process is None:
            return None
        name = host.member.name
        if self.doomed:
            host.process.doomed = True
        else:
            universe.kill(name)

        def end() -> None:
            if host.suspended:
                universe.at(universe.now + 1_000, end)
                return
            universe.kill(name)
            if self.disk == "lost":
                host.memory = Memory(groups=host.memory.groups if universe.options.paused else ())
                host.eips = ()
            elif self.disk == "old":
                host.memory = host.older_memory
                host.eips = host.older_eips
            universe.start(name)

        return name, end


@dataclass(frozen=True, slots=True)
class PowerOff:
    """A host is lost, and comes back."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None] | None:
        host = pick_running(universe, rng)
        if host is None:
            return None
        name = host.member.name
        universe.power(name, on=False)

        def end() -> None:
            if not host.powered:
                universe.power(name, on=True)

        return name, end


@dataclass(frozen=True, slots=True)
class Freeze:
    """A daemon does not run while its clock goes on (SIGSTOP), for at most `most_ms`."""

    most_ms: int = 0

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None] | None:
        host = pick_running(universe, rng)
        if host is None or host.process is None:
            return None
        process = host.process
        process.freeze()

        def end() -> None:
            if process.alive and process.frozen:
                for each in universe.invariants:
                    each.on_resume(process)
                process.thaw()

        if self.most_ms:
            universe.at(universe.now + rng.randrange(100, self.most_ms), end)
            return process.name, None
        return process.name, end


@dataclass(frozen=True, slots=True)
class Suspend:
    """A whole machine stops, its monotonic clock with it."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None] | None:
        host = pick_running(universe, rng)
        if host is None or host.process is None:
            return None
        process, since = host.process, universe.now
        process.freeze()
        host.suspended = True
        universe.truth_changed()

        def end() -> None:
            host.suspended = False
            if not process.alive:
                return
            host.offset_ms -= universe.now - since
            universe.truth_changed()
            for each in universe.invariants:
                each.on_resume(process)
            process.thaw(universe.now - since)

        return process.name, end


@dataclass(frozen=True, slots=True)
class ServiceDown:
    """The service of one host, or of all, is down."""

    everyone: bool = False

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None] | None:
        if not universe.options.checked:
            return None
        names = list(universe.hosts) if self.everyone else [rng.choice(list(universe.hosts))]
        for name in names:
            universe.serve(name, up=False)

        def end() -> None:
            for name in names:
                universe.serve(name, up=True)

        return " ".join(names), end


@dataclass(frozen=True, slots=True)
class Crippled:
    """A guest's network cannot be configured."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        host = rng.choice(list(universe.hosts.values()))
        host.crippled = True

        def end() -> None:
            host.crippled = False

        return host.member.name, end


@dataclass(frozen=True, slots=True)
class SlowHooks:
    """The hooks of one host take far longer than they should, or hang until they are killed."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        host = rng.choice(list(universe.hosts.values()))
        host.slowness = rng.choice((10, 1_000))

        def end() -> None:
            host.slowness = 1

        return f"{host.member.name} x{host.slowness}", end


@dataclass(frozen=True, slots=True)
class Vanish:
    """Somebody takes the address off a guest behind the daemon's back."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None] | None:
        carrying = [host for host in universe.hosts.values() if host.guest and host.process is not None]
        if not carrying:
            return None
        host = rng.choice(carrying)
        address = rng.choice(sorted(host.guest))
        host.guest.discard(address)
        universe.truth_changed()
        assert host.process is not None
        host.process.post(ev.AddressVanished(universe.group_of[address], universe.resources[address]))
        return f"{address} {host.member.name}", None
