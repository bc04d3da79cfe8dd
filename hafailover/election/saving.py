"""One write of the state file for all groups that want one in the same turn.

The file is whole each time and each write is waited for, so a node which takes over twenty groups would write it
twenty times before the last of them moves. What the first write has instead is the last one's, with every mark
that any of them has: a mark may be on disk earlier than asked for, or for longer, and never for less.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hafailover.election.effects import Effect, Persist

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hafailover.election.values import GroupMemory, Memory


def saved_once(effects: Sequence[Effect]) -> list[Effect]:
    """Return a turn's effects, its first `Persist` for all of them; one more where the last takes a mark off."""
    places = [place for place, effect in enumerate(effects) if isinstance(effect, Persist)]
    memories = [effect.memory for effect in effects if isinstance(effect, Persist)]
    if len(places) <= 1:
        return list(effects)
    marked, last = Persist(_marked(memories)), Persist(memories[-1])
    kept: dict[int, Persist] = {places[-1]: last} if marked != last else {}
    kept[places[0]] = marked
    return [kept.get(place, effect) for place, effect in enumerate(effects) if place in kept or place not in places]


def _marked(memories: Sequence[Memory]) -> Memory:
    """Return the last of these with the marks of all."""
    every = [group for memory in memories for group in memory.groups]
    moving = {group.group for group in every if group.moving}
    held = {group.group for group in every if group.held}

    def mark(group: GroupMemory) -> GroupMemory:
        return replace(group, moving=group.group in moving, held=group.group in held)

    return replace(memories[-1], groups=tuple(mark(group) for group in memories[-1].groups))
