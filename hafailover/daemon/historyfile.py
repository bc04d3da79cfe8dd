"""The failovers on disk: one JSON file beside the state file, replaced whole, and bounded like what it holds.

It decides nothing, so what cannot be read of it is left out, and a file of which nothing can be is set aside.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hafailover.daemon import statefile
from hafailover.observe.history import MAX_RECORDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FILE = "history.json"
VERSION = 1
MAX_BYTES = 1024 * 1024
_TEXTS = ("at", "group", "result", "reason", "why", "to")


def load(directory: Path) -> tuple[list[dict[str, Any]], str]:
    """Return the records, the oldest first, and one line on what was wrong, empty where nothing was."""
    path = directory / FILE
    try:
        if not path.exists():
            return [], ""
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        return [], f"{path}: {error.strerror}"
    try:
        return decode(text), ""
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return [], f"{path} is not a history ({str(error)[:120]}); {statefile.set_aside(path)}"


def save(directory: Path, records: Sequence[dict[str, Any]]) -> None:
    """Put the records, the newest first, on disk. Raises OSError, and then the old ones still are."""
    statefile.write(directory / FILE, encode(records))


def encode(records: Sequence[dict[str, Any]]) -> bytes:
    """Return the file's content for records of which the newest comes first; as many of them as fit."""
    lines: list[str] = []
    room = MAX_BYTES - 64
    for record in records[:MAX_RECORDS]:
        line = json.dumps(record, separators=(",", ":"))
        room -= len(line) + 2
        if room < 0:
            break
        lines.append(line)
    return (f'{{"version":{VERSION},"failovers":[\n' + ",\n".join(reversed(lines)) + "\n]}\n").encode()


def decode(text: bytes) -> list[dict[str, Any]]:
    """Read a file's content. Raises ValueError, KeyError, TypeError or RecursionError where it is none."""
    if len(text) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES} bytes")
    content = json.loads(text)
    if not isinstance(content, dict) or content["version"] != VERSION:
        raise ValueError(f"not an object of version {VERSION}")
    records = content["failovers"]
    if not isinstance(records, list):
        raise TypeError("failovers is not an array")
    return [record for record in records if _is_record(record)][-MAX_RECORDS:]


def _is_record(record: object) -> bool:
    return (
        isinstance(record, dict)
        and all(isinstance(record.get(key), str) for key in _TEXTS)
        and isinstance(record.get("phases_s"), dict)
        and isinstance(record.get("term"), int)
    )
