from __future__ import annotations

import time
from pathlib import Path

from hafailover.daemon import clock


def test_the_monotonic_clock_in_its_two_units() -> None:
    before_ns = time.monotonic_ns()
    milliseconds, microseconds = clock.now_ms(), clock.now_us()
    after_ns = time.monotonic_ns()
    assert before_ns // 1_000_000 <= milliseconds <= after_ns // 1_000_000
    assert before_ns // 1_000 <= microseconds <= after_ns // 1_000
    assert milliseconds <= microseconds // 1_000


def test_the_time_of_day_counts_from_the_epoch() -> None:
    before_ns = time.time_ns()
    assert before_ns // 1_000_000 <= clock.wall_ms() <= time.time_ns() // 1_000_000


def test_the_sleep_of_the_machine_is_what_it_is_up_and_not_running() -> None:
    uptime_s = float(Path("/proc/uptime").read_text().split()[0])  # on the clock that goes on while it is suspended
    awake_s = time.monotonic()
    slept_ms = clock.slept_ms()
    assert abs(slept_ms / 1000 - (uptime_s - awake_s)) < 5.0
    assert clock.slept_ms() - slept_ms < 1_000
