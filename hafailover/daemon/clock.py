"""The daemon's clocks. The core sees only milliseconds of the monotonic one."""

from __future__ import annotations

import time


def now_ms() -> int:
    """Return the monotonic clock in milliseconds."""
    return time.monotonic_ns() // 1_000_000


def now_us() -> int:
    """Return the monotonic clock in microseconds."""
    return time.monotonic_ns() // 1_000


def wall_ms() -> int:
    """Return the time of day in milliseconds since the epoch; it may jump."""
    return time.time_ns() // 1_000_000


def slept_ms() -> int:
    """Return for how long the whole machine has been suspended since it booted, in milliseconds.

    The monotonic clock stands still meanwhile and the boot-time clock does not (clock_gettime(2)).
    """
    boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return (boot_ns - time.clock_gettime_ns(time.CLOCK_MONOTONIC)) // 1_000_000
