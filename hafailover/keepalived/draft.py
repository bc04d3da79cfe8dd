"""The configuration that is being made, and its text. PURE.

What keepalived does not know, the importer leaves as a blank, `FILL_IN`: that is no valid value, so
`hafailover check` names each one that is left.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hafailover.config import duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hafailover.keepalived.parser import Statement

FILL_IN = "FILL IN"
PORT = 7694

Value = str | int | bool | tuple[str, ...] | dict[str, int]


@dataclass(slots=True)
class NodeDraft:
    """A `[[node]]`; empty texts are left out, or are blanks where the file needs them."""

    name: str
    host: str = ""
    eni: str = ""
    interface: str = ""
    priority: int = 100


@dataclass(slots=True)
class CheckDraft:
    """A `[[group.check]]`: the keys as the file has them, in order. `at` is the line that tracks it."""

    name: str
    keys: dict[str, Value]
    at: Statement = field(compare=False)


@dataclass(slots=True)
class GroupDraft:
    """A `[[group]]` with its checks and hooks."""

    name: str
    addresses: list[str] = field(default_factory=list)
    routes: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    priorities: dict[str, int] = field(default_factory=dict)
    preempt: bool = True
    preempt_delay_ms: int = 0
    startup_delay_ms: int = 0
    checks: dict[str, CheckDraft] = field(default_factory=dict)
    notify: dict[str, Value] = field(default_factory=dict)

    def priority_of(self, node: NodeDraft) -> int:
        """Return a node's rank for this group."""
        return self.priorities.get(node.name, node.priority)


@dataclass(slots=True)
class Draft:
    """A whole file."""

    cluster: str
    interval_ms: int = 1_000
    dead_interval_ms: int = 3_000
    region: str = ""
    nodes: list[NodeDraft] = field(default_factory=list)
    groups: list[GroupDraft] = field(default_factory=list)


def toml(draft: Draft, sources: list[str]) -> str:
    """Return the text of the file, which says what it was made from."""
    return "\n".join(_lines(draft, sources)) + "\n"


def _lines(draft: Draft, sources: list[str]) -> Iterator[str]:
    yield f"# Made by `hafailover import-keepalived` from {', '.join(sources)}."
    yield f'# Replace each "{FILL_IN}", then run `hafailover check`. All keys: docs/configuration.md.'
    yield from ("", "[cluster]", _pair("name", draft.cluster))
    yield _pair("key_file", "/etc/hafailover/cluster.key") + "  # `hafailover keygen`, the same on every node"
    yield from ("", "[heartbeat]")
    yield _pair("interval", duration.render(draft.interval_ms))
    yield _pair("dead_interval", duration.render(draft.dead_interval_ms))
    if draft.dead_interval_ms > 3_000:  # noqa: PLR2004 - the default of restart_grace, which must not be less
        yield _pair("restart_grace", duration.render(draft.dead_interval_ms))
    yield from ("", "[cloud]")
    if draft.region:
        yield _pair("region", draft.region)
    else:
        yield '#region = "ap-guangzhou"  # an example; without it, the metadata service tells'
    for node in draft.nodes:
        yield from _node(node)
    for group in draft.groups:
        yield from _group(group)


def _node(node: NodeDraft) -> Iterator[str]:
    yield from ("", "[[node]]", _pair("name", node.name))
    yield _pair("address", f"{_bracketed(node.host)}:{PORT}" if node.host else FILL_IN)
    eni = _pair("eni", node.eni or FILL_IN)
    yield eni if node.eni else eni + "  # or leave this out: the instance's primary ENI"
    if node.interface:
        yield _pair("interface", node.interface)
    yield _pair("priority", node.priority)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _group(group: GroupDraft) -> Iterator[str]:
    yield from ("", "[[group]]", _pair("name", group.name))
    yield _pair("addresses", tuple(group.addresses or [FILL_IN]))
    for key, texts in (("routes", group.routes), ("rules", group.rules)):
        if texts:
            yield _pair(key, tuple(texts))
    if group.priorities:
        yield _pair("priorities", group.priorities)
    yield _pair("preempt", group.preempt)
    if group.preempt:
        yield _pair("preempt_delay", duration.render(group.preempt_delay_ms))
    if group.startup_delay_ms:
        yield _pair("startup_delay", duration.render(group.startup_delay_ms))
    for check in group.checks.values():
        yield from ("", "[[group.check]]", _pair("name", check.name))
        yield from (_pair(key, value) for key, value in check.keys.items())
    if group.notify:
        yield from ("", "[group.notify]")
        yield from (_pair(key, value) for key, value in group.notify.items())


def _pair(key: str, value: Value) -> str:
    return f"{key} = {_value(value)}"


def _value(value: Value) -> str:
    """Return a value as TOML has it; a string as JSON has it is one of TOML, without control characters."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{json.dumps(name)} = {number}' for name, number in value.items())} }}"
    return json.dumps(value, ensure_ascii=False)
