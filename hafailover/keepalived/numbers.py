"""Numbers, times and names of keepalived.conf(5) as the configuration wants them. PURE."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

    from hafailover.keepalived.parser import Statement

LONGEST_NAME = 63
_INTEGER = re.compile(r"[+-]?[0-9]{1,6}")
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9}")


def integer(statement: Statement, text: str) -> int:
    """Return a whole number. Raises KeepalivedError."""
    if not _INTEGER.fullmatch(text):
        raise statement.place.error(f'{statement.keyword}: "{text}" is not a whole number')
    return int(text)


def milliseconds(statement: Statement, text: str) -> int:
    """Return a time in seconds, which may have a fraction, in whole milliseconds. Raises KeepalivedError."""
    if not _SECONDS.fullmatch(text):
        raise statement.place.error(f'{statement.keyword}: "{text}" is not a time in seconds')
    whole, _, fraction = text.partition(".")
    return int(whole or "0") * 1000 + int((fraction + "000")[:3])


def address(text: str) -> str | None:
    """Return the IP address of "ADDRESS" or "ADDRESS/LENGTH" in its usual form; None for anything else."""
    try:
        return str(ip_address(text.partition("/")[0]))
    except ValueError:
        return None


def name(text: str, taken: Container[str] = ()) -> str:
    """Return the text as the name of something, unlike those that are taken."""
    base = re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip("._-")[:LONGEST_NAME] or "unnamed"
    made, number = base, 1
    while made in taken:
        number += 1
        made = f"{base[: LONGEST_NAME - len(str(number)) - 1]}-{number}"
    return made
