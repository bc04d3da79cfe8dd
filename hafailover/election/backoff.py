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


def backoff_ms(failures: int, rng: Rng, *, first_ms: int = 100, cap_ms: int = 5_000) -> int:
    """Return the wait after the given number of failures in a row (>= 1): half of it fixed, half drawn."""
    ceiling = min(cap_ms, first_ms << min(failures - 1, 16))
    return ceiling // 2 + rng.randint(0, ceiling // 2)
