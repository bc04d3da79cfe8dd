"""What can go wrong between the hosts: datagrams and paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable

    from tests.simulation.universe import Universe

    End = Callable[[], None]


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
    closed = universe.network.walls if wall else universe.network.cuts
    ways = tuple(ways)
    closed.close(ways)
    return lambda: closed.open(ways)


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
        host = universe.hosts[name]
        universe.sky.outages[name] += self.api
        host.dark += self.api

        def end() -> None:
            join()
            universe.sky.outages[name] -= self.api
            host.dark -= self.api

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
