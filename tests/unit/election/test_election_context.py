from __future__ import annotations

import random
from dataclasses import replace

import pytest

from hafailover.election.context import MAX_RETIRED, WATCH_MS, Context
from hafailover.election.effects import Persist
from hafailover.election.events import HoldersRead
from hafailover.election.values import Advert, GroupAdvert, GroupMemory, GroupName, Leaving, Memory, State
from tests.unit.election.bench import DIGEST, ENI, GROUP, MEMBERS, TIMING, VIP, A, B, C

NOW = 50_000


@pytest.fixture
def context() -> Context:
    return Context(MEMBERS[1], MEMBERS, TIMING, random.Random(1), NOW)  # noqa: S311 - to be repeated, not secret


def test_ids_are_given_once(context: Context) -> None:
    assert [context.next_ids(), context.next_ids(3), context.next_ids()] == [1, 2, 5]


def test_a_term_is_remembered_with_all_else(context: Context) -> None:
    other = GroupMemory(GroupName("zzz"), term=7, paused=True)
    context.recall(Memory(drained=True, groups=(other, GroupMemory(GROUP, term=3, paused=True))))
    assert context.drained
    assert context.memory_of(GROUP).term == 3
    assert context.memory_of(GroupName("new")) == GroupMemory(GroupName("new"))
    remembered = GroupMemory(GROUP, 4, paused=True, moving=True, held=True)
    assert context.remember(GROUP, 4, moving=True, held=True) == Persist(Memory(True, (remembered, other)))


def test_members_and_holders_have_names(context: Context) -> None:
    assert context.member(C) == MEMBERS[2]
    assert [context.node_holding(VIP, holder) for holder in ("eni-a", "eni-b", "eni-z", None)] == [A, B, None, None]
    assert context.node_holding(ENI, "ins-c") == C
    assert [peer.name for peer in context.peers] == [A, C]


@pytest.mark.parametrize(("at", "voices"), [(NOW + 399, 1), (NOW + 400, 0)])
def test_who_is_down_has_no_voice(context: Context, at: int, voices: int) -> None:
    peer = context.peers.get(A)
    assert peer is not None
    said = GroupAdvert(GROUP, State.MASTER, 1, 100, eligible=False)
    peer.hear(Advert(A, DIGEST, 400, Leaving.NO, False, (), (said,)), NOW, confirmed=True)
    assert [voice.advert for voice in context.voices(GROUP, at)] == [said] * voices
    assert context.voices(GroupName("other"), at) == ()


def test_a_node_that_slept_distrusts_its_readings_and_blames_nobody(context: Context) -> None:
    context.holders.answer(HoldersRead((), NOW))
    context.distrust(NOW + 5)
    assert context.trust_after == NOW + 5
    context.distrust(NOW + 5)
    context.holders.want(NOW + 5)
    context.distrust(NOW + 5)
    assert context.trust_after == NOW + 6, "the question just put may have been answered before"
    assert context.distrust_until == NOW + 405


def test_and_for_longer_where_the_file_says_so_meanwhile(context: Context) -> None:
    context.distrust(NOW)
    context.reconfigure(MEMBERS, replace(TIMING, dead_interval_ms=900))
    assert context.distrust_until == NOW + 900


def test_and_where_a_peer_asks_for_longer(context: Context) -> None:
    peer = context.peers.get(A)
    assert peer is not None
    peer.hear(Advert(A, DIGEST, 700, Leaving.NO, False, (), ()), NOW, confirmed=True)
    context.distrust(NOW)
    assert context.distrust_until == NOW + 700


def test_a_sleeper_takes_who_was_there_for_there(context: Context) -> None:
    peer = context.peers.get(A)
    assert peer is not None
    peer.hear(Advert(A, DIGEST, 400, Leaving.NO, False, (), ()), NOW, confirmed=True)
    context.peers.sweep(NOW)
    context.distrust(NOW + 60_000)
    assert peer.last_heard == NOW + 60_000


def test_the_newest_of_what_has_gone_is_remembered_longest(context: Context) -> None:
    names = [GroupName(f"g{number:03}") for number in range(MAX_RETIRED)]
    for name in (*names, names[0], GroupName("last")):
        saved = context.retire(name, 1, (), moving=False)
    assert [each.group for each in saved.memory.groups] == [names[0], *names[2:], "last"][: MAX_RETIRED + 1]


def test_what_is_let_go_of_was_never_said(context: Context) -> None:
    peer = context.peers.get(A)
    assert peer is not None
    said = GroupAdvert(GROUP, State.MASTER, 1, 100, eligible=False, paused_min=3)
    peer.hear(Advert(A, DIGEST, 400, Leaving.NO, False, (), (said,)), NOW, confirmed=True, said_after=NOW - 5)
    assert (peer.has_paused(GROUP, NOW), peer.said_after(GROUP)) == (True, NOW - 5)
    context.forget(GROUP, (VIP,))
    assert (peer.group(GROUP), peer.has_paused(GROUP, NOW), peer.said_after(GROUP)) == (None, False, None)


def test_a_sleeper_reads_who_holds_what(context: Context) -> None:
    context.distrust(NOW)
    assert context.holders.want(NOW)


def test_watching_begins_with_a_reading(context: Context) -> None:
    context.watch(NOW)
    assert context.watch_until == NOW + WATCH_MS
    assert context.holders.want(NOW)
