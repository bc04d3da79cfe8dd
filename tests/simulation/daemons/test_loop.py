"""The loop by itself: time, order, stopping, and what it refuses or reports."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import pytest

from tests.simulation.daemons.loop import OWNER, LoopError, Owner, let_go
from tests.simulation.daemons.streams import End, ServingLoop

if TYPE_CHECKING:
    from collections.abc import Coroutine


def a_loop(seed: int = 1, *, noise: bool = False) -> ServingLoop:
    make: Any = ServingLoop
    made: ServingLoop = make(seed, noise=noise)
    return made


def begin(loop: ServingLoop, owner: Owner, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    context = copy_context()
    context.run(OWNER.set, owner)
    return loop.create_task(work, context=context)


def test_time_passes_only_when_nothing_can_run() -> None:
    loop, seen = a_loop(), []

    async def sleeper() -> None:
        for seconds in (3_600.0, 0.0, 0.001):
            await asyncio.sleep(seconds)
            seen.append(loop.time())

    begin(loop, Owner(1), sleeper())
    loop.run_until(4_000_000_000, forever=False)
    assert seen == [3_600.0, 3_600.0, 3_600.001]
    assert loop.now_us == 4_000_000_000


def test_each_process_has_its_own_clock() -> None:
    loop, seen = a_loop(), []

    async def look() -> None:
        await asyncio.sleep(1)
        seen.append(loop.time())

    for offset_s in (0, 50):
        begin(loop, Owner(1, offset_s * 1_000_000), look())
    loop.run_until(1_000_000, forever=False)
    assert seen == [1.0, 51.0]


def test_nothing_that_can_ever_run_is_a_deadlock() -> None:
    loop = a_loop()
    begin(loop, Owner(1), asyncio.Event().wait())
    with pytest.raises(LoopError, match="deadlock"):
        loop.run_until(1_000_000)
    let_go(loop.world.tasks)


def test_two_that_wake_each_other_for_ever_are_a_livelock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.simulation.daemons.loop.MOST_AT_ONCE", 1_000)
    loop, owner = a_loop(), Owner(1)

    async def spin() -> None:
        while True:  # noqa: ASYNC110 - that is what is to be found
            await asyncio.sleep(0)

    begin(loop, owner, spin())
    with pytest.raises(LoopError, match="livelock"):
        loop.run_until(1_000_000)
    let_go(owner.tasks)


def test_an_exception_that_nobody_takes_is_reported() -> None:
    loop = a_loop()

    async def fail() -> None:
        raise ValueError("lost")

    owner = Owner(1)
    begin(loop, owner, fail())
    loop.world_at(1_000, owner.tasks.clear)
    loop.world_at(2_000, str)
    with pytest.raises(LoopError, match="lost"):
        loop.run_until(3_000, forever=False)


def test_a_callback_that_fails_is_reported() -> None:
    loop = a_loop()
    loop.call_soon([].pop)
    with pytest.raises(LoopError, match="pop from empty list"):
        loop.run_until(1, forever=False)


def test_what_would_reach_outside_raises() -> None:
    loop, found = a_loop(), []

    async def reach() -> None:
        for attempt in (
            asyncio.open_connection("127.0.0.1", 1),
            asyncio.create_subprocess_exec("true"),
            asyncio.get_running_loop().getaddrinfo("localhost", 1),
        ):
            try:
                await attempt
            except NotImplementedError as error:
                found.append(error)

    begin(loop, Owner(1), reach())
    loop.run_until(1, forever=False)
    assert len(found) == 3


def test_a_stopped_process_waits_and_then_goes_on_in_order() -> None:
    loop, owner, seen = a_loop(), Owner(1), []

    async def tick(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append((name, loop.now_us))

    begin(loop, owner, tick("late", 0.002))
    begin(loop, owner, tick("early", 0.001))
    loop.world_at(500, loop.stop_owner, owner)
    loop.world_at(9_000, loop.resume_owner, owner)
    loop.run_until(10_000, forever=False)
    assert seen == [("early", 9_000), ("late", 9_000)]


def test_timers_stand_still_with_the_clock_of_a_suspended_machine() -> None:
    loop, owner, seen = a_loop(), Owner(1), []

    async def tick() -> None:
        await asyncio.sleep(1)
        seen.append((loop.now_us, loop.time()))

    def wake() -> None:
        owner.offset_us -= 5_000_000
        loop.resume_owner(owner)

    begin(loop, owner, tick())
    loop.world_at(400_000, loop.stop_owner, owner)
    loop.world_at(5_400_000, wake)
    loop.run_until(7_000_000, forever=False)
    assert seen == [(6_000_000, 1.0)]


def test_a_killed_process_never_runs_again() -> None:
    loop, owner, seen = a_loop(), Owner(1), []

    async def tick() -> None:
        try:
            await asyncio.sleep(1)
        finally:
            seen.append("not in life")

    begin(loop, owner, tick())
    loop.world_at(1, loop.kill_owner, owner)
    loop.run_until(2_000_000, forever=False)
    assert seen == []
    let_go(owner.tasks)


def shuffled(seed: int) -> tuple[list[int], str]:
    loop, seen = a_loop(seed, noise=True), []

    async def tick(number: int) -> None:
        for _ in range(3):
            await asyncio.sleep(0.001)
            seen.append(number)

    for number in range(5):
        begin(loop, Owner(number), tick(number))
    loop.run_until(1_000_000, forever=False)
    return seen, loop.digest


def test_a_seed_decides_the_order_and_its_digest_tells_it() -> None:
    assert shuffled(1) == shuffled(1)
    assert len({tuple(shuffled(seed)[0]) for seed in range(8)}) > 4
    assert len({shuffled(seed)[1] for seed in range(8)}) > 4


def test_jobs_of_a_pool_of_one_are_done_one_after_the_other() -> None:
    loop, owner, seen = a_loop(), Owner(1), []
    loop.job_us = lambda _owner, _job: 1_000

    class Pool:
        _max_workers = 1

    async def work() -> None:
        pool: Any = Pool()
        jobs = [
            loop.run_in_executor(pool, lambda number=number: seen.append((number, loop.now_us)))
            for number in (1, 2)
        ]
        failing = loop.run_in_executor(None, [].pop)
        await asyncio.gather(*jobs)
        with pytest.raises(IndexError):
            await failing

    task = begin(loop, owner, work())
    loop.run_until(10_000, forever=False)
    assert seen == [(1, 1_000), (2, 2_000)]
    assert task.done()


def test_what_is_cancelled_before_its_turn_is_never_done() -> None:
    loop, owner = a_loop(), Owner(1)
    seen: list[int] = []
    loop.job_us = lambda _owner, _job: 1_000

    async def work() -> None:
        pool: Any = type("Pool", (), {"_max_workers": 1})()
        first, second = (loop.run_in_executor(pool, seen.append, number) for number in (1, 2))
        second.cancel()
        await first
        await asyncio.sleep(1)

    begin(loop, owner, work())
    loop.run_until(2_000_000, forever=False)
    assert seen == [1]


def test_a_writer_waits_for_a_reader_that_does_not_read() -> None:
    loop, owner = a_loop(), Owner(1)
    events: list[str] = []

    class Protocol(asyncio.Protocol):
        def pause_writing(self) -> None:
            events.append("pause")

        def resume_writing(self) -> None:
            events.append("resume")

    one, other = End(loop, Protocol(), owner), End(loop, Protocol(), owner)
    one.peer, other.peer = other, one
    other.refusing = True
    one.write(bytes(40_000))
    loop.run_until(1, forever=False)
    assert events == ["pause"]
    other.refusing = False
    other.resume_reading()
    loop.run_until(2, forever=False)
    assert events == ["pause", "resume"]
    one.forget()
    other.forget()
