"""The node as a whole: events to groups, adverts, audits, sleep and leaving."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.node import STOP_MS, Node
from hafailover.election.reasons import Reason
from hafailover.election.values import (
    Advert,
    CheckState,
    GroupAdvert,
    GroupMemory,
    GroupName,
    Handover,
    Leaving,
    Memory,
    NodeName,
    Policy,
    Sighting,
    State,
)
from hafailover.errors import InvariantError
from tests.unit.election.bench import (
    DIGEST,
    GROUP,
    MEMBERS,
    OTHER,
    POLICY,
    START,
    THROTTLED,
    TIMING,
    VIP,
    A,
    B,
    Bench,
    C,
    reasons,
)


def test_it_begins_by_asking_and_saying() -> None:
    bench = Bench()
    assert [type(effect) for effect in bench.told] == [fx.ReadHolders, fx.SendAdverts]
    advert = bench.all(fx.SendAdverts)[0].advert
    assert (advert.node, advert.config_digest, advert.hears) == (B, DIGEST, ())
    assert [group.group for group in advert.groups] == [GROUP]


def test_it_speaks_once_an_interval_and_at_once_when_something_changes() -> None:
    bench = Bench().as_backup()
    bench.clear()
    bench.run(98, A)
    quiet = len(bench.all(fx.SendAdverts))
    bench.run(902, A)
    assert (quiet, len(bench.all(fx.SendAdverts))) == (0, 10)
    bench.clear()
    bench.hear(C)
    assert bench.all(fx.SendAdverts)[0].advert.hears == (A, C)


def test_an_advert_says_what_this_node_is_about() -> None:
    bench = Bench(memory=Memory(drained=True)).as_backup()
    advert = bench.node.advert(bench.now)
    assert advert.drained
    assert advert.leaving is Leaving.NO


def test_what_concerns_nobody_here_is_ignored() -> None:
    bench = Bench().as_backup()
    stranger = Advert(
        NodeName("x"), DIGEST, 400, Leaving.NO, False, (), (GroupAdvert(GROUP, State.MASTER, 9, 1, True),)
    )
    for event in (
        ev.AdvertReceived(stranger, "udp"),
        ev.PeerRefused(NodeName("x")),
        ev.CheckChanged(GroupName("other"), "web", CheckState.DOWN),
        ev.TimerExpired(),
    ):
        bench.give(event)
    assert bench.state() is State.BACKUP
    assert not bench.all(fx.RoleChanged)


def test_a_request_about_an_unknown_group_is_answered() -> None:
    bench = Bench()
    bench.give(ev.FailoverAsked(9, GroupName("other"), None))
    assert bench.all(fx.Answer) == [fx.Answer(9, accepted=False, reason=Reason.UNKNOWN_GROUP)]


def test_a_drain_is_on_disk_and_answered() -> None:
    bench = Bench().as_backup()
    bench.give(ev.DrainAsked(4, drained=True))
    kinds = [type(effect) for effect in bench.told]
    assert kinds.index(fx.Persist) < kinds.index(fx.Answer) < kinds.index(fx.SendAdverts)
    assert bench.all(fx.Answer) == [fx.Answer(4, accepted=True, reason=Reason.ACCEPTED)]
    assert bench.all(fx.Persist)[0].memory.drained
    bench.give(ev.DrainAsked(5, drained=False))
    assert not bench.all(fx.Persist)[1].memory.drained


def test_time_never_runs_backwards() -> None:
    bench = Bench().as_backup()
    before = bench.node.context.now
    bench.node.handle(ev.TimerExpired(), now=before - 5_000)
    assert bench.node.context.now == before


# -- audits ------------------------------------------------------------------------------------------------------


def reads_while(bench: Bench, milliseconds: int, answer_ms: int) -> int:
    """Let time pass, each reading answered after a while; return how many there were."""
    count, pending = 0, None
    for _ in range(milliseconds // 10):
        bench.run(10)
        asked = len(bench.all(fx.ReadHolders)) - count
        if asked:
            count += asked
            pending = bench.now
        if pending is not None and bench.now >= pending + answer_ms:
            bench.read("eni-b", asked_at=pending)
            pending = None
    return count


def test_an_audit_is_one_reading_though_the_answer_takes_long() -> None:
    bench = Bench().as_master()
    assert reads_while(bench, 300_000, 2_500) == 10


@pytest.mark.parametrize(("after", "reads"), [(29_999, 0), (30_000, 1)])
def test_the_audit_comes_when_it_is_due(after: int, reads: int) -> None:
    bench = Bench().as_master()
    bench.run(after)
    assert len(bench.all(fx.ReadHolders)) == reads


def test_while_it_watches_it_reads_every_second_and_then_no_longer() -> None:
    bench = Bench().as_master()
    bench.now += 1
    bench.node.context.watch(bench.now)
    bench.hear(C)
    assert reads_while(bench, 30_000, 50) == 30
    bench.clear()
    assert reads_while(bench, 29_000, 50) == 0


@pytest.mark.parametrize(("silence", "watching"), [(199, False), (200, True)])
def test_a_claimant_that_falls_silent_is_watched(silence: int, *, watching: bool) -> None:
    bench = Bench().as_backup()
    bench.hear(C, State.CLAIMING, 2)
    bench.run(silence, A)
    assert (bench.node.context.watch_until > bench.now) is watching


def test_who_only_falls_silent_is_not() -> None:
    bench = Bench().as_backup()
    bench.hear(C, State.BACKUP, 2)
    bench.run(400, A)
    assert bench.node.context.watch_until == START


def test_a_failed_reading_is_repeated() -> None:
    bench = Bench()
    bench.fail_read()
    bench.clear()
    bench.run(100)
    assert len(bench.all(fx.ReadHolders)) == 1


# -- sleep -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("late", "distrust"), [(199, False), (200, False), (201, True)])
def test_a_turn_that_is_late_by_more_than_half_the_dead_interval_was_sleep(late: int, *, distrust: bool) -> None:
    bench = Bench().as_backup()
    bench.now = bench.node.deadline + late
    bench.give(ev.TimerExpired())
    assert (bench.node.context.distrust_until > bench.now) is distrust
    assert bool(bench.all(fx.ReadHolders)) or not distrust


@pytest.mark.parametrize(("after", "state"), [(399, State.BACKUP), (400, State.CLAIMING), (401, State.CLAIMING)])
def test_who_slept_listens_for_a_dead_interval_and_reads_before_it_acts(after: int, state: State) -> None:
    bench = Bench().as_backup()
    bench.now += 20_000
    bench.give(ev.TimerExpired())
    woke = bench.now
    bench.now += 1
    bench.read("eni-a")
    bench.run(woke + after - bench.now)
    assert bench.state() is state


def test_a_suspended_machine_tells_of_its_lag() -> None:
    bench = Bench().as_backup()
    bench.give(ev.LoopLagged(5))
    assert bench.node.context.distrust_until == bench.now + 400


# -- leaving -----------------------------------------------------------------------------------------------------


def test_a_goodbye_is_said_when_nothing_is_left() -> None:
    bench = Bench().as_backup()
    bench.give(ev.StopAsked(restarting=False))
    assert [type(effect) for effect in bench.told] == [fx.RunHook, fx.SendAdverts, fx.Leave]
    assert bench.all(fx.SendAdverts)[0].advert.leaving is Leaving.STOPPING
    bench.clear()
    bench.run(1_000)
    assert not bench.all(fx.Leave), "once is enough"


def test_a_restart_is_announced_and_leaves_everything() -> None:
    bench = Bench().as_master()
    bench.give(ev.StopAsked(restarting=True))
    assert [type(effect) for effect in bench.told] == [fx.SendAdverts, fx.Leave]
    assert bench.all(fx.SendAdverts)[0].advert.leaving is Leaving.RESTARTING


@pytest.mark.parametrize(("after", "left"), [(STOP_MS - 1, False), (STOP_MS, True)])
def test_a_stop_does_not_wait_for_ever(after: int, *, left: bool) -> None:
    bench = Bench().as_master()
    bench.hear(A)
    bench.give(ev.StopAsked(restarting=False))
    bench.hear(A, State.CLAIMING, 2)
    bench.run(after, A)
    assert bool(bench.all(fx.Leave)) is left
    if left:
        assert bench.all(fx.SendAdverts)[-1].advert.leaving is Leaving.STOPPING
        assert bench.all(fx.StopAnswering)
        assert reasons(bench.all(fx.RoleChanged)) == ["stopping", "stopping"]


def test_nor_twice_as_long_when_asked_twice() -> None:
    bench = Bench().as_master()
    bench.hear(A)
    bench.give(ev.StopAsked(restarting=False))
    bench.hear(A, State.CLAIMING, 2)
    bench.run(STOP_MS - 1_000, A)
    bench.give(ev.StopAsked(restarting=False))
    bench.run(1_000, A)
    assert bench.all(fx.Leave)


def test_a_claim_under_way_is_waited_for() -> None:
    bench = Bench().as_claimant()
    bench.give(ev.StopAsked(restarting=False))
    assert not bench.all(fx.Leave)
    bench.finish(THROTTLED)
    assert bench.all(fx.Leave)


# -- several groups, no group, invariants ------------------------------------------------------------------------


def test_groups_are_told_of_in_one_advert_and_change_each_for_itself() -> None:
    second = Policy(GroupName("db"), (OTHER,), handover=Handover.STRICT)
    node = Node(
        MEMBERS[1],
        MEMBERS,
        TIMING,
        [POLICY, second],
        config_digest=DIGEST,
        memory=Memory(),
        rng=random.Random(1),  # noqa: S311 - to be repeated, not secret
        now=START,
    )
    node.handle(ev.TimerExpired(), now=START)
    node.handle(ev.CheckChanged(GROUP, "none", CheckState.UP), now=START + 1)
    seen = (Sighting(VIP, "eni-b"), Sighting(OTHER, "eni-a"))
    effects = node.handle(ev.HoldersRead(seen, START), now=START + 2)
    assert [group.state for group in node.groups.values()] == [State.MASTER, State.INIT]
    assert len([effect for effect in effects if isinstance(effect, fx.SendAdverts)]) == 1
    node.handle(ev.StopAsked(restarting=False), now=START + 3)
    assert not any(group.guest.carries for group in node.groups.values())


def test_a_node_without_groups_still_speaks() -> None:
    node = Node(
        MEMBERS[1],
        MEMBERS,
        TIMING,
        [],
        config_digest=DIGEST,
        memory=Memory(),
        rng=random.Random(1),  # noqa: S311 - to be repeated, not secret
        now=START,
    )
    effects = node.handle(ev.TimerExpired(), now=START)
    assert any(isinstance(effect, fx.SendAdverts) for effect in effects)
    assert node.deadline > START


def test_a_broken_invariant_is_raised() -> None:
    bench = Bench().as_master()
    bench.group.term = 0
    with pytest.raises(InvariantError):
        bench.hear(A)


def test_a_refusal_is_taken_in() -> None:
    bench = Bench().as_backup()
    bench.give(ev.PeerRefused(A))
    peer = bench.node.context.peers.get(A)
    assert peer is not None
    assert peer.refused


@pytest.mark.parametrize("moving", [False, True])
def test_a_run_that_ended_in_mid_claim_may_have_a_request_under_way(*, moving: bool) -> None:
    bench = Bench(memory=Memory(groups=(GroupMemory(GROUP, term=3, moving=moving),)))
    assert (bench.group.ledger.open_until(bench.now) is not None) is moving


# -- what is routine ---------------------------------------------------------------------------------------------


def test_what_says_nothing_new_only_puts_off_the_silence() -> None:
    bench = Bench().as_backup()
    bench.run(1_000, A)
    bench.clear()
    bench.run(3_000, A)
    assert {type(effect) for effect in bench.told} == {fx.SendAdverts}
    assert len(bench.all(fx.SendAdverts)) == 30


@pytest.mark.parametrize(("late_ms", "distrusts"), [(200, False), (201, True)])
def test_being_late_with_routine_is_noticed(late_ms: int, *, distrusts: bool) -> None:
    bench = Bench().as_master()
    bench.run(1_000)
    bench.now = bench.node.deadline + late_ms
    bench.give(ev.TimerExpired())
    assert (bench.node.context.distrust_until > bench.now) is distrusts


def test_a_tick_is_not_put_off_by_what_peers_repeat() -> None:
    bench = Bench().as_backup()
    bench.clear()
    bench.now = bench.node.deadline
    bench.repeat(A)
    assert len(bench.all(fx.SendAdverts)) == 1


@pytest.mark.parametrize("handover", list(Handover))
def test_several_groups_fail_over_in_one_turn(handover: Handover) -> None:
    first = replace(POLICY, handover=handover)
    second = Policy(GroupName("db"), (OTHER,), handover=handover)
    node = Node(
        MEMBERS[1],
        MEMBERS[:2],
        TIMING,
        [first, second],
        config_digest=DIGEST,
        memory=Memory(),
        rng=random.Random(1),  # noqa: S311 - to be repeated, not secret
        now=START,
    )
    said = tuple(GroupAdvert(name, State.MASTER, 1, 100, eligible=False) for name in (GROUP, GroupName("db")))
    seen = (Sighting(VIP, "eni-a"), Sighting(OTHER, "eni-a"))
    node.handle(ev.TimerExpired(), now=START)
    node.handle(ev.HoldersRead(seen, START), now=START + 1)
    node.handle(ev.AdvertReceived(Advert(A, DIGEST, 400, Leaving.NO, False, (B,), said), "udp"), now=START + 2)
    node.handle(ev.HoldersRead(seen, START + 2), now=START + 3)
    now = START + 3
    told: list[fx.Effect] = []
    while now < START + 1_000:
        now = max(node.deadline, now + 1)
        told += node.handle(ev.TimerExpired(), now=now)
        for group, resource in ((GROUP, VIP), (GroupName("db"), OTHER)):
            if fx.Arm(group, resource) in told[-12:]:
                told += node.handle(ev.GuestArmed(group, resource), now=now)
    moved = {each.resource for each in told if isinstance(each, fx.Move)}
    assert moved == {VIP, OTHER}
