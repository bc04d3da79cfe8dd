"""What can befall resources in the cloud: no room, a task at work on them, strangers; and the links of ENIs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hafailover.election.values import ResourceKind
from tests.simulation.ground import STRANGER
from tests.simulation.refusals import RELEASES, TAKES, Rule

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from hafailover.election.values import Resource
    from tests.simulation.universe import Universe

    End = Callable[[], None]

MUTEX = "UnsupportedOperation.MutexOperationTaskRunning"
REFUSED = ("UnsupportedOperation.ResourceIsInvalidState", "ResourceInsufficient", "InvalidParameterValue")
ATTACHING = TAKES - {"MigratePrivateIpAddress", "MigrateNetworkInterface"}


def give(universe: Universe, resource: Resource, holder: str | None) -> None:
    """Move a resource by hand, as in the console."""
    by_hand = universe.cloud.attach if resource.kind is ResourceKind.ENI else universe.cloud.move
    by_hand(resource.id, holder, universe.now)


def _refuse(universe: Universe, rule: Rule) -> End:
    rules = universe.sky.refusals.rules
    rules.append(rule)
    return lambda: rules.remove(rule)


@dataclass(frozen=True, slots=True)
class Quota:
    """One node has no room for anything more."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        name = rng.choice(list(universe.hosts))
        return name, _refuse(universe, Rule("LimitExceeded", TAKES, caller=name))


@dataclass(frozen=True, slots=True)
class Mutex:
    """The cloud is at work on a resource, with something that nobody here has asked for."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        resource = rng.choice(list(universe.resources))
        return resource, _refuse(universe, Rule(MUTEX, TAKES | RELEASES, resource=resource))


@dataclass(frozen=True, slots=True)
class NoMigration:
    """The account, or the ENIs, cannot use MigrateNetworkInterface."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:  # noqa: ARG002 - a fault's signature
        return "all", _refuse(universe, Rule("UnsupportedOperation", ("MigrateNetworkInterface",)))


@dataclass(frozen=True, slots=True)
class TakeRefused:
    """What is released cannot be taken: the second call of two is refused."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        code = rng.choice(REFUSED)
        return code, _refuse(universe, Rule(code, ATTACHING))


@dataclass(frozen=True, slots=True)
class ToStranger:
    """Somebody gives a resource to a machine that is no node, and takes it off again."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        resource = universe.resources[rng.choice(list(universe.resources))]
        stranger = STRANGER.instance_id if resource.kind is ResourceKind.ENI else STRANGER.eni_id
        give(universe, resource, stranger)

        def end() -> None:
            if universe.holder[resource.id] == stranger:
                give(universe, resource, None)

        return resource.id, end


@dataclass(frozen=True, slots=True)
class LateLinks:
    """The links of ENIs come late."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        late_ms = rng.choice((2_000, 8_000, 15_000))
        universe.plugs.late_ms += late_ms

        def end() -> None:
            universe.plugs.late_ms -= late_ms

        return f"{late_ms} ms", end


@dataclass(frozen=True, slots=True)
class NoLinks:
    """The links of ENIs do not come on one host."""

    def begin(self, universe: Universe, rng: random.Random) -> tuple[str, End | None]:
        name = rng.choice(list(universe.hosts))
        universe.plugs.without[name] += 1

        def end() -> None:
            universe.plugs.without[name] -= 1

        return name, end
