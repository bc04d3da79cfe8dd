"""What the contract promises and this version does not do yet: refused, never silently ignored.

One row a feature: the row goes when the feature comes. Nothing else in the product knows of this list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Row:
    """A value that is refused. `table` and `key` are schema names; `now` completes "allowed now: ..."."""

    table: str
    key: str
    refuses: Callable[[object], bool]
    now: str


def _any(_value: object) -> bool:
    return True


def _one_of(*values: str) -> Callable[[object], bool]:
    return lambda value: getattr(value, "value", value) in values


ROWS = (
    Row("", "mqtt", _any, "no [mqtt] table; heartbeats travel by UDP only"),
    Row("group", "guards", _one_of("mqtt"), '"vip", "cloud", "gateway" and "quorum"'),
)


def refusal(table: str, key: str, value: object) -> str | None:
    """Return the rest of a message where this version cannot do yet what the converted value asks for."""
    for row in ROWS:
        if row.table == table and row.key == key and row.refuses(value):
            return f"not supported by this version yet; allowed now: {row.now}"
    return None
