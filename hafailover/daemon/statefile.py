"""The node's memory on disk: one small JSON file, replaced whole: a power cut leaves the old or the new one.

A file that cannot be read as what it should be is set aside under another name and forgotten: a daemon that does
not start because of it would be worse than a term counted anew, for the cloud decides who holds an address.

The end of a pause is kept as a time of day, since the core's clock does not outlive the machine's run.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from hafailover.daemon import clock
from hafailover.election.values import GroupMemory, GroupName, Memory
from hafailover.errors import StartError

if TYPE_CHECKING:
    from pathlib import Path

FILE = "state.json"
VERSION = 1
MAX_BYTES = 1024 * 1024
MAX_TERM = 2**63 - 1
MAX_UNTIL_MS = 2**53  # of the time of day, since the epoch
_SHOWN_CHARS = 60


def load(directory: Path) -> tuple[Memory, str]:
    """Return what is remembered, and one line on what was wrong with the file, empty where nothing was.

    Raises StartError where the directory cannot be used.
    """
    path = directory / FILE
    try:
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        if not path.exists():
            return Memory(), ""
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise StartError(f"state directory {directory}: {error.strerror}") from None
    try:
        return decode(text, clock.wall_ms() - clock.now_ms()), ""
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return Memory(lost=True), f"{path} is not a state file ({error}); {set_aside(path)}"


def set_aside(path: Path) -> str:
    """Keep the file for who wants to look into it; say what became of it."""
    aside = path.with_suffix(".unreadable")
    try:
        path.replace(aside)
    except OSError as error:
        return f"it could not be renamed to {aside.name}: {error.strerror}"
    return f"it was renamed to {aside.name}"


def save(directory: Path, memory: Memory) -> None:
    """Put the memory on disk, where it is when this returns. Raises OSError, and then the old one still is."""
    write(directory / FILE, encode(memory, clock.wall_ms() - clock.now_ms()))


def write(path: Path, content: bytes) -> None:
    """Replace a file whole: a power cut leaves the old or the new one. Raises OSError, and then the old one."""
    fresh = path.with_name(f"{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def encode(memory: Memory, offset_ms: int = 0) -> bytes:
    """Return the file's content; `offset_ms` is by how much the time of day is ahead of the core's clock."""
    groups = {
        group.group: {
            "term": group.term,
            "paused": group.paused,
            "paused_until_ms": None if group.paused_until is None else group.paused_until + offset_ms,
            "moving": group.moving,
            "held": group.held,
        }
        for group in memory.groups
    }
    text = json.dumps({"version": VERSION, "drained": memory.drained, "groups": groups}, indent=1, sort_keys=True)
    return text.encode() + b"\n"


def decode(text: bytes, offset_ms: int = 0) -> Memory:
    """Read a file's content; `offset_ms` as for `encode`.

    Raises ValueError, KeyError, TypeError or RecursionError where it is none.
    """
    if len(text) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES} bytes")
    content = _table(json.loads(text))
    if content["version"] != VERSION:
        raise ValueError(f"version {_short(content['version'])}, known is {VERSION}")
    return Memory(
        drained=_flag(content["drained"]),
        groups=tuple(_group(name, _table(each), offset_ms) for name, each in _table(content["groups"]).items()),
    )


def _group(name: str, content: dict[str, Any], offset_ms: int) -> GroupMemory:
    until_ms = content.get("paused_until_ms")
    return GroupMemory(
        GroupName(name),
        _term(content["term"]),
        paused=_flag(content["paused"]),
        paused_until=None if until_ms is None else _until(until_ms) - offset_ms,
        moving=_flag(content.get("moving", False)),
        held=_flag(content.get("held", False)),
    )


def _table(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{_short(value)} is not an object")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{_short(value)} is not true or false")
    return value


def _term(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_TERM:
        raise TypeError(f"{_short(value)} is not a term")
    return value


def _until(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_UNTIL_MS:
        raise TypeError(f"{_short(value)} is not a time in milliseconds")
    return value


def _short(value: object) -> str:
    """Show a wrong value in a line of the log: it may be as long as the file."""
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
