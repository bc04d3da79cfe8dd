"""docs/configuration.md says of every key what the code does."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path

from hafailover.config import schema
from hafailover.config.kinds import Many

DOCUMENT = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text()


def rows(heading: str) -> dict[str, tuple[str, ...]]:
    """Return the cells behind the first, by the key in the first, of the table under a heading."""
    section = DOCUMENT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = re.findall(r"(?m)^\| `([^`]+)` \|(.+)\|$", section)
    return {key: tuple(cell.strip() for cell in cells.split(" | ")) for key, cells in found}


def tables() -> list[tuple[str, schema.Table]]:
    """Return every table with the heading under which it is documented."""
    found: list[tuple[str, schema.Table]] = []

    def walk(table: schema.Table, prefix: str) -> None:
        for child in table.children:
            name = prefix + child.table.name
            found.append((f"[[{name}]]" if child.at_most is not None else f"[{name}]", child.table))
            walk(child.table, f"{name}.")

    walk(schema.ROOT, "")
    return found


def test_every_table_is_documented_and_no_other() -> None:
    assert re.findall(r"(?m)^## (\[.*)$", DOCUMENT) == [heading for heading, _ in tables()]


def test_every_key_is_documented_with_what_is_allowed() -> None:
    for heading, table in tables():
        documented = rows(heading)
        assert list(documented) == [key.name for key in table.keys], heading
        for key in table.keys:
            meaning, allowed, _ = documented[key.name]
            assert meaning.endswith("."), key.name
            assert allowed == key.kind.allowed, key.name


def test_every_default_is_the_models() -> None:
    for heading, table in tables():
        defaults = {each.name: each.default for each in dataclasses.fields(table.model)}
        for key in table.keys:
            cell = rows(heading)[key.name][2]
            default = tuple(defaults[field] for field in key.targets)
            if cell.startswith("`"):
                value = tomllib.loads(f"x = {cell.strip('`')}")["x"]
                read = tuple(map(key.kind.item.read, value)) if isinstance(key.kind, Many) else key.kind.read(value)
                assert (read if len(key.targets) > 1 else (read,)) == default, key.name
            elif cell == "none":
                assert not default[0], key.name
            else:
                assert default[0] is dataclasses.MISSING, key.name
                assert cell == ("required" if key.required else "one of the two"), key.name
