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
    from hafailover.election.values import Advert
    from tests.simulation.process import Process

KEPT = 400  # lines, without those of pure routine
BATCH = 512  # lines that go into the digest at once


class Trace:
    """The lines of one life; the latest are kept, all of them count for the digest."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._batch: list[str] = []
        self._serial = 0
        self._told: tuple[Advert | None, str] = (None, "")
        self.last: deque[str] = deque(maxlen=KEPT)

    def line(self, now: int, process: Process, event: Event, effects: tuple[Effect, ...]) -> None:
        """Note what one event has caused."""
        told = ",".join([self._effect(each) for each in effects])
        text = self._add(f"{now}|{self._serial}|{process.tag}|{told_event(event)}|{told}")
        if type(event) not in ROUTINE or any(type(each) is not fx.SendAdverts for each in effects):
            self.last.append(text)

    def routine(self, now: int, process: Process, told: str) -> None:
        """Note an event that has caused nothing."""
        self._add(f"{now}|{self._serial}|{process.tag}|{told}|")

    def _add(self, text: str) -> str:
        self._serial += 1
        self._batch.append(text)
        if len(self._batch) == BATCH:
            self._flush()
        return text

    def _flush(self) -> None:
        self._digest.update("\n".join([*self._batch, ""]).encode())
        self._batch.clear()

    def _effect(self, effect: Effect) -> str:
        """Return an effect as text; an advert that is sent again, and most are, as it was the last time."""
        if type(effect) is not fx.SendAdverts:
            return _effect(effect)
        if self._told[0] is not effect.advert:
            self._told = (effect.advert, _effect(effect))
        return self._told[1]

    def note(self, now: int, what: str) -> None:
        """Note something that happened outside the daemons."""
        self.last.append(self._add(f"{now}|{self._serial}|-|{what}|"))

    @property
    def sha256(self) -> str:
        """The digest of everything so far."""
        self._flush()
        return self._digest.hexdigest()


ROUTINE = (ev.AdvertReceived, ev.TimerExpired)


def told_event(event: Event) -> str:  # noqa: PLR0911 - one line per kind of event
    """Return an event as text."""
    match event:
        case ev.AdvertReceived():
            sure = "" if event.confirmed else "?"
            said = (f"{group.state.value} {group.term} {group.eligible:d}" for group in event.advert.groups)
            return f"advert{sure} {event.advert.node} {' '.join(said)}"
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
            return "tell " + " ".join(f"{group.state.value} {group.term}" for group in effect.advert.groups)
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
