"""What happened, one line per event, and the SHA-256 of all lines: equal for equal seeds, on any machine.

t|seq|node|event|effects
"""

from __future__ import annotations

import hashlib
from collections import deque
from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election import events as ev

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from tests.simulation.process import Process

KEPT = 400  # lines, without those of pure routine


class Trace:
    """The lines of one life; the latest are kept, all of them count for the digest."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._serial = 0
        self.last: deque[str] = deque(maxlen=KEPT)

    def line(self, now: int, process: Process, event: Event, effects: tuple[Effect, ...]) -> None:
        """Note what one event has caused."""
        self._serial += 1
        told = ",".join([_effect(each) for each in effects])
        text = f"{now}|{self._serial}|{process.name}{process.boot}|{_event(event)}|{told}"
        self._digest.update(text.encode())
        routine = isinstance(event, ev.AdvertReceived | ev.TimerExpired)
        if not routine or any(type(each) is not fx.SendAdverts for each in effects):
            self.last.append(text)

    def note(self, now: int, what: str) -> None:
        """Note something that happened outside the daemons."""
        self._serial += 1
        text = f"{now}|{self._serial}|-|{what}|"
        self._digest.update(text.encode())
        self.last.append(text)

    @property
    def sha256(self) -> str:
        """The digest of everything so far."""
        return self._digest.hexdigest()


def _event(event: Event) -> str:  # noqa: PLR0911 - one line per kind of event
    match event:
        case ev.AdvertReceived():
            group = event.advert.groups[0]
            sure = "" if event.confirmed else "?"
            return f"advert{sure} {event.advert.node} {group.state.value} {group.term} {group.eligible:d}"
        case ev.HoldersRead():
            seen = " ".join(f"{each.holder}{'' if each.settled else '~'}" for each in event.sightings)
            return f"read {event.asked_at} {seen}"
        case ev.MoveFinished():
            return f"moved {event.move_id} {event.result.outcome.value} {event.result.code}"
        case ev.GuardAnswered():
            return f"guard {event.guard} {event.verdict.value}"
        case ev.CheckChanged():
            return f"check {event.state.value}"
        case ev.FailoverAsked():
            return f"failover asked to {event.target}"
        case ev.LoopLagged():
            return f"lagged {event.lag_ms}"
        case _:
            return type(event).__name__


def _effect(effect: Effect) -> str:  # noqa: PLR0911 - one line per kind of effect
    match effect:
        case fx.SendAdverts():
            group = effect.advert.groups[0]
            return f"tell {group.state.value} {group.term}"
        case fx.RoleChanged():
            return f"{effect.old.value}->{effect.new.value} {effect.reason.name} {effect.term}"
        case fx.Move():
            return f"move {effect.move_id} {effect.resource.id} {effect.expected}->{effect.target}"
        case fx.Refrained():
            return f"refrain {effect.reason.name}"
        case fx.Answer():
            return f"answer {effect.reason.name}"
        case fx.FailoverFinished():
            return f"finished {effect.detect_ms} {effect.cloud_ms}"
        case _:
            return type(effect).__name__
