"""Bytes as a source of decisions: a harness that needs structure reads it off the fuzzer's input.

Whatever the bytes are, they say something: at their end every further decision is 0. So the engines, which
know bytes only, mutate structures, and a small change of the input is mostly a small change of the structure.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")
Place = tuple[Any, Any]  # a list or dict, and an index or key of it

MOST_DEPTH = 3
MOST_ITEMS = 4

TEXTS = (
    "",
    "x",
    "Success",
    "RUNNING",
    "eni-aaaaaaaa",
    "10.0.1.100",
    "ins-aaaaaaaa",
    "AVAILABLE",
    "MIGRATING",
    "\0",
    "\n",
    "\u00e9",
    "\ud800",  # half of a pair: JSON can say it, UTF-8 cannot
    "a" * 256,
    "a" * 257,
    "UnsupportedOperation.MutexTaskRunning",
    "ClientConnectError",
    "true",
)
NUMBERS = (0, 1, -1, 2, 255, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**400, 0.0, -0.5, 1.0, 1e308, 5e-324)


class Source:
    """Reads decisions from `data`, front to back."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def empty(self) -> bool:
        """Whether all bytes are used up."""
        return self._at >= len(self._data)

    def byte(self) -> int:
        """Return the next byte, 0 at the end."""
        if self.empty:
            return 0
        self._at += 1
        return self._data[self._at - 1]

    def below(self, limit: int) -> int:
        """Return a number of 0..limit-1, from as many bytes as it needs."""
        number = 0
        bound = 1
        while bound < limit:
            number = number << 8 | self.byte()
            bound <<= 8
        return number % limit

    def pick(self, options: Sequence[T]) -> T:
        """Return one of these."""
        return options[self.below(len(options))]

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer at the end."""
        part = self._data[self._at : self._at + size]
        self._at += size
        return part

    def rest(self) -> bytes:
        """Return all that is left."""
        return self.take(max(0, len(self._data) - self._at))

    def text(self) -> str:
        """Return a text: one of `TEXTS`, or up to 15 bytes of the input read as Latin-1."""
        kind = self.byte()
        if kind < 192:
            return TEXTS[kind % len(TEXTS)]
        return self.take(kind & 15).decode("latin-1")

    def value(self, depth: int = MOST_DEPTH) -> Any:
        """Return what a JSON document can hold, every type of it."""
        kind = self.below(8 if depth else 6)
        if kind < 3:
            return (None, True, False)[kind]
        if kind == 3:
            return self.pick(NUMBERS)
        if kind == 4:
            return self.below(65536) - 32768
        if kind == 5:
            return self.text()
        items = [self.value(depth - 1) for _ in range(self.below(MOST_ITEMS + 1))]
        return items if kind == 6 else {self.text(): item for item in items}


def places(value: Any) -> list[Place]:
    """Return every place within a JSON value, outer ones first."""
    found: list[Place] = []
    waiting = [value]
    while waiting:
        inside = waiting.pop(0)
        keys = list(inside) if isinstance(inside, dict) else range(len(inside)) if isinstance(inside, list) else ()
        for key in keys:
            found.append((inside, key))
            waiting.append(inside[key])
    return found


def damaged(skeleton: Any, source: Source) -> Any:
    """Return a copy of a JSON value with up to 8 places of it replaced, removed, doubled or given a neighbour."""
    root = [json.loads(json.dumps(skeleton))]
    for _ in range(source.below(8) + 1):
        if source.empty:
            break
        _damage(root, source)
    return root[0] if root else None


def _damage(root: list[Any], source: Source) -> None:
    inside, key = source.pick(places(root) or [(root, 0)])
    match source.below(8):
        case 0:
            if inside is not root:
                del inside[key]
        case 1:
            if isinstance(inside, list) and inside is not root:
                inside.append(json.loads(json.dumps(inside[key])))
        case 2:
            if isinstance(inside, dict):
                inside[source.text()] = source.value()
        case 3:
            inside[key] = source.text()
        case _:
            inside[key] = source.value()
