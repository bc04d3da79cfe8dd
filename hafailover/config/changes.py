"""What another version of the file changes, key by key, and whether a running daemon can take it in.

What it cannot is what the daemon is built from: its sockets, its identity, what a group moves and with which calls.
A restart takes that in, and costs neither a lost packet nor an API write.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from hafailover.config.model import Check, Config, Group, Node

# By table; "*" stands for all keys. A key is named as in the file.
LIVE: Mapping[str, frozenset[str]] = {
    "cluster": frozenset({"key_files"}),
    "heartbeat": frozenset({"interval", "dead_interval", "restart_grace"}),
    "cloud": frozenset({"audit_interval"}),
    "node": frozenset({"priority"}),
    "peer": frozenset({"priority", "address"}),
    "group": frozenset(
        {
            "priorities",
            "preempt",
            "preempt_delay",
            "startup_delay",
            "on_isolation",
            "isolation_timeout",
            "hold_down",
            "guards",
            "vip_port",
        }
    ),
    "check": frozenset({"*"}),
    "notify": frozenset({"*"}),
    "announced": frozenset({"*"}),
    "log": frozenset({"level"}),
}
_PLAIN = ("cluster", "heartbeat", "cloud", "announced", "mqtt", "metrics", "control", "state", "log")
_ONE_KEY = {"host": "address", "port": "address"}  # of a node: two fields of one key


@dataclass(frozen=True, slots=True)
class Change:
    """One key that another version of the file changes; `live`: without a restart."""

    key: str
    live: bool


def changes(old: Config, new: Config, me: str) -> tuple[Change, ...]:
    """Return what is different, in file order; `me` is the name of the node that asks."""
    found = [change for table in _PLAIN for change in _keys(table, table, getattr(old, table), getattr(new, table))]
    if old.keys != new.keys:
        found.append(Change("cluster: the content of its key files", live=True))
    found.extend(_nodes(old.nodes, new.nodes, me))
    found.extend(_groups(old.groups, new.groups))
    return tuple(dict.fromkeys(found))


def _nodes(old: tuple[Node, ...], new: tuple[Node, ...], me: str) -> Iterator[Change]:
    before, after = _by_name(old), _by_name(new)
    # A daemon whose own node goes cannot live by the file.
    yield from _come_and_gone("node", before, after, live=me in after)
    if [name for name in before if name in after] != [name for name in after if name in before]:
        yield Change("the order of the nodes", live=False)
    for name in (name for name in before if name in after):
        table = "node" if name == me else "peer"
        for change in _keys(table, f'node "{name}"', before[name], after[name]):
            # By the address of a node without ids the cloud was asked for its ENI, at the start.
            stays = change.key.endswith(".address") and not _is_named(before[name])
            yield Change(change.key, change.live and not stays)


def _is_named(node: Node) -> bool:
    return node.role == "witness" or node.eni is not None or node.instance_id is not None


def _groups(old: tuple[Group, ...], new: tuple[Group, ...]) -> Iterator[Change]:
    before, after = _by_name(old), _by_name(new)
    yield from _come_and_gone("group", before, after, live=True)
    yield from _first_on_the_guest(old, new)
    for name in (name for name in before if name in after):
        yield from _group(f'group "{name}"', before[name], after[name])


def _first_on_the_guest(old: tuple[Group, ...], new: tuple[Group, ...]) -> Iterator[Change]:
    """Tell of the first groups that are put on the guest: a daemon with none has not opened its network."""
    names = {group.name for group in old}
    if all(group.guest == "none" for group in old):
        for group in new:
            if group.guest != "none" and group.name not in names:
                yield Change(f'group "{group.name}".guest, the first that is not "none"', live=False)


def _group(where: str, old: Group, new: Group) -> Iterator[Change]:
    yield from _keys("group", where, old, new, but=("checks", "notify"))
    yield from _keys("notify", f"{where}.notify", old.notify, new.notify)
    before, after = _by_name(old.checks), _by_name(new.checks)
    yield from _come_and_gone(f"{where}.check", before, after, live=True)
    for name in (name for name in before if name in after):
        yield from _keys("check", f'{where}.check "{name}"', before[name], after[name])


def _come_and_gone(what: str, old: Mapping[str, Any], new: Mapping[str, Any], *, live: bool) -> Iterator[Change]:
    yield from (Change(f'{what} "{name}" removed', live) for name in old if name not in new)
    yield from (Change(f'{what} "{name}" added', live) for name in new if name not in old)


def _keys(table: str, where: str, old: Any, new: Any, *, but: tuple[str, ...] = ()) -> Iterator[Change]:  # noqa: ANN401 - any table of the model
    if old is None or new is None:
        if old is not new:
            yield Change(f"[{where}] {'added' if old is None else 'removed'}", live=False)
        return
    live = LIVE.get(table, frozenset())
    for each in fields(old):
        if each.name not in but and getattr(old, each.name) != getattr(new, each.name):
            key = _named(table, each.name)
            yield Change(f"{where}.{key}", live=bool(live & {key, "*"}))


def _named(table: str, field: str) -> str:
    if table in ("node", "peer"):
        return _ONE_KEY.get(field, field)
    return "listen" if table == "metrics" else field.removesuffix("_ms")


def _by_name(tables: Iterable[Check] | Iterable[Group] | Iterable[Node]) -> dict[str, Any]:
    return {table.name: table for table in tables}
