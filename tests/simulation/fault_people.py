"""What the cloud and people do: lost and late requests, old answers, changes by hand, operators' wishes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hafailover.election import events as ev
from hafailover.election.values import NodeName
from tests.simulation.fault_hosts import pick_running
from tests.simulation.fault_resources import give

OTHER_DIGEST = b"\1" * 8
LESS_DIGEST = b"\2" * 8
POLL_MS = 500  # between two looks whether a node has left, or the others have read the file

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from hafailover.election.values import GroupName
    from tests.simulation.host import Host
    from tests.simulation.universe import File, Universe

    End = Callable[[], None]


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


@dataclass(frozen=True, slots=True)
class Console:
    """Somebody moves a resource by hand; to nobody too."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        resource = universe.resources[rng.choice(sorted(universe.holder))]
        members = [host.member for host in universe.hosts.values() if not host.member.witness]
        to = rng.choice([*(member.holder_id(resource) for member in members), None])
        give(universe, resource, to)
        return f"{resource.id} to {to}", None


def _pick_group(universe: Universe, rng: random.Random) -> GroupName:
    groups = [policy.group for policy in universe.options.policies]
    return groups[0] if len(groups) == 1 else rng.choice(groups)


@dataclass(frozen=True, slots=True)
class Failover:
    """An operator asks for a planned hand-over."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        name, target = rng.choice(list(universe.hosts)), rng.choice([None, *universe.hosts])
        wanted = None if target is None else NodeName(target)
        group = _pick_group(universe, rng)
        universe.ask(name, lambda request: ev.FailoverAsked(request, group, wanted))
        return f"{name} to {target}", None


@dataclass(frozen=True, slots=True)
class Pause:
    """An operator pauses the group on a node, for a while or until told otherwise, and resumes."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        name, for_ms = rng.choice(list(universe.hosts)), rng.choice((None, 20_000, 300_000))
        group = _pick_group(universe, rng)
        universe.ask(name, lambda request: ev.PauseAsked(request, group, for_ms))
        return f"{name} for {for_ms}", lambda: universe.ask(name, lambda request: ev.ResumeAsked(request, group))


@dataclass(frozen=True, slots=True)
class Reload:
    """Somebody changes the intervals in the file, the daemons read it again, each when it is told; and back."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None] | None:
        before, other = universe.file, universe.options.retimed
        if other is None:
            return None
        spread_ms = rng.choice((10, 5_000, 30_000))

        def read(file: File) -> None:
            universe.file = file
            for name in universe.hosts:
                universe.at(universe.now + rng.randrange(spread_ms), universe.reload, name)

        read(before._replace(timing=other, digest=OTHER_DIGEST))
        return f"{other}", lambda: read(before)


@dataclass(frozen=True, slots=True)
class Regroup:
    """Somebody takes the second group out of the file, the daemons read it, each when it is told; and back."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None] | None:
        before, spread_ms = universe.file, rng.choice((10, 5_000, 30_000))
        if len(before.policies) == 1:
            return None

        def read(file: File) -> None:
            universe.file = file
            for name in universe.hosts:
                universe.at(universe.now + rng.randrange(spread_ms), universe.reload, name)

        read(before._replace(policies=before.policies[:1], digest=LESS_DIGEST))
        return f"without {before.policies[1].group}", lambda: read(before)


@dataclass(frozen=True, slots=True)
class Renode:
    """Somebody stops a node and takes it out of the file, the others read it; and back, the node being last."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None] | None:
        host = pick_running(universe, rng)
        if len(universe.hosts) < 3 or universe.out or host is None or host.process is None:
            return None
        if all(each is host or each.member.witness for each in universe.hosts.values()):
            return None
        absence = Absence(universe, rng, host)
        host.process.post(ev.StopAsked(restarting=False))
        absence.leave()
        return f"without {host.member.name}", absence.end


class Absence:
    """How one node is taken out of the file, and back."""

    def __init__(self, universe: Universe, rng: random.Random, host: Host) -> None:
        self._universe, self._rng, self._host, self._before = universe, rng, host, universe.file
        self._name: str = host.member.name
        self._others = tuple(name for name in universe.file.names if name != self._name)
        self._spread_ms = rng.choice((10, 5_000, 30_000))
        self._over = False
        universe.out.add(self._name)

    def leave(self) -> None:
        """Write the file without the node once it has left."""
        if self._over:
            return
        if self._host.process is not None:
            self._universe.at(self._universe.now + POLL_MS, self.leave)
            return
        digest = bytes((3 + self._host.member.order,)) * 8
        self._read(self._before._replace(names=self._others, digest=digest))

    def end(self) -> None:
        """Write the file with the node, and start it when all others have read that."""
        self._over = True
        self._read(self._before)
        self._start()

    def _read(self, file: File) -> None:
        self._universe.file = file
        for name in self._others:
            read_at = self._universe.now + self._rng.randrange(self._spread_ms)
            self._universe.at(read_at, self._universe.reload, name)

    def _start(self) -> None:
        universe = self._universe
        daemons = [universe.hosts[name].process for name in self._others]
        read = all(each is None or each.has_read == self._before.digest for each in daemons)
        if not read or self._host.process is not None:
            universe.at(universe.now + POLL_MS, self._start)
            return
        universe.out.discard(self._name)
        universe.start(self._name)


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
        host = pick_running(universe, rng)
        if host is None or host.process is None:
            return None
        name, process = host.member.name, host.process
        process.post(ev.StopAsked(restarting=self.restarting))

        def start() -> None:
            if process.alive:
                universe.at(universe.now + 1_000, start)
            else:
                universe.start(name)

        return name, start
