"""Names as numbers: nodes and groups travel as 4-byte hashes, the cluster as an 8-byte one. PURE.

A hash of the name, not its place in the file: while a new configuration is rolled out two nodes may list
different nodes and groups for some minutes, and must still mean the same thing by the same number.

An id that this node's configuration does not know becomes the placeholder `?` + 8 hex digits, which is no
node's and no group's name (the configuration allows no `?` in names), so it equals none and is not lost.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, TypeVar

from hafailover.election.values import GroupName, NodeName
from hafailover.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Iterable

CLUSTER_ID_BYTES: Final = 8
PLACEHOLDER: Final = "?"

Name = TypeVar("Name", NodeName, GroupName)


def _digest(kind: bytes, name: str, size: int) -> bytes:
    return blake2b(name.encode(), digest_size=size, person=kind).digest()


def cluster_id(name: str) -> bytes:
    """Return the 8-byte id of a cluster's name."""
    return _digest(b"cluster", name, CLUSTER_ID_BYTES)


def _number(kind: bytes, name: str) -> int:
    if name.startswith(PLACEHOLDER):
        return int(name[1:], 16)
    return int.from_bytes(_digest(kind, name, 4), "big") or 1  # 0 means "none" on the wire


def node_id(name: NodeName) -> int:
    """Return the id (1..2**32-1) of a node's name or placeholder."""
    return _number(b"node", name)


def group_id(name: GroupName) -> int:
    """Return the id (1..2**32-1) of a group's name or placeholder."""
    return _number(b"group", name)


def _index(kind: str, pairs: Iterable[tuple[int, Name]]) -> dict[int, Name]:
    index: dict[int, Name] = {}
    for number, name in pairs:
        if index.setdefault(number, name) != name:
            raise StartError(f"{kind} {index[number]!r} and {name!r} have the same heartbeat id: rename one")
    return index


class Directory:
    """The names that this node's configuration knows; raises StartError where two share a 4-byte id."""

    __slots__ = ("_groups", "_nodes", "group_ids", "node_ids")

    def __init__(self, nodes: Iterable[NodeName], groups: Iterable[GroupName]) -> None:
        self._nodes = _index("nodes", ((node_id(name), name) for name in nodes))
        self._groups = _index("groups", ((group_id(name), name) for name in groups))
        self.node_ids = {name: number for number, name in self._nodes.items()}
        self.group_ids = {name: number for number, name in self._groups.items()}

    def knows_node(self, number: int) -> bool:
        """Tell whether the configuration lists a node of this number."""
        return number in self._nodes

    def node(self, number: int) -> NodeName:
        """Return the node's name, or its placeholder."""
        return self._nodes.get(number) or NodeName(f"{PLACEHOLDER}{number:08x}")

    def group(self, number: int) -> GroupName:
        """Return the group's name, or its placeholder."""
        return self._groups.get(number) or GroupName(f"{PLACEHOLDER}{number:08x}")

    def node_id(self, name: NodeName) -> int:
        """Return the number of a node, known or not."""
        return self.node_ids.get(name) or node_id(name)

    def group_id(self, name: GroupName) -> int:
        """Return the number of a group, known or not."""
        return self.group_ids.get(name) or group_id(name)
