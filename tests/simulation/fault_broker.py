"""What can go wrong with a broker: itself, the way to it, what it keeps, and how fast it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from tests.simulation.universe import Universe

    End = Callable[[], None]
    Begun = tuple[str, End | None] | None


@dataclass(frozen=True, slots=True)
class BrokerDown:
    """The broker is gone for a while; what it had retained comes back with it, or not."""

    def begin(self, universe: Universe, rng: random.Random) -> Begun:
        broker = universe.broker
        if broker is None:
            return None
        keep = rng.random() < 0.5
        broker.stop(wills=False, keep=keep)
        broker.down += 1

        def end() -> None:
            broker.down -= 1

        return f"keeps {keep}", end


@dataclass(frozen=True, slots=True)
class BrokerRestart:
    """The broker ends all sessions, with their wills or without, and is there again at once."""

    def begin(self, universe: Universe, rng: random.Random) -> Begun:
        if universe.broker is None:
            return None
        wills, keep = rng.random() < 0.5, rng.random() < 0.5
        universe.broker.stop(wills=wills, keep=keep)
        return f"wills {wills} keeps {keep}", None


@dataclass(frozen=True, slots=True)
class BrokerCut:
    """One node and the broker do not reach each other."""

    def begin(self, universe: Universe, rng: random.Random) -> Begun:
        broker, name = universe.broker, rng.choice(list(universe.hosts))
        if broker is None:
            return None
        broker.cuts[name] += 1
        return name, lambda: broker.cuts.subtract([name])


@dataclass(frozen=True, slots=True)
class Takeover:
    """Somebody connects as a node and goes: the node's session ends, and its will is published though it lives."""

    def begin(self, universe: Universe, rng: random.Random) -> Begun:
        broker = universe.broker
        if broker is None or not broker.sessions:
            return None
        name = rng.choice(sorted(broker.sessions))
        broker.end(name, will=True)
        return name, None


@dataclass(frozen=True, slots=True)
class Stale:
    """The broker keeps what it was told long ago of some node, as if nothing had come since."""

    def begin(self, universe: Universe, rng: random.Random) -> Begun:
        broker = universe.broker
        if broker is None or not broker.presences:
            return None
        old = rng.choice(broker.presences)
        broker.retained[old.topic] = old
        return old.topic, None


@dataclass(frozen=True, slots=True)
class Replayed:
    """Recordings of earlier heartbeats and presences are published again by somebody who may write there."""

    def begin(self, universe: Universe, rng: random.Random) -> Begun:
        broker = universe.broker
        if broker is None:
            return None
        recorded = [*broker.recorded, *broker.presences]
        for what in rng.sample(recorded, min(len(recorded), 8)):
            universe.at(universe.now + rng.randrange(2_000), broker.publish, what)
        return "some", None


@dataclass(frozen=True, slots=True)
class LateWills:
    """Wills are published late."""

    def begin(self, universe: Universe, rng: random.Random) -> Begun:
        broker, late_ms = universe.broker, rng.choice((500, 2_300, 5_000, 20_000))
        if broker is None:
            return None
        broker.late_wills_ms = late_ms

        def end() -> None:
            broker.late_wills_ms = 0

        return f"{late_ms} ms", end


@dataclass(frozen=True, slots=True)
class Traffic:
    """How what goes through the broker fares: an attribute of it takes a value for a while."""

    attribute: str
    values: tuple[float, ...]

    def begin(self, universe: Universe, rng: random.Random) -> Begun:
        broker, value = universe.broker, rng.choice(self.values)
        if broker is None:
            return None
        before = type(getattr(broker, self.attribute))(0)
        setattr(broker, self.attribute, value)
        return f"{self.attribute} {value}", lambda: setattr(broker, self.attribute, before)
