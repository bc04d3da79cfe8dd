"""What happens to a pair in the benchmark, and what is promised for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.systems import FIRST, SECOND
from tests.lab.lab import pause

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.systems import System
    from tests.lab.lab import Lab

AWAY_S = 0.5  # how long systemd leaves a killed daemon away (RestartSec=), and a little more


@dataclass(frozen=True, slots=True)
class Target:
    """What is promised; None means that nothing is said of it."""

    outage_s: float | None = None
    lost: int | None = None
    writes: int | None = None
    moves: int | None = None
    most_moves: int | None = None

    def __str__(self) -> str:
        parts = [
            f"<= {self.outage_s:g} s" if self.outage_s is not None else "",
            f"{self.lost} lost" if self.lost is not None else "",
            f"{self.writes} writes" if self.writes is not None else "",
            f"{self.moves} move{'' if self.moves == 1 else 's'}" if self.moves is not None else "",
            f"<= {self.most_moves} move" if self.most_moves is not None else "",
        ]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Event:
    """One event: `prepare` before the probe begins, `strike` under it, and how long is watched after that.

    `lasts_s` is what `strike` takes, for who wants to know how long a run is.
    """

    name: str
    target: Target
    strike: Callable[[Lab, System], None]
    watch_s: float = 3.5
    prepare: Callable[[Lab], None] | None = None
    guards: tuple[str, ...] = ("vip", "cloud")
    lasts_s: float = 0.0


def _lose(lab: Lab, _system: System) -> None:
    lab.fabric.lose(FIRST)


def crash(lab: Lab, _system: System) -> None:
    """Kill everything on the first host, and its network."""
    lab.crash(FIRST)


def _lose_and_regain(lab: Lab, _system: System) -> None:
    lab.fabric.lose(FIRST)
    pause(3.0)
    lab.fabric.regain(FIRST)


def _stop_service(lab: Lab, _system: System) -> None:
    lab.hosts[FIRST].stop_service()


def stop(_lab: Lab, system: System) -> None:
    """End the first host's side in order."""
    system.stop(FIRST)


def _hand_over(_lab: Lab, system: System) -> None:
    system.hand_over()


def _kill(_lab: Lab, system: System) -> None:
    system.kill(FIRST)


def _kill_and_restart(_lab: Lab, system: System) -> None:
    system.kill(FIRST)
    pause(AWAY_S)
    system.restart(FIRST)


def _cut_heartbeats(lab: Lab, _system: System) -> None:
    lab.fabric.cut_heartbeats(FIRST, SECOND)
    lab.fabric.cut_heartbeats(SECOND, FIRST)


def _throttle(lab: Lab) -> None:
    lab.cloud.throttle(3)


def _http_500(lab: Lab) -> None:
    lab.cloud.http_500(4)


def _lose_reply(lab: Lab) -> None:
    lab.cloud.lose_reply_after_effect()


EVENTS = (
    Event("host lost", Target(outage_s=0.95, moves=1), _lose),
    Event("host lost and back", Target(moves=1), _lose_and_regain, watch_s=6.0),
    Event("service fault", Target(outage_s=0.80, moves=1), _stop_service),
    Event("stop", Target(lost=0, moves=1), stop),
    Event("planned hand-over", Target(lost=0, moves=1), _hand_over),
    Event("daemon killed", Target(lost=0), _kill, watch_s=5.0),
    Event("daemon killed and restarted", Target(lost=0, writes=0), _kill_and_restart),
    Event("host lost, 3 calls throttled", Target(outage_s=3, moves=1), _lose, 9.0, _throttle),
    Event("host lost, 4 replies HTTP 500", Target(outage_s=4, moves=1), _lose, 11.0, _http_500),
    Event("host lost, reply lost after the effect", Target(moves=1), _lose, 8.0, _lose_reply),
    Event("heartbeat path cut", Target(lost=0, moves=0), _cut_heartbeats, guards=("vip",)),
)
