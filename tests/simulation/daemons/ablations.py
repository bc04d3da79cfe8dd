"""The proof that this tier sees: a rule of the daemon is switched off, and that must be noticed.

`python -m tests.simulation.daemons.ablations` tries each. These are rules of the runner, the performer and what is
around them, which the first tier only models.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hafailover.control.server import ControlServer
from hafailover.daemon import clock
from hafailover.daemon.arming import Arming
from hafailover.daemon.eipkeeper import EipKeeper
from hafailover.daemon.performer import Performer
from hafailover.daemon.runner import Runner
from hafailover.daemon.supervisor import Daemon
from hafailover.daemon.wires import Wires
from hafailover.election.effects import Leave, Persist, StopAnswering
from hafailover.heartbeat.endpoint import Endpoint
from tests.simulation.ablation import Ablation, without
from tests.simulation.ablations import BURIED
from tests.simulation.daemons.life import live, options_of
from tests.simulation.options import Wave

if TYPE_CHECKING:
    from hafailover.election.events import Event
    from tests.simulation.life import Outcome


async def _handle_without_barriers(self: Runner, event: Event) -> None:
    for effect in self._node.handle(event, now=clock.now_ms()):
        barrier = self._performer.perform(effect)
        if barrier is not None:
            asyncio.ensure_future(barrier)  # noqa: RUF006 - that is the point
        if isinstance(effect, Leave):
            self.left = True


async def _nothing(*_args: object, **_options: object) -> None:
    await asyncio.sleep(0)


async def _handle_barriers_last(self: Runner, event: Event) -> None:
    effects = self._node.handle(event, now=clock.now_ms())
    for effect in sorted(effects, key=lambda each: isinstance(each, Persist | StopAnswering)):
        barrier = self._performer.perform(effect)
        if barrier is not None:
            await barrier
        self.left = self.left or isinstance(effect, Leave)


async def _close_half(self: Daemon) -> None:
    for task in tuple(self._tasks)[1:]:
        task.cancel()
    await asyncio.sleep(0)


def _any_word(self: Endpoint, data: bytes, now_us: int) -> Any:
    return self._take(self._codec.decode(data), now_us)


ABLATIONS = (
    Ablation(
        "the runner waits for barriers",
        ((Runner, "_handle", _handle_without_barriers),),
        ("kill", "power-off", "console"),
        ("persisted-first", "silent-before-word"),
        (("disk_ms", 60), ("guest_ms", 5)),
    ),
    Ablation(
        "the performer takes the address off the guest",
        ((Arming, "stop_answering", _nothing),),
        ("service-down", "failover", "console"),
        ("silent-before-word", "double-answer", "stop-ends", "recovers", "quiet"),
    ),
    Ablation(
        "the performer saves what it is told to",
        ((Performer, "_persist", _nothing),),
        ("power-off", "kill", "failover"),
        ("persisted-first", "terms-grow"),
    ),
    Ablation(
        "effects are carried out in the order returned",
        ((Runner, "_handle", _handle_barriers_last),),
        ("power-off", "kill", "service-down"),
        ("persisted-first", "silent-before-word"),
    ),
    Ablation(
        "a daemon closes what it has opened",
        ((Daemon, "_close", _close_half),),
        ("stop",),
        ("nothing-left", "daemon-lives", "loop"),
    ),
    Ablation(
        "the control server ends its connections",
        ((ControlServer, "close", _nothing),),
        ("stop", "clients"),
        ("nothing-left", "loop", "stop-in-time"),
    ),
    Ablation(
        "the keeper binds what a release has dropped",
        ((EipKeeper, "run", _nothing),),
        ("failover", "power-off"),
        ("recovers", "eip-kept"),
        (("addresses", 1), ("eips", 1), ("strategy", "reassign")),
    ),
    Ablation(
        "what was bound is on disk",
        ((EipKeeper, "_save", lambda _self: None),),
        ("failover", "power-off", "kill"),
        ("recovers", "eip-kept"),
        (("addresses", 1), ("eips", 1), ("strategy", "reassign")),
    ),
    Ablation(
        "what a kernel says by UDP bears on what the broker says",
        ((Wires, "_heard", lambda self, event: self._deliver(event)),),
        ("kill", "broker-late-wills"),
        ("kernels-outweigh-wills",),
        BURIED,
    ),
    Ablation(
        "a damaged datagram is dropped",
        ((Endpoint, "receive", _any_word),),
        ("corrupt",),
        ("loop", "daemon-lives"),
    ),
)


def seeds_to_find(ablation: Ablation, seeds: range) -> tuple[int | None, Outcome | None]:
    """Return how many lives it takes until the missing rule is noticed, None where they do not suffice."""
    waves = tuple(Wave(kind, 1_000, 5_000, 5_000, 15_000) for kind in ablation.kinds)
    with without(ablation):
        for count, seed in enumerate(seeds, 1):
            drawn = replace(options_of(seed), waves=waves, checked=True, paused=False, calm_ms=40_000)
            outcome = live(replace(drawn, trouble_ms=150_000, **dict(ablation.settings)))
            if outcome.broken is not None and outcome.broken.name in ablation.breaks:
                return count, outcome
    return None, None


def main() -> int:
    """Try each."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.daemons.ablations", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="at most so many lives for each")
    given = parser.parse_args()
    missed = 0
    for ablation in ABLATIONS:
        count, outcome = seeds_to_find(ablation, range(1, given.seeds + 1))
        missed += count is None
        print(f"{ablation.rule}: {count} {outcome and outcome.broken}", flush=True)  # noqa: T201 - a program
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
