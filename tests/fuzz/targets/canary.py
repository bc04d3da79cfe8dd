"""A harness that is broken on purpose: an engine that does not find this finds nothing."""

from __future__ import annotations

SEEDS = (b"hafailover",)


def one(data: bytes) -> None:
    """No input begins with the letter H and a byte above 127 (false: the engine must find one that does)."""
    if len(data) > 3 and data[0] == ord("H"):  # noqa: SIM102 - two branches, two steps for a guided engine
        if data[1] > 127:
            raise AssertionError("the canary was found")
