"""What must hold after every event, in production too. A broken one ends the process: systemd starts it afresh."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election.effects import Effect, Move, Persist, SendAdverts
from hafailover.election.values import State
from hafailover.errors import InvariantError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hafailover.election.group import Group


def check(reviewed: Sequence[Group], terms_before: Sequence[int], effects: Sequence[Effect]) -> None:
    """Raise InvariantError, naming the broken sentence, where a reviewed group or the effects break the rules."""
    if not reviewed and not effects:
        return  # most events are heartbeats that say nothing new
    for group, term_before in zip(reviewed, terms_before, strict=True):
        _require(
            _consistent(group),
            f"group {group.name} in {group.state.value} carries what belongs to that state",
        )
        _require(group.term >= term_before, f"the term of group {group.name} never decreases")
    _require(sum(isinstance(effect, SendAdverts) for effect in effects) <= 1, "one advertisement per event")


def check_order(effects: Sequence[Effect]) -> None:
    """Raise InvariantError where one group's effects move something before its own term is on disk.

    Of one group: what another one saves in the same turn is none of its term.
    """
    _require(_moves_follow_disk(effects), "a term is on disk before anything moves under it")


def _consistent(group: Group) -> bool:
    claiming = (group.claim is not None) == (group.state is State.CLAIMING)
    releasing = (group.release is not None) == (group.state is State.RELEASING)
    numbered = group.term > 0 or not group.state.serves
    return claiming and releasing and numbered


def _moves_follow_disk(effects: Sequence[Effect]) -> bool:
    moved = False
    for effect in effects:
        moved = moved or isinstance(effect, Move)
        if moved and isinstance(effect, Persist):
            return False
    return True


def _require(holds: bool, sentence: str) -> None:  # noqa: FBT001 - a truth value is what is required
    if not holds:
        raise InvariantError(sentence)
