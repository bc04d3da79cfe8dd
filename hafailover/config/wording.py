"""How a problem names what was given and where it was given: short, printable, never a secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST = 60
_MOST_DIGITS = 10**20
_BARE = re.compile(r"[A-Za-z0-9_-]{1,60}", re.ASCII)
_TYPES: dict[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a float",
    list: "an array",
    dict: "a table",
}


def quote(text: str) -> str:
    """Return the text in double quotes, cut to 60 characters, with everything unprintable escaped."""
    cut = text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
    return '"' + "".join(_printable(character) for character in cut) + '"'


def _printable(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def type_name(value: object) -> str:
    """Return what TOML calls the type of a parsed value, with its article."""
    return _TYPES.get(type(value), "a date or time")


def show(value: object) -> str:
    """Return a parsed TOML value as one would write it; an array or table only as such, never its content."""
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) >= _MOST_DIGITS:
        return "a number of more than 20 digits"  # Python refuses to print an integer of 4300 digits
    if isinstance(value, list | dict):
        return type_name(value)
    return str(value)


def wrong_type(value: object, allowed: str) -> str:
    """Return the message for a value whose type is not the key's."""
    if isinstance(value, list | dict):
        return f"{show(value)} was given; allowed: {allowed}"
    return f"{show(value)} is {type_name(value)}; allowed: {allowed}"


def join(path: str, key: str) -> str:
    """Return the path of a key within the table at `path`."""
    shown = key if _BARE.fullmatch(key) else quote(key)
    return f"{path}.{shown}" if path else shown


def either(options: Iterable[str]) -> str:
    """Return the options as a person lists them: `"a", "b" or "c"`."""
    *rest, last = [f'"{option}"' for option in options]
    return f"{', '.join(rest)} or {last}" if rest else last
