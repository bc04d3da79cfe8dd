"""A table of the file after reading: its good values, what was given at all, and the tables within it."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from hafailover.config import wording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hafailover.config.schema import Table


@dataclass(slots=True)
class Section:
    """What was read at `path`. A key in `given` but not in `values` had a bad value."""

    table: Table
    path: str
    values: dict[str, Any] = field(default_factory=dict)
    given: set[str] = field(default_factory=set)
    children: dict[str, list[Section]] = field(default_factory=dict)

    def at(self, key: str) -> str:
        """Return the path of a key of this table."""
        return wording.join(self.path, key)

    def get(self, key: str) -> Any:  # noqa: ANN401 - each key has its own type, which the model states
        """Return the value, or the default where none was given; None where it was bad or has no default."""
        if key in self.given:
            return self.values.get(key)
        return _defaults(self.table.model).get(self._field(key))

    def one(self, name: str) -> Section:
        """Return the only table of this field."""
        return self.children[name][0]

    def many(self, name: str) -> Sequence[Section]:
        """Return the tables of this field."""
        return self.children.get(name, ())

    def build(self, **extra: object) -> Any:  # noqa: ANN401 - the table names the class
        """Return the model of this table; only to be called where no problem was found."""
        arguments: dict[str, Any] = {}
        for key in self.table.keys:
            if key.name in self.values:
                value = self.values[key.name]
                arguments.update(zip(key.targets, value if len(key.targets) > 1 else (value,), strict=True))
        for child in self.table.children:
            built = tuple(section.build() for section in self.many(child.field))
            if child.at_most is not None:
                arguments[child.field] = built
            elif built:
                arguments[child.field] = built[0]
        return self.table.model(**arguments, **extra)

    def _field(self, name: str) -> str:
        return next(key.targets[0] for key in self.table.keys if key.name == name)


def _defaults(model: type[Any]) -> dict[str, Any]:
    return {each.name: each.default for each in fields(model) if each.default is not MISSING}
