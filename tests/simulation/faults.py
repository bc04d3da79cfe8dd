"""What can go wrong: each kind of fault begins something and returns how it ends, None where it is over at once."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hafailover.election import events as ev
from hafailover.election.values import Memory, NodeName, Resource, ResourceKind
from tests.simulation.options import GROUP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.simulation.options import Wave
    from tests.simulation.universe import Host, Universe

    End = Callable[[], None]


class Kind(Protocol):
    """One kind of fault."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None] | None:
        """Let it begin: what it is, and how it ends; None where there is nothing that it could befall now."""


# -- datagrams -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Weather:
    """A condition of all links: an attribute of the network takes a value for a while."""

    attribute: str
    values: tuple[float, ...]

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        value, before = rng.choice(self.values), type(getattr(universe.network, self.attribute))(0)
        setattr(universe.network, self.attribute, value)
        return f"{self.attribute} {value}", lambda: setattr(universe.network, self.attribute, before)


@dataclass(frozen=True, slots=True)
class Replay:
    """Recordings of earlier heartbeats are played to the nodes."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None] | None:
        recorded = universe.network.recorded
        for got in rng.sample(recorded, min(len(recorded), 10)):
            for name in universe.hosts:
                if name != got.sender:
                    universe.at(universe.now + rng.randrange(2_000), universe.network.deliver, got, name)
        return "all", None


# -- paths ---------------------------------------------------------------------------------------------------------


def _cut(universe: Universe, ways: Iterable[tuple[str, str]], *, wall: bool = False) -> End:
    counts = universe.network.walls if wall else universe.network.cuts
    ways = tuple(ways)
    counts.update(ways)
    return lambda: counts.subtract(ways)


def _between(some: Iterable[str], others: Iterable[str]) -> list[tuple[str, str]]:
    others = tuple(others)
    return [way for one in some for other in others for way in ((one, other), (other, one))]


@dataclass(frozen=True, slots=True)
class CutLink:
    """Two nodes do not hear each other; with `wall` nothing at all passes between the hosts."""

    one_way: bool = False
    wall: bool = False

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        one, other = rng.sample(list(universe.hosts), 2)
        ways = [(one, other)] if self.one_way else _between((one,), (other,))
        return f"{one} {other}", _cut(universe, ways, wall=self.wall)


@dataclass(frozen=True, slots=True)
class Isolate:
    """One host is cut off from all others, and from the API where `api`."""

    api: bool = False
    wall: bool = True

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        name = rng.choice(list(universe.hosts))
        others = (each for each in universe.hosts if each != name)
        join = _cut(universe, _between((name,), others), wall=self.wall)
        universe.sky.outages[name] += self.api

        def end() -> None:
            join()
            universe.sky.outages[name] -= self.api

        return name, end


@dataclass(frozen=True, slots=True)
class Partition:
    """The hosts fall into two parts."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        names = list(universe.hosts)
        some = rng.sample(names, rng.randrange(1, len(names)))
        rest = [name for name in names if name not in some]
        return f"{some} {rest}", _cut(universe, _between(some, rest), wall=rng.random() < 0.5)


