from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from hafailover.daemon import clock
from hafailover.daemon.runner import MAX_ADVERTS_WAITING, SUSPEND_MS, Inbox, Runner
from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.node import Node
from hafailover.election.values import Advert, Leaving, Memory, Sighting, State, Timing
from tests.unit.daemon.stage import PATIENCE_S, until
from tests.unit.election.bench import DIGEST, GROUP, MEMBERS, POLICY, VIP, A, B

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hafailover.election.effects import Effect
    from hafailover.election.events import Event

OFTEN = Timing(interval_ms=20, dead_interval_ms=60_000, restart_grace_ms=60_000, audit_interval_ms=60_000)
ADVERT = Advert(A, DIGEST, 60_000, Leaving.NO, drained=False, hears=(), groups=())
HOLDERS = ("eni-a",)


class Watched(Node):
    """The core itself, with a list of what went in and what came out."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.wanted: list[Effect] = []
        rng = random.Random(1)  # noqa: S311 - to be repeated, not secret
        now = clock.now_ms()
        super().__init__(
            MEMBERS[0], MEMBERS, OFTEN, [POLICY], config_digest=DIGEST, memory=Memory(), rng=rng, now=now
        )

    def handle(self, event: Event, *, now: int) -> tuple[Effect, ...]:
        effects = super().handle(event, now=now)
        self.events.append(event)
        self.wanted.extend(effects)
        return effects


class Recorder:
    """Performs nothing but takes its time over barriers, and keeps the order in which all began and ended."""

    def __init__(self) -> None:
        self.done: list[Effect] = []
        self.under_way = 0
        self.overtaken: list[Effect] = []
        self.fails: type[Effect] | None = None

    def perform(self, effect: Effect) -> Awaitable[None] | None:
        if self.under_way:
            self.overtaken.append(effect)
        self.done.append(effect)
        return self._barrier(effect) if isinstance(effect, fx.Persist | fx.StopAnswering) else None

    async def _barrier(self, effect: Effect) -> None:
        self.under_way += 1
        await asyncio.sleep(0.02)
        self.under_way -= 1
        if type(effect) is self.fails:
            raise RuntimeError("as the test wants it")

    def count(self, kind: type[Any]) -> int:
        return sum(isinstance(effect, kind) for effect in self.done)


class Turning:
    """A runner at work."""

    def __init__(self) -> None:
        self.node, self.inbox, self.hands = Watched(), Inbox(), Recorder()
        self.late_ms: list[int] = []
        self.runner = Runner(self.node, self.inbox, self.hands, self.late_ms.append)

    async def leave(self) -> None:
        self.inbox.post(ev.StopAsked(restarting=True))
        await asyncio.wait_for(self.runner.run(), PATIENCE_S)


def holders() -> ev.HoldersRead:
    return ev.HoldersRead((Sighting(VIP, "eni-a"),), clock.now_ms())


async def test_effects_are_performed_in_order_and_barriers_awaited() -> None:
    at = Turning()
    at.inbox.post(holders())
    at.inbox.post(ev.DrainAsked(1, drained=True))
    at.inbox.post(ev.DrainAsked(2, drained=False))
    await at.leave()
    assert at.hands.done == at.node.wanted
    assert at.hands.overtaken == []
    assert at.hands.count(fx.Persist) == 3  # that it holds what it holds, and twice whether it is drained
    answers = [effect.request_id for effect in at.hands.done if isinstance(effect, fx.Answer)]
    assert answers == [1, 2]
    assert at.node.groups[GROUP].state is State.MASTER


async def test_events_keep_their_order_and_none_is_handled_after_leaving() -> None:
    at = Turning()
    told: list[Event] = [holders(), ev.PeerRefused(B), ev.StopAsked(restarting=True)]
    for event in (*told, ev.DrainAsked(9, drained=True)):
        at.inbox.post(event)
    await asyncio.wait_for(at.runner.run(), PATIENCE_S)
    assert [event for event in at.node.events if not isinstance(event, ev.TimerExpired)] == told
    assert isinstance(at.hands.done[-1], fx.Leave)
    assert at.runner.left


async def test_the_timer_alone_turns_the_core_and_there_is_one() -> None:
    at = Turning()
    running = asyncio.ensure_future(at.runner.run())
    await until(lambda: at.hands.count(fx.SendAdverts) >= 4)
    assert {type(event) for event in at.node.events} == {ev.TimerExpired}
    for turns in range(1, 4):  # turns that an event brings before the timer is due leave no timer behind
        before = len(at.late_ms)
        at.node.deadline = clock.now_ms() + 60_000
        at.inbox.arrived.set()
        await until(lambda: len(at.late_ms) > before)  # noqa: B023 - it ends within the same turn of this loop
        assert len(at.late_ms) >= turns
    loop: Any = asyncio.get_running_loop()
    pending = [handle for handle in loop._scheduled if not handle.cancelled()]
    mine = [handle for handle in pending if getattr(handle._callback, "__self__", None) is at.inbox.arrived]
    assert len(mine) == 1
    at.inbox.post(ev.StopAsked(restarting=True))
    await asyncio.wait_for(running, PATIENCE_S)


async def test_waking_up_early_for_nothing_is_no_event() -> None:
    at = Turning()
    at.node.deadline = clock.now_ms() + 60_000
    running = asyncio.ensure_future(at.runner.run())
    at.inbox.arrived.set()
    await until(lambda: at.late_ms)
    assert at.node.events == []
    at.inbox.post(ev.StopAsked(restarting=True))
    await asyncio.wait_for(running, PATIENCE_S)


async def test_each_turn_is_told_with_how_late_it_was() -> None:
    at = Turning()
    at.node.deadline = clock.now_ms() - 300
    before_ms = at.runner.turned_at_ms
    await at.leave()
    assert at.late_ms[0] >= 300
    assert at.runner.turned_at_ms >= before_ms


async def test_a_barrier_that_fails_ends_the_run() -> None:
    at = Turning()
    at.hands.fails = fx.Persist
    at.inbox.post(ev.DrainAsked(1, drained=True))
    with pytest.raises(RuntimeError, match="as the test wants it"):
        await asyncio.wait_for(at.runner.run(), PATIENCE_S)
    assert at.hands.count(fx.Answer) == 0


def asleep(monkeypatch: pytest.MonkeyPatch, *readings: int) -> None:
    """Have the clocks say that the machine slept for so long; the last reading stays."""
    left = list(readings)
    monkeypatch.setattr(clock, "slept_ms", lambda: left.pop(0) if len(left) > 1 else left[0])


async def test_a_suspended_machine_is_noticed_once_and_before_anything_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asleep(monkeypatch, 1_000, 1_000 + SUSPEND_MS + 1)
    at = Turning()
    at.inbox.post(holders())
    running = asyncio.ensure_future(at.runner.run())
    await until(lambda: len(at.late_ms) >= 3)
    at.inbox.post(ev.StopAsked(restarting=True))
    await asyncio.wait_for(running, PATIENCE_S)
    assert at.node.events[0] == ev.LoopLagged(SUSPEND_MS + 1)
    assert sum(isinstance(event, ev.LoopLagged) for event in at.node.events) == 1


async def test_two_clocks_read_one_after_the_other_are_no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    asleep(monkeypatch, 1_000, 1_000 + SUSPEND_MS)
    at = Turning()
    await at.leave()
    assert not any(isinstance(event, ev.LoopLagged) for event in at.node.events)


def taken(inbox: Inbox, more: Callable[[Event], bool] = lambda _event: True) -> int:
    count = 0
    while (event := inbox.take()) is not None:
        count += more(event)
    return count


def test_a_flood_of_adverts_is_cut_and_nothing_else_is() -> None:
    inbox, advert = Inbox(), ev.AdvertReceived(ADVERT, "udp")
    for _ in range(MAX_ADVERTS_WAITING + 500):
        inbox.post(advert)
    inbox.post(ev.TimerExpired())
    assert inbox.arrived.is_set()
    assert inbox.take() is advert
    inbox.post(advert)  # there is room for one again
    inbox.post(advert)
    assert taken(inbox, lambda event: event is advert) == MAX_ADVERTS_WAITING
    inbox.post(advert)
    assert taken(inbox) == 1
    assert inbox.take() is None
