"""The runner: the only caller of the core's `handle`, and the only one to have its effects performed.

Events queue up here from everywhere; each is handled to its end, effects in the order returned and barriers
awaited, before the next one is looked at. The core asks for one wake-up, so there is one timer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Protocol

from hafailover.daemon import clock
from hafailover.election.effects import Leave
from hafailover.election.events import AdvertReceived, LoopLagged, TimerExpired

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from hafailover.election.node import Node

MAX_ADVERTS_WAITING = 1_000  # beyond, they are dropped like those that the network loses
QUIET_TURNS = 3  # a loop that is well turns once in so many heartbeat intervals: one may be late, one lost
SUSPEND_MS = 50  # the two clocks are read one after the other


class Performer(Protocol):
    """Whoever carries out effects."""

    def perform(self, effect: Effect) -> Awaitable[None] | None:
        """Start an effect; a barrier returns what is to be awaited before the next one."""


class Inbox:
    """Where events wait for their turn; anything in the daemon may post."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self._events: deque[Event] = deque()
        self._adverts = 0

    def post(self, event: Event) -> None:
        """Queue an event; returns at once."""
        if isinstance(event, AdvertReceived):
            if self._adverts >= MAX_ADVERTS_WAITING:
                return
            self._adverts += 1
        self._events.append(event)
        self.arrived.set()

    def take(self) -> Event | None:
        """Return the event that has waited longest, None where none waits."""
        if not self._events:
            return None
        event = self._events.popleft()
        self._adverts -= isinstance(event, AdvertReceived)
        return event


class Runner:
    """Turns the core: one event at a time, one timer.

    `on_turn` is called after each turn with how late the timer was, in milliseconds.
    """

    def __init__(self, node: Node, inbox: Inbox, performer: Performer, on_turn: Callable[[int], None]) -> None:
        self._node = node
        self._inbox = inbox
        self._performer = performer
        self._on_turn = on_turn
        self._slept_ms = clock.slept_ms()
        self.left = False
        self.turned_at_ms = clock.now_ms()

    async def run(self) -> None:
        """Turn until the core has left. Raises InvariantError where it contradicts itself."""
        loop, arrived = asyncio.get_running_loop(), self._inbox.arrived
        while not self.left:
            delay_s = max(0, self._node.deadline - clock.now_ms()) / 1000
            timer = loop.call_later(delay_s, arrived.set)
            await arrived.wait()
            timer.cancel()
            arrived.clear()
            await self._turn()

    async def _turn(self) -> None:
        late_ms = max(0, clock.now_ms() - self._node.deadline)
        slept_ms = clock.slept_ms()
        if slept_ms - self._slept_ms > SUSPEND_MS:
            await self._handle(LoopLagged(slept_ms - self._slept_ms))
        self._slept_ms = slept_ms
        event = self._inbox.take()
        if event is None and clock.now_ms() >= self._node.deadline:
            event = TimerExpired()
        while event is not None and not self.left:
            await self._handle(event)
            event = self._inbox.take()
        self.turned_at_ms = clock.now_ms()
        self._on_turn(late_ms)

    async def _handle(self, event: Event) -> None:
        for effect in self._node.handle(event, now=clock.now_ms()):
            barrier = self._performer.perform(effect)
            if barrier is not None:
                await barrier
            if isinstance(effect, Leave):
                self.left = True