@dataclass(frozen=True, slots=True)
class Swizzle:
    """The hosts are cut off one after the other, and come back in another order."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None] | None:
        names = list(universe.hosts)
        if len(names) < 3:
            return None
        chosen = rng.sample(names, rng.randrange(1, len(names)))
        joins: dict[str, End] = {}
        going = [True]

        def clog(name: str) -> None:
            if not going[0]:
                return
            others = (each for each in names if each != name)
            joins[name] = _cut(universe, _between((name,), others))

        for place, name in enumerate(chosen):
            universe.at(universe.now + place * rng.randrange(1_000, 5_000), clog, name)
        order = rng.sample(chosen, len(chosen))

        def end() -> None:
            going[0] = False
            for place, name in enumerate(order):
                universe.at(universe.now + place * 700, lambda join=name: joins.pop(join, lambda: None)())

        return " ".join(chosen), end


@dataclass(slots=True)
class Flapping:
    """A link goes up and down at about the interval of the heartbeats."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        one, other = rng.sample(list(universe.hosts), 2)
        ways, period_ms = _between((one,), (other,)), universe.options.timing.interval_ms
        state: list[End] = []
        going = [True]

        def turn() -> None:
            if state:
                state.pop()()
            elif going[0]:
                state.append(_cut(universe, ways))
            if going[0] or state:
                universe.at(universe.now + rng.randrange(period_ms // 2, 3 * period_ms), turn)

        def end() -> None:
            going[0] = False
            if state:
                state.pop()()

        turn()
        return f"{one} {other}", end


# -- the cloud -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Writes:
    """A share of all writes meets with something."""

    fault: str
    per_cent: tuple[int, ...] = (30, 100)

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        share = rng.choice(self.per_cent)
        universe.sky.write_faults[self.fault] += share
        return f"{share} %", lambda: universe.sky.write_faults.subtract({self.fault: share})


@dataclass(frozen=True, slots=True)
class StaleReads:
    """Each caller reads from a replica that lags behind by up to some seconds."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        stale = {name: rng.choice((0, 500, 2_000, 8_000)) for name in universe.hosts}
        universe.sky.stale_ms.update(stale)
        return str(stale), universe.sky.stale_ms.clear


@dataclass(frozen=True, slots=True)
class FailingReads:
    """A share of the reads fails."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        universe.sky.read_failures = rng.choice((30, 80))

        def end() -> None:
            universe.sky.read_failures = 0

        return f"{universe.sky.read_failures} %", end


@dataclass(frozen=True, slots=True)
class Outage:
    """The API does not answer: one node, or all."""

    everyone: bool

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        names = list(universe.hosts) if self.everyone else [rng.choice(list(universe.hosts))]
        universe.sky.outages.update(names)
        return " ".join(names), lambda: universe.sky.outages.subtract(names)


# -- processes and machines ----------------------------------------------------------------------------------------


def _running(universe: Universe, rng: random.Random) -> Host | None:
    """Return a host whose daemon runs: more often the holder than chance would have it."""
    running = [host for host in universe.hosts.values() if host.running and not host.suspended]
    holders = [host for host in running if host.member.eni_id in universe.holder.values()]
    if holders and rng.random() < 0.5:
        return rng.choice(holders)
    return rng.choice(running) if running else None


@dataclass(frozen=True, slots=True)
class Kill:
    """A daemon dies, between two effects of a batch perhaps, and starts again with what is on its disk."""

    doomed: bool = False
    disk: str = "kept"  # kept | lost | old

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None] | None:
        host = _running(universe, rng)
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
            elif self.disk == "old":
                host.memory = host.older_memory
            universe.start(name)

        return name, end


@dataclass(frozen=True, slots=True)
class PowerOff:
    """A host is lost, and comes back."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None] | None:
        host = _running(universe, rng)
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
        host = _running(universe, rng)
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
        host = _running(universe, rng)
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
        host.process.post(ev.AddressVanished(GROUP, Resource(ResourceKind.ADDRESS, address)))
        return f"{address} {host.member.name}", None


# -- people --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Console:
    """Somebody moves an address by hand; to nobody too."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        address = rng.choice(sorted(universe.holder))
        to = rng.choice([*(host.member.eni_id for host in universe.hosts.values()), None])
        universe.cloud.move(address, to, universe.now)
        return f"{address} to {to}", None


@dataclass(frozen=True, slots=True)
class Failover:
    """An operator asks for a planned hand-over."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        name, target = rng.choice(list(universe.hosts)), rng.choice([None, *universe.hosts])
        wanted = None if target is None else NodeName(target)
        universe.ask(name, lambda request: ev.FailoverAsked(request, GROUP, wanted))
        return f"{name} to {target}", None


@dataclass(frozen=True, slots=True)
class Drain:
    """An operator drains a node, and takes it back into service."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        name = rng.choice(list(universe.hosts))
        universe.ask(name, lambda request: ev.DrainAsked(request, drained=True))
        return name, lambda: universe.ask(name, lambda request: ev.DrainAsked(request, drained=False))


@dataclass(frozen=True, slots=True)
class Stop:
    """An operator stops a daemon, or restarts it; it is started again."""

    restarting: bool = False

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None] | None:
        host = _running(universe, rng)
        if host is None or host.process is None:
            return None
        name, process = host.member.name, host.process
        process.post(ev.StopAsked(restarting=self.restarting))

        def start() -> None:
            if not process.alive:
                universe.start(name)
            elif not process.frozen:
                universe.at(universe.now + 1_000, start)

        return name, start


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
    "vanish": Vanish(),
    "console": Console(),
    "failover": Failover(),
    "drain": Drain(),
    "stop": Stop(),
    "restart": Stop(restarting=True),
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
            universe.start(name)
            if host.process is not None and host.process.node.context.drained:
                universe.ask(name, lambda request: ev.DrainAsked(request, drained=False))
        universe.struck("heal", "", over=True)


def _length(rng: random.Random, least_ms: int, mean_ms: int) -> int:
    return least_ms + round(rng.expovariate(1 / mean_ms))
