"""Witnesses, and the guard that counts heads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hafailover.election import effects as fx
from hafailover.election.guards import majority
from hafailover.election.reasons import Reason
from hafailover.election.values import NodeName, State
from tests.unit.election.bench import MEMBERS, POLICY, A, B, Bench, C

WITNESSED = (*MEMBERS[:2], replace(MEMBERS[2], witness=True))
QUORATE = replace(POLICY, guards=("quorum",))


@pytest.mark.parametrize(
    ("votes", "of", "enough"),
    [(1, 2, False), (2, 2, True), (1, 3, False), (2, 3, True), (2, 4, False), (3, 4, True)],
)
def test_a_majority_is_more_than_half(votes: int, of: int, *, enough: bool) -> None:
    assert majority(votes, of) is enough


def why(bench: Bench) -> Reason:
    return bench.group.verdict_reason


def bereft(*, confirmed: bool = True, hears: tuple[NodeName, ...] = (B,), heard: bool = True) -> Bench:
    """Return backup `b` a dead interval after it last heard master `a`, and a witness with its own view."""
    bench = Bench(policy=QUORATE, members=WITNESSED).as_backup()
    if heard:
        bench.hear(C, hears=hears, confirmed=confirmed, eligible=False)
        bench.run(500, C)
    else:
        bench.run(500)
    return bench


def test_two_of_three_who_miss_the_holder_are_enough() -> None:
    assert bereft().state() is State.CLAIMING


@pytest.mark.parametrize(
    ("heard", "hears", "confirmed"),
    [(False, (B,), True), (True, (A, B), True), (True, (), True), (True, (B,), False)],
    ids=["nobody-there", "it-hears-the-holder", "it-does-not-hear-us", "perhaps-a-recording"],
)
def test_one_of_three_is_not(hears: tuple[NodeName, ...], *, heard: bool, confirmed: bool) -> None:
    bench = bereft(heard=heard, hears=hears, confirmed=confirmed)
    assert bench.state() is State.BACKUP
    assert why(bench) is Reason.NO_QUORUM
    assert [effect.reason for effect in bench.all(fx.Refrained)] == [Reason.NO_QUORUM]


def test_the_word_of_a_daemon_is_not_its_successors() -> None:
    bench = Bench(policy=QUORATE, members=WITNESSED).as_backup()
    bench.hear(C, hears=(B,), eligible=False)
    bench.run(300)
    bench.hear(C, hears=(B,), confirmed=False, eligible=False)
    bench.run(200)
    assert bench.state() is State.BACKUP
    assert why(bench) is Reason.NO_QUORUM


def test_the_others_have_an_interval_to_miss_the_holder_too() -> None:
    bench = Bench(policy=QUORATE, members=WITNESSED).as_backup()
    bench.hear(C, hears=(A, B), eligible=False)
    bench.run(450, C)
    assert why(bench) is Reason.GUARD_PENDING
    assert bench.all(fx.Refrained) == []


def test_a_change_of_mind_is_heeded_at_once() -> None:
    bench = bereft(hears=(A, B))
    bench.hear(C, hears=(B,), eligible=False)
    assert bench.state() is State.CLAIMING


def test_the_core_answers_this_guard_itself() -> None:
    bench = bereft()
    assert bench.all(fx.AskGuard) == []


def test_other_guards_are_asked_beside_it() -> None:
    bench = Bench(policy=replace(POLICY, guards=("quorum", "vip")), members=WITNESSED).as_backup()
    bench.run(500)
    assert [ask.guard for ask in bench.all(fx.AskGuard)] == ["vip"]
    assert why(bench) is Reason.NO_QUORUM


def test_a_planned_hand_over_needs_no_quorum() -> None:
    bench = Bench(policy=QUORATE, members=WITNESSED).as_backup()
    bench.hear(A, State.RELEASING, 1, successor=B)
    assert bench.state() is State.CLAIMING


def test_a_witness_asks_the_cloud_nothing_and_does_nothing() -> None:
    bench = Bench(me=C, policy=replace(POLICY, guards=("vip",)), members=WITNESSED)
    bench.hear(A, State.MASTER, 1)
    bench.run(60_000)
    assert (bench.state(), why(bench)) == (State.BACKUP, Reason.WITNESS)
    done = (fx.ReadHolders, fx.Arm, fx.StopAnswering, fx.Move, fx.AskGuard, fx.RunHook)
    assert [effect for kind in done for effect in bench.all(kind)] == []
    assert not bench.group.advert().eligible


def test_it_tells_whom_it_hears() -> None:
    bench = Bench(me=C, members=WITNESSED)
    bench.hear(A, State.MASTER, 1)
    bench.hear(B)
    assert bench.node.advert(bench.now).hears == (A, B)
    bench.run(400, B)
    assert bench.node.advert(bench.now).hears == (B,)
    assert bench.all(fx.SendAdverts)[-1].advert.hears == (B,)


def test_a_witness_sleeps_between_its_heartbeats() -> None:
    bench = Bench(me=C, members=WITNESSED)
    bench.run(1_000)
    assert bench.node.deadline > bench.now
