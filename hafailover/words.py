"""How values are said to people, on a terminal and on the status page. PURE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_UNITS = ("d", "h", "min", "s")


def clean(value: object) -> str:
    """Return a text of one line that cannot steer the terminal: a check's words may come from outside."""
    text = "-" if value is None or value == "" else str(value)
    return "".join(char if char.isprintable() else "?" for char in text)


def duration(seconds: object) -> str:
    """Return a duration for people: "412 us", "1.5 s", "3 h 20 min"; "-" for what is no number."""
    if not isinstance(seconds, int | float):
        return "-"
    if seconds >= _MINUTE:
        return _long(int(seconds))
    if seconds >= 1:
        return f"{seconds:.3g} s"
    milliseconds = seconds * 1000
    return f"{milliseconds * 1000:.0f} us" if 0 < milliseconds < 1 else f"{milliseconds:.3g} ms"


def ago(seconds: object) -> str:
    """Return how long ago something was, "never" for None."""
    return "never" if seconds is None else f"{duration(seconds)} ago"


def event(announced: Mapping[str, Any]) -> str:
    """Return what is announced, in the shape of the status: "spot, at 2018-08-18T04:05:33Z, in 1 min 50 s"."""
    seconds = announced.get("in_s")
    name = f" {clean(announced.get('id'))}" if announced.get("source") != "spot" else ""
    if announced.get("under_way"):
        when = ", under way"
    elif isinstance(seconds, int | float):
        when = f", in {duration(seconds)}" if seconds >= 0 else f", {duration(-seconds)} ago"
    else:
        when = ""
    return f"{clean(announced.get('source'))}{name}, at {clean(announced.get('at'))}{when}"


def _long(seconds: int) -> str:
    """Return the two largest units of a duration of at least a minute."""
    amounts = [seconds // _DAY, seconds % _DAY // _HOUR, seconds % _HOUR // _MINUTE, seconds % _MINUTE]
    first = next(index for index, amount in enumerate(amounts) if amount)
    return " ".join(f"{amounts[index]} {_UNITS[index]}" for index in range(first, min(first + 2, len(amounts))))
