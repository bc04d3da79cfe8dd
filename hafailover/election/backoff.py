"""How long to wait after a failed call: exponential, capped, with jitter.

Without jitter two nodes that were throttled together stay in step and throttle each other again.
"""

from __future__ import annotations

from typing import Protocol


class Rng(Protocol):
    """The part of `random.Random` that the core draws from."""

    def randint(self, a: int, b: int) -> int:
        """Return an integer in [a, b]."""
        ...  # pragma: no cover - a protocol's body never runs


def doubled_ms(first_ms: int, times: int, cap_ms: int, *, most: int = 10) -> int:
    """Return `first_ms`, doubled for each of `times` (>= 1) beyond the first but `most` times, within the cap."""
    return min(cap_ms, first_ms << min(times - 1, most))


def backoff_ms(failures: int, rng: Rng, *, first_ms: int = 100, cap_ms: int = 5_000) -> int:
    """Return the wait after the given number of failures in a row (>= 1): half of it fixed, half drawn."""
    ceiling = doubled_ms(first_ms, failures, cap_ms, most=16)
    return ceiling // 2 + rng.randint(0, ceiling // 2)
