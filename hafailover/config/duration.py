"""Durations as people write them, "200ms", "1.5s", "2m", "1h", to whole milliseconds and back."""

from __future__ import annotations

import re

_UNITS_MS: dict[str, int] = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}
_SHAPE = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,9}))?(ms|s|m|h)", re.ASCII)

EXAMPLES = '"200ms", "1.5s" or "2m"'


def parse(text: str) -> int:
    """Return the milliseconds that the text says; ValueError completes a sentence that begins with it."""
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise ValueError("is not a duration")
    whole, fraction, unit = match.groups(default="")
    scale: int = 10 ** len(fraction)
    milliseconds, rest = divmod(int(whole + fraction) * _UNITS_MS[unit], scale)
    if rest:
        raise ValueError("is finer than a millisecond")
    return milliseconds


def render(milliseconds: int) -> str:
    """Return the shortest text that `parse` turns into this non-negative number of milliseconds."""
    for unit in ("h", "m", "s"):
        if milliseconds and milliseconds % _UNITS_MS[unit] == 0:
            return f"{milliseconds // _UNITS_MS[unit]}{unit}"
    if milliseconds < _UNITS_MS["s"]:
        return f"{milliseconds}ms"
    whole, fraction = divmod(milliseconds, _UNITS_MS["s"])
    return f"{whole}.{fraction:03d}".rstrip("0") + "s"
