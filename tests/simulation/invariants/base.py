"""What every invariant is: it is shown what happens, and raises Broken where its sentence does not hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NoReturn

from tests.simulation.universe import Broken

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from hafailover.election.events import AdvertReceived, Event
    from hafailover.emulator.values import Change
    from tests.simulation.broker import Word
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe


def whole(process: Process) -> Process:
    """Return a daemon with all of its groups, where an invariant is shown one of them."""
    unparted: Process = getattr(process, "whole", process)
    return unparted


class Invariant:
    """One sentence about all lives.

    It is shown the events of the types `events`, the effects of the types `decisions` when the core decides so,
    and those of the types `effects` when they are carried out, which may be later by what barriers take. Most
    events are heartbeats that say once more what was said: those are not shown, `Process.heard` has their time.
    """

    name: ClassVar[str] = ""
    decisions: ClassVar[tuple[type, ...]] = ()
    effects: ClassVar[tuple[type, ...]] = ()
    events: ClassVar[tuple[type, ...]] = ()

    def __init__(self, universe: Universe) -> None:
        self.universe = universe

    def broken(self, seen: str) -> NoReturn:
        """Report what was seen."""
        raise Broken(self.name, f"at {self.universe.now} ms: {seen}")

    def on_event(self, process: Process, event: Event) -> None:
        """See an event of one of `events` before the core does; an advert only where it says something new."""

    def on_word(self, process: Process, event: AdvertReceived, word: Word) -> None:
        """See what a path has taken for a peer's word, and how it was made; only where there is a broker."""

    def on_decision(self, process: Process, effect: Effect) -> None:
        """See an effect of one of `decisions`, as soon as the core has decided on it."""

    def on_effect(self, process: Process, effect: Effect) -> None:
        """See an effect of one of `effects`, before it is carried out."""

    def on_handled(self, process: Process, event: Event, effects: tuple[Effect, ...]) -> None:
        """See what an event has caused, where it has caused anything or `Universe.alert` is set."""

    def on_turn(self, process: Process, event: Event, effects: tuple[Effect, ...]) -> None:
        """See every call of the core, those of pure routine too."""

    def on_change(self, change: Change) -> None:
        """See a change of holder, as it truly happens."""

    def on_eip(self, change: Change) -> None:
        """See an EIP bound to another private address, or to none, as it truly happens."""

    def on_start(self, process: Process) -> None:
        """See a daemon start."""

    def on_resume(self, process: Process) -> None:
        """See a daemon about to run again."""

    def on_strike(self, kind: str, *, over: bool) -> None:
        """See a fault begin or end."""

    def at_end(self) -> None:
        """Look back, at the end of a life."""
