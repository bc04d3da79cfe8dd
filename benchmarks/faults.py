"""The faults of the safety benchmark: five main ones, and the long ones that are for counting moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.events import Event, Target, crash, stop
from benchmarks.systems import FIRST, SECOND
from tests.lab.lab import pause

if TYPE_CHECKING:
    from benchmarks.systems import System
    from tests.lab.lab import Lab

LONG_S = 20.0
CUT_S = 4.0
AFTER_S = 3.0  # what is watched once a fault is over
AFTER_LONG_S = 8.0  # so that also a recipe that looks every five seconds can put right what it finds


def _freeze_host(lab: Lab, _system: System) -> None:
    lab.freeze(FIRST)
    pause(LONG_S)
    lab.thaw(FIRST)


def _freeze_daemon(_lab: Lab, system: System) -> None:
    system.freeze(FIRST)
    pause(LONG_S)
    system.thaw(FIRST)


def _cut(lab: Lab, seconds: float) -> None:
    lab.part(FIRST, SECOND)
    pause(seconds)
    lab.join(FIRST, SECOND)


def _cut_briefly(lab: Lab, _system: System) -> None:
    _cut(lab, CUT_S)


def _cut_long(lab: Lab, _system: System) -> None:
    _cut(lab, LONG_S)


def _answer_no_move(lab: Lab) -> None:
    lab.cloud.answer_no_move_in_time()


MAIN = (
    Event("host killed", Target(moves=1), crash, 5.0),
    Event("host frozen for 20 s", Target(moves=1), _freeze_host, AFTER_LONG_S, lasts_s=LONG_S),
    Event("heartbeats cut both ways for 4 s", Target(lost=0, moves=0), _cut_briefly, AFTER_S, lasts_s=CUT_S),
    Event("host killed, move never answered", Target(moves=1), crash, 7.0, _answer_no_move),
    Event("graceful stop", Target(lost=0, moves=1), stop),
)
LONG = (
    Event("partition for 20 s, guarded", Target(lost=0, moves=0), _cut_long, AFTER_LONG_S, lasts_s=LONG_S),
    Event(
        "partition for 20 s, no guards",
        Target(lost=0, most_moves=1),
        _cut_long,
        AFTER_LONG_S,
        guards=(),
        lasts_s=LONG_S,
    ),
    Event(
        "daemon frozen for 20 s, no guards",
        Target(lost=0, moves=1),
        _freeze_daemon,
        AFTER_LONG_S,
        guards=(),
        lasts_s=LONG_S,
    ),
)
FAULTS = (*MAIN, *LONG)
BY_NAME = {fault.name: fault for fault in FAULTS}
