"""Both tiers live the same options, and must come to the same changes of role, node by node.

That holds for what leaves nothing to chance: no scheduling noise, requests that always take as long, and no faults
but hosts that are lost and services that fail. `python -m tests.simulation.daemons.compare --seeds 20`.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from tests.simulation.daemons import patches
from tests.simulation.daemons.life import options_of
from tests.simulation.daemons.town import Town
from tests.simulation.invariants.base import Invariant
from tests.simulation.life import Outcome, _through
from tests.simulation.options import Wave
from tests.simulation.universe import Universe

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from tests.simulation.options import Options
    from tests.simulation.process import Process

Roles = dict[str, list[tuple[str, str, str]]]
KINDS = ("power-off", "service-down")


class Roll(Invariant):
    """Writes down every change of role as it is carried out; it breaks nothing."""

    effects = (fx.RoleChanged,)

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self.roles: Roles = {name: [] for name in universe.hosts}

    def on_effect(self, process: Process, effect: Effect) -> None:
        assert isinstance(effect, fx.RoleChanged)
        self.roles[process.name].append((effect.old.value, effect.new.value, effect.reason.name))


@dataclass(frozen=True, slots=True)
class Pair:
    """What both tiers have come to."""

    options: Options
    core: Roles
    daemons: Roles

    @property
    def alike(self) -> bool:
        """Whether it is the same."""
        return self.core == self.daemons


def certain(seed: int) -> Options:
    """Return options that leave nothing to chance; the troubles are far enough apart to come to their ends."""
    kind = KINDS[seed % len(KINDS)]
    wave = Wave(kind, least_ms=40_000, mean_ms=10_000, least_calm_ms=60_000, mean_calm_ms=10_000)
    drawn = options_of(seed)
    plain = replace(drawn, api_spread=0.0, api_ms=min(drawn.api_ms, 200), disk_ms=0, guest_ms=0, paused=False)
    return replace(plain, checked=True, waves=(wave,), task_ms=min(drawn.task_ms, 1_000))


def both(options: Options) -> Pair:
    """Live one set of options in both tiers."""
    core = Universe(options)
    daemons = Town(options, noise=False)
    first = _roles(core)
    with patches.in_place(daemons):
        try:
            second = _roles(daemons)
        finally:
            daemons.bury()
    return Pair(options, first, second)


def _roles(universe: Universe) -> Roles:
    roll = Roll(universe)
    universe.watch([roll])
    _through(universe, Outcome(universe.options))
    return roll.roles


def main() -> int:
    """Compare many."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.daemons.compare", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--start", type=int, default=1)
    given = parser.parse_args()
    different = changes = 0
    for seed in range(given.start, given.start + given.seeds):
        pair = both(certain(seed))
        changes += sum(map(len, pair.core.values()))
        if not pair.alike:
            different += 1
            print(seed, pair.options.told())  # noqa: T201 - this is a program
            for name in pair.core:
                print(" ", name, "core   ", pair.core[name], "\n ", name, "daemons", pair.daemons[name])  # noqa: T201 - as above
    print(f"seeds {given.seeds}, changes of role {changes}, different {different}")  # noqa: T201 - as above
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
