"""Who ranks before whom: a strict total order over the nodes, so that two nodes with one view agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hafailover.election.values import NodeName


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that could be master: its effective priority, and its place in the configuration."""

    name: NodeName
    priority: int
    order: int


def preempts(one: Candidate, other: Candidate) -> bool:
    """Return whether `one` may take over from a healthy `other`: never at a tie (RFC 9568 section 6.4.2)."""
    return one.priority > other.priority


def ranked(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Return the candidates, best first: by priority, and at a tie by the earlier place in the file."""
    return tuple(sorted(candidates, key=lambda each: (-each.priority, each.order)))


def rank_of(name: NodeName, candidates: Iterable[Candidate]) -> int:
    """Return how many candidates rank before the named one; all of them where it is none."""
    order = ranked(candidates)
    return next((place for place, each in enumerate(order) if each.name == name), len(order))
