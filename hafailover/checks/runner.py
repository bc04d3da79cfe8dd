"""Runs one check for ever and tells when it changes its mind."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from hafailover.checks.hysteresis import Hysteresis
from hafailover.checks.registry import make_probe
from hafailover.checks.result import CheckResult, Verdict, Watcher, unable

if TYPE_CHECKING:
    from collections.abc import Callable

    from hafailover.checks.result import Probe
    from hafailover.config.model import Check
    from hafailover.election.values import CheckState

OVERTIME_S = 3.0  # what a probe may take, beyond its timeout, to tidy up (to kill a script)
LEAST_REST_S = 0.02  # after a run because of a change, however soon comes another one
STALL_S = 0.25  # this process was so late itself that the answer may have been there in time


def next_start(due_s: float, now_s: float, interval_s: float) -> float:
    """Return the first instant after `now_s` that is a whole number of intervals after `due_s`.

    So starts keep their distance without drift, and what was missed (a check that took long, a process that
    slept) is left out instead of being made up for in a burst.
    """
    missed = max(0, int((now_s - due_s) / interval_s))
    return due_s + (missed + 1) * interval_s


class CheckRunner:
    """One check: `run` it for ever, and read `state` and `last` at any time.

    `on_change` is called with the check's name and state when that has changed, `on_result` with every result.
    `clock` gives seconds, monotonic. Raises ValueError for a check that cannot be made, see `make_probe`.
    """

    def __init__(
        self,
        check: Check,
        on_change: Callable[[str, CheckState], None],
        on_result: Callable[[CheckResult], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._check = check
        self._probe: Probe = make_probe(check)
        self._on_change = on_change
        self._on_result = on_result
        self._clock = clock
        self._hysteresis = Hysteresis(check.rise, check.fall)
        self._stalled = False
        self.last: CheckResult | None = None

    @property
    def state(self) -> CheckState:
        """What the check says of the service by now."""
        return self._hysteresis.state

    async def run(self) -> None:
        """Run the check, at once and then every interval (start to start), until cancelled.

        Never two runs at once, and nothing that a check does ends this. Where the probe sees a change, the next
        run is at once, and the intervals count from there: with a `fall` of 2 what has gone has one to return in.
        """
        interval_s = self._check.interval_ms / 1000
        due_s, woken = self._clock(), False
        try:
            while True:
                await self.run_once()
                due_s = next_start(due_s, self._clock(), interval_s)
                woken = await self._rest(due_s - self._clock(), LEAST_REST_S if woken else 0.0)
                if woken:
                    due_s = self._clock()
        finally:
            if isinstance(self._probe, Watcher):
                await self._probe.close()

    async def _rest(self, most_s: float, least_s: float) -> bool:
        """Wait for so long, or after `least_s` until the probe sees a change: then True."""
        if not isinstance(self._probe, Watcher):
            await asyncio.sleep(most_s)
            return False
        try:
            async with asyncio.timeout(most_s):
                await asyncio.sleep(least_s)
                await self._probe.changed()
        except TimeoutError:
            return False
        return True

    async def run_once(self) -> CheckResult:
        """Run the check once and take the result into account.

        One failure is not counted where this process was itself asleep when the time was up (a frozen or
        migrated virtual machine): then the service's answer could not be seen. The next one counts again.
        """
        begun_s = self._clock()
        verdict, stalled = await self._look()
        counted = verdict.passed or not stalled or self._stalled
        self._stalled = stalled and not counted
        seconds = self._clock() - begun_s
        result = CheckResult(self._check.name, verdict.passed, seconds, verdict.detail, counted=counted)
        self._take(result)
        return result

    def _take(self, result: CheckResult) -> None:
        self.last = result
        old = self._hysteresis.state
        if result.counted:
            self._hysteresis.record(passed=result.passed)
        if self._on_result is not None:
            self._on_result(result)
        if self._hysteresis.state is not old:
            self._on_change(self._check.name, self._hysteresis.state)

    async def _look(self) -> tuple[Verdict, bool]:
        """Return the verdict, and whether this process was stalled when the time for it was up."""
        loop = asyncio.get_running_loop()
        timeout_s = self._check.timeout_ms / 1000
        stalls: list[float] = []
        end_s = loop.time() + timeout_s
        alarm = loop.call_at(end_s, lambda: stalls.append(loop.time() - end_s))
        try:
            async with asyncio.timeout(timeout_s + OVERTIME_S):
                verdict = await self._probe.run(timeout_s)
        except TimeoutError:
            verdict = unable("the check did not end")
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in a check is that check's failure
            verdict = unable(f"{type(error).__name__}: {error}")
        finally:
            alarm.cancel()
        return verdict.reversed() if self._check.reverse else verdict, bool(stalls) and stalls[0] > STALL_S
