"""Numbers as Grafana writes them, in the units that the dashboard uses."""

from __future__ import annotations

import math
from datetime import UTC, datetime

_STEPS = {
    "s": ((3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs")),
    "bytes": ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B")),
}
_ENDINGS = {"short": "", "reqps": "/s", "pps": "/s"}


def text(value: float, unit: str, decimals: int | None = None) -> str:
    """Return a value with its unit; `decimals`: of a plain number, else three digits in all."""
    if value == 0:
        return "0"
    if unit == "percentunit":
        return f"{value * 100:.3g}%"
    if unit not in _STEPS:
        number = f"{value:.3g}" if decimals is None else f"{value:.{decimals}f}"
        return f"{number}{_ENDINGS[unit]}"
    size, name = _step(value, unit)
    return f"{value / size:.3g} {name}"


def _step(value: float, unit: str) -> tuple[float, str]:
    return next((step for step in _STEPS[unit] if abs(value) >= step[0]), _STEPS[unit][-1])


def nice(highest: float, unit: str) -> float:
    """Return a round number in its unit that is not below `highest`, 1 for nothing: the top of a scale."""
    if highest <= 0:
        return 1.0
    size = _step(highest, unit)[0] if unit in _STEPS else 1.0
    power = 10.0 ** math.floor(math.log10(highest / size))
    return size * next(factor * power for factor in (1, 2, 4, 5, 10) if factor * power >= highest / size * 0.9999)


def clock(at_s: float) -> str:
    """Return seconds since the epoch as a time of day in UTC."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%H:%M:%S")
