from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hafailover.checks import runner as module
from hafailover.checks.result import CheckResult, Probe, Verdict
from hafailover.checks.runner import CheckRunner, next_start
from hafailover.config.model import Check
from hafailover.election.values import CheckState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

PENDING, UP, DOWN = CheckState.PENDING, CheckState.UP, CheckState.DOWN


class Stub:
    """A probe that does what the test says; all else around it is real."""

    def __init__(self, look: Callable[[float], Awaitable[Verdict]]) -> None:
        self._look = look

    async def run(self, timeout_s: float) -> Verdict:
        return await self._look(timeout_s)


class Told:
    """What a runner has told."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, CheckState]] = []
        self.results: list[CheckResult] = []

    def change(self, name: str, state: CheckState) -> None:
        self.changes.append((name, state))


def make(check: Check, probe: Probe | None = None) -> tuple[CheckRunner, Told]:
    told = Told()
    runner = CheckRunner(check, told.change, told.results.append)
    if probe is not None:
        runner._probe = probe
    return runner, told


def tcp(port: int, *, interval_ms: int = 500, timeout_ms: int = 300, rise: int = 2, fall: int = 2) -> Check:
    return Check("service", "tcp", interval_ms, timeout_ms, rise, fall, address=("127.0.0.1", port))


async def test_tells_each_result_and_each_change_of_mind() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        runner, told = make(tcp(listener.getsockname()[1], rise=1, fall=2))
        assert (runner.state, runner.last) == (PENDING, None)
        await runner.run_once()
        await runner.run_once()
    for _ in range(3):
        await runner.run_once()
    assert told.changes == [("service", UP), ("service", DOWN)]
    assert [result.passed for result in told.results] == [True, True, False, False, False]
    assert runner.state is DOWN
    assert runner.last == told.results[-1]
    assert (runner.last.name, runner.last.detail) == ("service", "Connection refused")
    assert all(0 <= result.seconds < 5 for result in told.results)


async def test_runs_at_once_and_then_every_interval_until_cancelled() -> None:
    begun: list[float] = []

    async def probe(_timeout_s: float) -> Verdict:
        begun.append(time.monotonic())
        await asyncio.sleep(0.01)
        return Verdict(passed=True, detail="")

    runner, told = make(tcp(1, interval_ms=50), Stub(probe))
    start = time.monotonic()
    running = asyncio.create_task(runner.run())
    while len(begun) < 8:  # noqa: ASYNC110 - the probe is what is waited for
        await asyncio.sleep(0.01)
    running.cancel()
    assert begun[0] - start < 0.04
    assert told.changes == [("service", UP)]
    for number, at in enumerate(begun):  # a start may be late, but is never early and never drifts
        assert at - begun[0] >= number * 0.05 - 0.005


async def test_a_slow_check_is_never_run_twice_at_once() -> None:
    running = most = 0

    async def probe(_timeout_s: float) -> Verdict:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.05)
        running -= 1
        return Verdict(passed=True, detail="")

    runner, told = make(tcp(1, interval_ms=10), Stub(probe))
    task = asyncio.create_task(runner.run())
    while len(told.results) < 4:  # noqa: ASYNC110 - the probe is what is waited for
        await asyncio.sleep(0.01)
    task.cancel()
    assert most == 1


@pytest.mark.parametrize(
    ("now_s", "expected_s"),
    [(100.0, 100.5), (100.2, 100.5), (99.9, 100.5), (100.5, 101.0), (100.7, 101.0), (160.1, 160.5)],
)
def test_what_was_missed_is_left_out(now_s: float, expected_s: float) -> None:
    assert next_start(100.0, now_s, 0.5) == expected_s


@given(st.integers(1, 100_000), st.integers(0, 10_000_000), st.integers(10, 60_000))
def test_the_next_start_lies_ahead_by_an_interval_at_most(due: int, after: int, interval: int) -> None:
    following = next_start(due / 1000, (due + after) / 1000, interval / 1000)
    ahead = following - (due + after) / 1000
    assert -1e-6 < ahead <= interval / 1000 + 1e-6


@pytest.mark.parametrize("error", [RuntimeError("a bug\nin a check"), OSError("gone"), TimeoutError()])
async def test_nothing_that_a_check_does_ends_it(error: Exception) -> None:
    async def probe(_timeout_s: float) -> Verdict:
        raise error

    runner, _ = make(tcp(1), Stub(probe))
    result = await runner.run_once()
    assert not result.passed
    assert "\n" not in result.detail
    assert result.detail


async def test_a_check_that_does_not_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OVERTIME_S", 0.05)

    async def probe(_timeout_s: float) -> Verdict:
        await asyncio.sleep(60)
        return Verdict(passed=True, detail="")

    runner, _ = make(tcp(1, timeout_ms=20), Stub(probe))
    assert (await runner.run_once()).detail == "the check did not end"


async def test_a_failure_while_this_process_was_asleep_is_not_counted_once() -> None:
    async def probe(timeout_s: float) -> Verdict:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                time.sleep(timeout_s + 0.3)  # noqa: ASYNC251 - this is the sleep of the whole process
                await asyncio.sleep(60)
        return Verdict(passed=False, detail="no answer")

    runner, told = make(tcp(1, timeout_ms=20, fall=1), Stub(probe))
    first = await runner.run_once()
    assert (first.counted, runner.state) == (False, PENDING)
    second = await runner.run_once()  # a process that always sleeps must not hide a dead service for ever
    assert (second.counted, runner.state) == (True, DOWN)
    assert told.changes == [("service", DOWN)]


async def test_a_failure_that_takes_all_its_time_is_counted() -> None:
    async def probe(timeout_s: float) -> Verdict:
        await asyncio.sleep(timeout_s + 0.05)
        return Verdict(passed=False, detail="no answer")

    runner, _ = make(tcp(1, timeout_ms=20, fall=1), Stub(probe))
    assert (await runner.run_once()).counted
    assert runner.state is DOWN


class Watched:
    """A probe of which the test says what there is, and when it is told of that."""

    def __init__(self) -> None:
        self.passes = True
        self.news = asyncio.Event()
        self.runs: list[float] = []
        self.closed = False

    async def run(self, _timeout_s: float) -> Verdict:
        self.runs.append(time.monotonic())
        return Verdict(passed=self.passes, detail="")

    async def changed(self) -> None:
        await self.news.wait()
        self.news.clear()

    async def close(self) -> None:
        self.closed = True

    def turn(self, *, passes: bool) -> None:
        self.passes = passes
        self.news.set()


@contextlib.asynccontextmanager
async def running(check: Check, probe: Probe) -> AsyncIterator[Told]:
    runner, told = make(check, probe)
    task = asyncio.create_task(runner.run())
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not what():  # noqa: ASYNC110 - other tasks do it
            await asyncio.sleep(0.005)


async def test_what_is_watched_is_looked_at_when_it_changes() -> None:
    probe = Watched()
    async with running(tcp(1, interval_ms=60_000, fall=1), probe) as told:
        await until(lambda: told.changes == [("service", UP)])
        probe.turn(passes=False)
        await until(lambda: told.changes == [("service", UP), ("service", DOWN)])
    assert probe.closed


async def test_with_a_fall_of_2_what_is_watched_has_an_interval_to_come_back() -> None:
    probe = Watched()
    async with running(tcp(1, interval_ms=300, fall=2), probe) as told:
        await until(lambda: len(told.results) == 2)
        probe.turn(passes=False)
        await until(lambda: ("service", DOWN) in told.changes)
    assert probe.runs[3] - probe.runs[2] > 0.25


async def test_however_often_it_changes_there_is_a_rest_between_two_runs() -> None:
    probe = Watched()
    async with running(tcp(1, interval_ms=60_000), probe) as told:
        end_s = time.monotonic() + 0.3
        while time.monotonic() < end_s:
            probe.turn(passes=not probe.passes)
            await asyncio.sleep(0)
    assert 2 <= len(told.results) <= 0.3 / module.LEAST_REST_S + 2


async def test_a_watched_check_is_run_every_interval_besides() -> None:
    probe = Watched()
    async with running(tcp(1, interval_ms=50), probe) as told:
        await until(lambda: len(told.results) == 4)
    assert probe.runs[3] - probe.runs[0] > 0.14


@pytest.mark.parametrize(
    ("verdict", "passed"),
    [
        (Verdict(passed=True, detail="here"), False),
        (Verdict(passed=False, detail="not here"), True),
        (Verdict(passed=False, detail="nobody answers", sure=False), False),
    ],
)
async def test_a_reversed_check_passes_only_where_it_says_no_for_certain(verdict: Verdict, passed: bool) -> None:  # noqa: FBT001 - a table
    async def probe(_timeout_s: float) -> Verdict:
        return verdict

    runner, _ = make(replace(tcp(1), reverse=True), Stub(probe))
    result = await runner.run_once()
    assert (result.passed, result.detail) == (passed, verdict.detail)


def test_each_type_has_its_probe() -> None:
    checks = {
        "HttpProbe": Check("a", "http", url="http://127.0.0.1/"),
        "ScriptProbe": Check("a", "script", command=("/bin/true",)),
        "TcpProbe": tcp(1),
        "ProcessProbe": Check("a", "process"),
        "UnitProbe": Check("a", "systemd", unit="a.service"),
        "FileProbe": Check("a", "file", path=Path("/a")),
        "InterfaceProbe": Check("a", "interface", interface="lo"),
    }
    assert {type(make(check)[0]._probe).__name__: check for check in checks.values()} == checks


def test_what_cannot_be_made_is_an_error() -> None:
    with pytest.raises(ValueError, match="check a: type file needs a path"):
        make(Check("a", "file"))
    with pytest.raises(ValueError, match="check a: type tcp needs an address"):
        make(Check("a", "tcp"))
