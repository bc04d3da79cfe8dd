"""Parsed TOML to sections, by the schema: every unknown key, wrong type and value out of range is found.

Reading goes on behind a mistake, so that one run finds them all; a bad value is left out of its section.
Arrays are counted from 1 in messages, and a table that has a good name of its own is called by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hafailover.config import wording
from hafailover.config.kinds import Kind, Many
from hafailover.config.section import Section

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hafailover.config.findings import Findings
    from hafailover.config.schema import Child, Key, Table

_LONGEST_GUESSED = 40


def read(table: Table, raw: dict[str, Any], findings: Findings, path: str = "") -> Section:
    """Return the section of this table, and note what is wrong with it in the findings."""
    section = Section(table, path)
    keys = {key.name: key for key in table.keys}
    children = {child.table.name: child for child in table.children}
    for name, value in raw.items():
        findings.visit(section.at(name))
        if name in keys:
            _read_key(section, keys[name], value, findings)
        elif name in children:
            _read_child(section, children[name], value, findings)
        else:
            message = "" if findings.full else _unknown(name, [*keys, *children])  # guessing takes its time
            findings.add(section.at(name), message)
    _complete(section, raw, findings)
    return section


def _unknown(name: str, names: Iterable[str]) -> str:
    allowed = sorted(names)
    guess = _nearest(name, allowed)
    hint = f' (did you mean "{guess}"?)' if guess else ""
    return f"unknown key{hint}; allowed: {', '.join(allowed)}"


def _nearest(name: str, allowed: list[str]) -> str | None:
    import difflib  # noqa: PLC0415 - the daemon, whose file is mostly good, does without it

    close = difflib.get_close_matches(name[:_LONGEST_GUESSED], allowed, n=1)
    return close[0] if close else None


def _complete(section: Section, raw: dict[str, Any], findings: Findings) -> None:
    """Note what is missing, and read the absent tables as empty ones."""
    for key in section.table.keys:
        findings.visit(section.at(key.name))
        if key.required and key.name not in raw:
            findings.add(section.at(key.name), f"missing; needed: {key.kind.allowed}")
    for child in section.table.children:
        if child.table.name in raw or child.optional:
            continue
        if child.at_most is None:
            _read_child(section, child, {}, findings)
        elif child.at_least:
            findings.add(section.at(child.table.name), f"missing; needed: {_tables(child)}")


def _tables(child: Child) -> str:
    return f"{child.at_least} to {child.at_most} [[{child.table.name}]] tables"


def _read_key(section: Section, key: Key, value: object, findings: Findings) -> None:
    section.given.add(key.name)
    if not isinstance(key.kind, Many):
        good = _read_one(key.kind, value, findings, section.at(key.name))
    elif isinstance(value, list):
        good = tuple(_read_items(section, key, key.kind, value, findings))
    else:
        good = None
        findings.add(section.at(key.name), wording.wrong_type(value, key.kind.allowed))
    if good is not None:
        section.values[key.name] = good


def _read_items(section: Section, key: Key, kind: Many, value: list[Any], findings: Findings) -> list[Any]:
    """Return the items of an array, as many as are allowed, None in place of a bad or repeated one."""
    path = section.at(key.name)
    if not kind.at_least <= len(value) <= kind.at_most:
        findings.add(path, f"an array of {len(value)} was given; allowed: {kind.allowed}")
    items: list[Any] = []
    for place, given in enumerate(value[: kind.at_most], 1):
        item = _read_one(kind.item, given, findings, f"{path}[{place}]")
        if item is not None and item in items:
            findings.add(f"{path}[{place}]", f"{wording.show(given)} is given twice; allowed: each only once")
            item = None
        items.append(item)
    return items


def _read_one(kind: Kind, value: object, findings: Findings, path: str) -> Any:  # noqa: ANN401 - see Kind.read
    """Return the converted value, None where it is bad."""
    findings.visit(path)
    try:
        return kind.read(value)
    except ValueError as error:
        findings.add(path, str(error))
        return None


def _read_child(section: Section, child: Child, value: object, findings: Findings) -> None:
    name = child.table.name
    if child.at_most is not None:
        section.children[child.field] = _read_tables(section, child, value, findings)
    else:
        raw = value if isinstance(value, dict) else {}
        if raw is not value:
            findings.add(section.at(name), wording.wrong_type(value, f"one [{name}] table"))
        section.children[child.field] = [read(child.table, raw, findings, section.at(name))]


def _read_tables(section: Section, child: Child, value: object, findings: Findings) -> list[Section]:
    path = section.at(child.table.name)
    if not isinstance(value, list):
        findings.add(path, wording.wrong_type(value, f"{_tables(child)}, each in double brackets"))
        return []
    at_most = child.at_most or 0
    if not child.at_least <= len(value) <= at_most:
        findings.add(path, f"{len(value)} tables were given; allowed: {_tables(child)}")
    sections = []
    names: set[object] = set()
    for place, raw in enumerate(value[:at_most], 1):
        if isinstance(raw, dict):
            sections.append(read(child.table, raw, findings, _label(path, child.table, place, raw, names)))
        else:
            findings.add(f"{path}[{place}]", wording.wrong_type(raw, f"a [[{child.table.name}]] table"))
    return sections


def _label(path: str, table: Table, place: int, raw: dict[str, Any], names: set[object]) -> str:
    """Return the path of one of several tables: by its name if that is good and its own, else by place."""
    kind = next((key.kind for key in table.keys if key.name == "name"), None)
    name = raw.get("name")
    if isinstance(kind, Kind) and isinstance(name, str) and name not in names:
        names.add(name)
        try:
            return f'{path} "{kind.read(name)}"'
        except ValueError:
            pass
    return f"{path}[{place}]"
