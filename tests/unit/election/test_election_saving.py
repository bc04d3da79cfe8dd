"""One write of the state file for all groups of a turn."""

from __future__ import annotations

import pytest

from hafailover.election.effects import Effect, Persist, ReadHolders, RunHook
from hafailover.election.saving import saved_once
from hafailover.election.values import GroupMemory, GroupName, Memory

A, B = GroupName("a"), GroupName("b")
HOOKS = RunHook(A, "backup"), RunHook(B, "backup")
READ = ReadHolders()


def saved(*groups: GroupMemory, drained: bool = False) -> Persist:
    return Persist(Memory(drained, groups))


@pytest.mark.parametrize("effects", [(), (READ,), (READ, saved(GroupMemory(A, 1)), HOOKS[0])])
def test_what_is_saved_once_or_never_stays_as_it_is(effects: tuple[Effect, ...]) -> None:
    assert saved_once(effects) == list(effects)


def test_the_first_write_is_for_all() -> None:
    one, other = GroupMemory(A, 3, moving=True), GroupMemory(B, 7, moving=True, held=True)
    effects = (READ, saved(one), HOOKS[0], saved(one, other), HOOKS[1])
    assert saved_once(effects) == [READ, saved(one, other), *HOOKS]


def test_a_mark_that_is_taken_off_stays_until_that_is_due() -> None:
    held, free, other = GroupMemory(A, 3, held=True), GroupMemory(A, 4), GroupMemory(B, 7, moving=True)
    effects = (saved(held), HOOKS[0], saved(free), HOOKS[1], saved(free, other), READ)
    first = saved(GroupMemory(A, 4, held=True), other)
    assert saved_once(effects) == [first, *HOOKS, saved(free, other), READ]


def test_of_three_the_last_words_count_and_the_marks_of_each() -> None:
    first, second, third = GroupMemory(A, 3, moving=True), GroupMemory(A, 4, held=True), GroupMemory(A, 5)
    effects = (saved(first, drained=True), saved(second, drained=True), saved(third))
    assert saved_once(effects) == [saved(GroupMemory(A, 5, moving=True, held=True)), saved(third)]


def test_what_else_is_remembered_is_the_last_words() -> None:
    paused = GroupMemory(A, 3, paused=True, paused_until=9)
    effects = (saved(GroupMemory(A, 3), drained=True), saved(paused, drained=True))
    assert saved_once(effects) == [saved(paused, drained=True)]
