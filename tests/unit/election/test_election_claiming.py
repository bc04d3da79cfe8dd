"""CLAIMING as the node lives it: from the decision to the cloud's confirmation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.effects import Persist
from hafailover.election.reasons import Reason
from hafailover.election.returns import LAG_MS, OLD_MS
from hafailover.election.values import (
    Advert,
    CheckState,
    GroupAdvert,
    GroupMemory,
    GuardVerdict,
    Handover,
    Leaving,
    MoveResult,
    Outcome,
    State,
)
from tests.unit.election.bench import (
    APPLIED,
    BOTH,
    CONFLICT,
    DIGEST,
    GROUP,
    MEMBERS,
    OTHER,
    POLICY,
    QUOTA,
    THROTTLED,
    TIMING,
    UNKNOWN,
    VIP,
    A,
    B,
    Bench,
    C,
    reasons,
)

LOST = MoveResult(Outcome.UNKNOWN, "ClientTimeout", open_ms=6_000)


def test_the_term_is_on_disk_before_anything_moves_or_is_told() -> None:
    bench = Bench().as_backup(term=6)
    bench.run(400)
    kinds = [type(effect) for effect in bench.told if isinstance(effect, Persist | fx.Arm | fx.RoleChanged)]
    assert kinds == [fx.Arm, fx.Persist, fx.RoleChanged]
    (saved,) = bench.all(Persist)
    assert saved.memory.groups[0].term == 7
    assert bench.group.term == 7
    assert not bench.all(fx.Move)
    bench.arm()
    assert bench.all(fx.Move) == [fx.Move(GROUP, 2, VIP, "eni-a", "eni-b")]


def test_a_claimant_that_slept_looks_before_it_asks_again() -> None:
    bench = Bench().as_claimant()
    bench.finish(THROTTLED)
    asked_at = bench.now
    bench.clear()
    bench.now += 60_000
    bench.read("eni-a", asked_at=asked_at)
    assert not bench.all(fx.Move), "the answer had waited all the time, and the world has gone on"
    bench.read("eni-a")
    assert bench.all(fx.Move)


def test_the_new_term_is_above_all_that_were_told_even_by_the_dead() -> None:
    bench = Bench().as_backup(term=2)
    bench.hear(C, State.CLAIMING, term=9, eligible=False)
    bench.run(400)
    assert bench.group.term == 10


def test_strict_arms_only_what_the_cloud_has_confirmed() -> None:
    bench = Bench(policy=replace(POLICY, handover=Handover.STRICT)).as_backup()
    bench.run(400)
    assert bench.all(fx.Move)
    assert not bench.all(fx.Arm)
    bench.finish(APPLIED)
    bench.read("eni-b")
    assert bench.state() is State.MASTER
    assert bench.all(fx.Arm)


def memories(bench: Bench) -> list[GroupMemory]:
    return [effect.memory.groups[0] for effect in bench.all(fx.Persist)]


def test_that_a_move_may_be_under_way_is_on_disk_before_it_is_sent() -> None:
    bench = Bench(members=MEMBERS[:2]).as_backup()
    bench.run(400)
    assert memories(bench) == [GroupMemory(GROUP, 2, moving=True)]
    bench.arm()
    bench.finish(APPLIED)
    bench.read("eni-b")
    assert memories(bench) == [GroupMemory(GROUP, 2, moving=True), GroupMemory(GROUP, 2)]


def test_where_three_are_members_each_address_is_asked_for_by_a_reading_of_its_time() -> None:
    bench = Bench(policy=BOTH).as_backup()
    bench.run(5_000, A)
    bench.hear(A, State.RELEASING, 1, successor=bench.node.context.me.name)
    bench.arm(VIP)
    bench.arm(OTHER)
    assert bench.moves == [], "the latest question is of long ago"
    bench.read("eni-a")
    assert [move.resource for move in bench.moves] == [VIP], "one after the other"
    bench.now += 3_000
    bench.finish(APPLIED, VIP)
    assert len(bench.moves) == 1
    bench.read("eni-b", "eni-a")
    assert [move.resource for move in bench.moves] == [VIP, OTHER]


def test_where_three_are_members_also_that_it_was_here() -> None:
    bench = Bench().as_backup()
    bench.run(400)
    bench.arm()
    bench.finish(APPLIED)
    bench.read("eni-b")
    assert memories(bench) == [GroupMemory(GROUP, 2, moving=True, held=True), GroupMemory(GROUP, 2, held=True)]
    bench.clear()
    bench.hear(A, State.MASTER, 3)
    bench.run(LAG_MS, A)
    bench.read("eni-a")
    bench.run(TIMING.request_life_ms + OLD_MS, A)
    assert memories(bench) == []
    bench.run(1)
    assert memories(bench) == [GroupMemory(GROUP, 2)]


def test_the_peers_are_told_of_a_claim_and_of_what_may_still_take_effect() -> None:
    def moving() -> bool:
        return bench.all(fx.SendAdverts)[-1].advert.groups[0].moving

    bench = Bench(members=MEMBERS[:2]).as_backup()
    bench.run(100, A)
    assert moving() is False
    bench.run(400)
    assert moving() is True
    bench.arm()
    bench.finish(LOST)
    bench.hear(A, State.MASTER, 3)
    assert bench.state() is State.BACKUP
    bench.run(LOST.open_ms - 200, A)
    assert moving() is True
    bench.run(200, A)
    assert moving() is False


def test_what_was_never_answered_stays_on_disk_while_it_may_take_effect() -> None:
    bench = Bench(members=MEMBERS[:2]).as_claimant()
    bench.finish(LOST)
    bench.hear(A, State.MASTER, 3)
    assert bench.state() is State.BACKUP
    assert memories(bench)[-1].moving
    bench.run(LOST.open_ms, A)
    assert not memories(bench)[-1].moving


def test_a_master_that_is_back_and_gives_to_another_ends_the_claim() -> None:
    bench = Bench().as_claimant()
    bench.finish(CONFLICT)
    bench.hear(A, State.RELEASING, 1, successor=C)
    assert reasons(bench.all(fx.RoleChanged))[-1] == "claim_void"


def test_among_three_it_may_be_asked_for_again_only_after_that() -> None:
    bench = Bench().as_claimant()
    bench.finish(LOST)
    over = bench.now - 1 + LOST.open_ms
    assert bench.group.returns.pending((VIP,), bench.now) == over + LAG_MS


def test_a_failover_is_told_with_its_phases() -> None:
    bench = Bench().as_backup()
    bench.run(400)
    bench.now += 3
    bench.arm()
    bench.now += 700
    bench.finish(APPLIED)
    bench.now += 50
    bench.read("eni-b")
    (told,) = bench.all(fx.FailoverFinished)
    assert (told.reason.label, told.source, told.target, told.term, told.moves) == ("master_dead", A, "b", 2, 1)
    assert (told.group, told.fence_ms) == (GROUP, 0)
    assert (told.detect_ms, told.guard_ms, told.guest_ms, told.cloud_ms, told.verify_ms) == (400, 0, 4, 700, 51)


def test_what_a_guard_held_up_is_told_apart() -> None:
    bench = Bench(policy=replace(POLICY, guards=("vip",))).as_backup()
    bench.run(410)
    (asked,) = bench.all(fx.AskGuard)
    bench.give(ev.GuardAnswered(GROUP, "vip", asked.round_id, GuardVerdict.ALLOW))
    bench.arm()
    bench.finish(APPLIED)
    bench.read("eni-b")
    (told,) = bench.all(fx.FailoverFinished)
    assert (told.detect_ms, told.guard_ms) == (400, 11)


def test_what_is_held_already_is_no_failover() -> None:
    bench = Bench().as_backup()
    bench.hear(A, State.BACKUP, 1)
    bench.read("eni-b")
    bench.arm()
    assert bench.state() is State.MASTER
    assert not bench.all(fx.FailoverFinished)
    assert not bench.all(fx.Move)


@pytest.mark.parametrize("overlap", [True, False])
def test_what_was_held_and_is_not_is_taken_from_nobody_unasked(*, overlap: bool) -> None:
    handover = Handover.OVERLAP if overlap else Handover.STRICT
    bench = Bench(policy=replace(POLICY, checks=(("web", 0),), handover=handover))
    bench.check(CheckState.UP)
    bench.as_master()
    bench.check(CheckState.DOWN)
    if not overlap:
        bench.end_hook()
    bench.run(20_000)
    bench.check(CheckState.UP)
    assert bench.all(fx.RoleChanged)[-1].reason is Reason.HELD
    bench.read("eni-c", asked_at=bench.now)
    if overlap:
        bench.arm()
    assert (bench.state(), bench.all(fx.Move)) == (State.BACKUP, [])
    bench.now += 1
    bench.read("eni-c")
    assert bench.group.verdict_reason is Reason.TAKEN_UNHEARD


def test_a_claim_from_nobody_has_no_source() -> None:
    bench = Bench().as_backup()
    bench.read(None)
    bench.run(400)
    bench.arm()
    bench.finish(APPLIED)
    bench.read("eni-b")
    (told,) = bench.all(fx.FailoverFinished)
    assert (told.source, told.detect_ms) == (None, 0)


def test_a_failed_call_is_tried_again_in_time() -> None:
    bench = Bench().as_claimant()
    bench.finish(THROTTLED)
    bench.clear()
    bench.run(100)
    assert len(bench.all(fx.Move)) == 1


@pytest.mark.parametrize("moved", [False, True])
def test_the_old_master_that_was_only_late_is_left_alone_unless_the_cloud_was_asked(*, moved: bool) -> None:
    bench = Bench().as_backup()
    bench.run(400)
    if moved:
        bench.arm()
    bench.hear(A, State.MASTER, 1)
    assert bench.state() is (State.CLAIMING if moved else State.BACKUP)
    if not moved:
        assert reasons(bench.all(fx.RoleChanged))[-1] == "claim_void"


def test_a_successor_goes_on_while_it_is_offered_and_stops_when_the_offer_ends() -> None:
    bench = Bench().as_backup()
    bench.hear(A, State.RELEASING, 1, successor=bench.node.context.me.name)
    assert bench.state() is State.CLAIMING
    bench.run(150, A)
    assert bench.state() is State.CLAIMING
    bench.hear(A, State.MASTER, 1)
    assert bench.state() is State.BACKUP
    assert reasons(bench.all(fx.RoleChanged)) == ["handed_over", "claim_void"]
    assert [told.source for told in bench.all(fx.ClaimFailed)] == [A]


@pytest.mark.parametrize(
    ("results", "given_up"),
    [
        ((THROTTLED,), True),
        ((QUOTA,), True),
        ((THROTTLED, THROTTLED), True),
        ((UNKNOWN,), False),
        ((UNKNOWN, THROTTLED), False),
        ((APPLIED,), False),
        ((replace(THROTTLED, half_done=True),), False),
    ],
)
def test_an_offer_taken_back_ends_the_claim_unless_the_cloud_may_have_done_something(
    results: tuple[MoveResult, ...], *, given_up: bool
) -> None:
    bench = Bench().as_backup()
    me = bench.node.context.me.name
    bench.hear(A, State.RELEASING, 1, successor=me)
    bench.arm()
    for result in results:
        bench.clear()
        bench.finish(result)
        bench.read("eni-a")
        bench.run(400, A)
    if bench.all(fx.Move):
        bench.finish(THROTTLED)
    bench.hear(A, State.MASTER, 1)
    assert bench.state() is (State.BACKUP if given_up else State.CLAIMING)


def test_a_master_that_is_not_confirmed_ends_no_claim() -> None:
    bench = Bench().as_claimant()
    bench.hear(C, State.MASTER, 9, confirmed=False)
    bench.finish(CONFLICT)
    assert bench.state() is State.CLAIMING


def test_an_unconfirmed_master_does_not_hide_a_confirmed_one() -> None:
    bench = Bench().as_claimant()
    bench.hear(C, State.MASTER, 9, confirmed=False)
    bench.hear(A, State.MASTER, 5)
    bench.finish(CONFLICT)
    assert bench.state() is State.BACKUP


@pytest.mark.parametrize(("term", "state"), [(1, State.CLAIMING), (2, State.BACKUP), (3, State.BACKUP)])
def test_a_newer_master_ends_the_claim_once_its_call_has_ended(term: int, state: State) -> None:
    bench = Bench().as_claimant()
    bench.hear(C, State.MASTER, term)
    assert bench.state() is State.CLAIMING, "a call is under way"
    bench.clear()
    bench.finish(UNKNOWN)
    assert bench.state() is state
    if state is State.BACKUP:
        assert reasons(bench.all(fx.RoleChanged)) == ["claim_lost"]
        bench.read("eni-a", asked_at=bench.now - 100)  # the answer to the question that was under way
        assert bench.all(fx.ReadHolders), "what the call has done is looked at"


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (ev.CheckChanged(GROUP, "web", CheckState.DOWN), "check_failed"),
        (ev.GuestArmed(GROUP, VIP, "no such interface"), "guest_failed"),
        (ev.DrainAsked(1, drained=True), "drained"),
        (ev.StopAsked(restarting=False), "stopping"),
    ],
)
def test_an_unfit_node_gives_its_claim_up_when_its_call_has_ended(event: ev.Event, reason: str) -> None:
    bench = Bench(policy=replace(POLICY, checks=(("web", 0),)))
    bench.check(CheckState.UP)
    bench.as_claimant()
    bench.give(event)
    assert bench.state() is State.CLAIMING
    bench.clear()
    bench.finish(THROTTLED)
    assert reasons(bench.all(fx.RoleChanged))[0] == reason
    assert bench.state() is not State.CLAIMING


def test_who_was_slower_gives_way_and_holds_off() -> None:
    bench = Bench().as_claimant()
    bench.finish(CONFLICT)
    bench.read("eni-c")
    assert bench.state() is State.BACKUP
    assert reasons(bench.all(fx.RoleChanged))[-1] == "claim_lost"
    assert bench.group.hold_down.until == bench.now + 30_000
    assert bench.group.hold_down.losses == 1


def test_but_not_where_the_faster_one_is_heard() -> None:
    bench = Bench().as_claimant()
    bench.hear(C, State.MASTER, 1)
    bench.finish(CONFLICT)
    bench.read("eni-c")
    assert bench.state() is State.BACKUP
    assert bench.group.hold_down.losses == 0


def test_nor_where_the_faster_one_is_heard_and_not_yet_done() -> None:
    bench = Bench(policy=BOTH).as_backup()
    bench.run(400)
    bench.arm(VIP)
    bench.arm(OTHER)
    bench.hear(C, State.CLAIMING, 2, eligible=False)
    bench.finish(CONFLICT, VIP)
    bench.finish(CONFLICT, OTHER)
    bench.read("eni-c", "eni-a")
    assert reasons(bench.all(fx.RoleChanged))[-1] == "claim_lost"
    assert bench.group.hold_down.losses == 0, "where each has a part of it, nobody would serve"


def test_and_the_turns_begin_anew() -> None:
    bench = Bench(policy=BOTH).as_loser()
    bench.run(3_398, C)
    assert bench.state() is State.BACKUP, "the holder has its time, and then the turn before this node's"
    bench.run(3, C)
    assert bench.state() is State.CLAIMING


def test_after_a_lost_claim_nothing_moves_by_a_reading_of_long_ago() -> None:
    bench = Bench(policy=BOTH).as_loser()
    assert bench.group.reason is Reason.CLAIM_LOST
    bench.clear()
    bench.run(4_000, C)
    bench.arm(VIP)
    bench.arm(OTHER)
    assert (bench.state(), bench.all(fx.Move)) == (State.CLAIMING, [])
    bench.read("eni-c", "eni-a")
    assert bench.all(fx.Move)


def test_nor_in_a_pair() -> None:
    bench = Bench(policy=BOTH, members=MEMBERS[:2]).as_backup()
    bench.run(300)
    bench.read(None, "eni-a")
    bench.run(100)
    bench.arm(VIP)
    bench.arm(OTHER)
    bench.hear(A, eligible=False)
    bench.finish(CONFLICT, VIP)
    bench.finish(CONFLICT, OTHER)
    bench.read("eni-a")
    assert bench.group.reason is Reason.CLAIM_LOST
    bench.now += 1
    bench.read("eni-a")
    bench.run(4_000, A)
    bench.clear()
    bench.arm(VIP)
    bench.arm(OTHER)
    assert (bench.state(), bench.all(fx.Move)) == (State.CLAIMING, [])
    bench.read("eni-a")
    assert len(bench.all(fx.Move)) == 2


def test_a_claim_whose_move_was_applied_does_not_yield_to_a_master_of_its_own_term() -> None:
    bench = Bench().as_claimant()
    bench.finish(APPLIED)
    bench.hear(C, State.MASTER, 2)
    assert bench.state() is State.CLAIMING, "the cloud decides between the two"
    bench.read("eni-b")
    assert bench.state() is State.MASTER


def test_while_one_call_is_under_way_the_other_resource_is_looked_at() -> None:
    bench = Bench(policy=BOTH, members=MEMBERS[:2]).as_claimant()
    bench.arm(OTHER)
    bench.finish(THROTTLED, OTHER)
    assert bench.group.deadline is not None
    assert bench.now < bench.group.deadline <= bench.now + 100


def test_a_claim_that_fails_says_whom_it_would_have_taken_it_from_and_what_ended_it() -> None:
    bench = Bench(policy=BOTH).as_backup()
    bench.run(300)
    bench.read(None, "eni-a")
    bench.run(100)
    bench.arm(VIP)
    bench.arm(OTHER)
    bench.finish(CONFLICT)
    bench.finish(CONFLICT, OTHER)
    bench.read("eni-c", "eni-a")
    (told,) = bench.all(fx.ClaimFailed)
    assert (told.source, told.ended) == (A, Reason.CLAIM_LOST)


def test_a_master_that_hands_over_is_where_it_came_from_and_nothing_was_detected() -> None:
    bench = Bench().as_backup()
    bench.hear(A, State.RELEASING, 1, successor=B)
    bench.arm()
    bench.finish(APPLIED)
    bench.read("eni-b")
    (told,) = bench.all(fx.FailoverFinished)
    assert (told.source, told.detect_ms, told.guard_ms, told.cloud_ms) == (A, 0, 0, 0)
    assert told.evidence.said is State.RELEASING


def test_a_peer_that_asks_for_patience_is_detected_after_that() -> None:
    bench = Bench(policy=replace(POLICY, guards=("vip",))).as_backup()
    said = GroupAdvert(GROUP, State.MASTER, 1, 100, eligible=False)
    bench.give(ev.AdvertReceived(Advert(A, DIGEST, 2_000, Leaving.NO, False, (B,), (said,)), "udp"))
    bench.run(2_010)
    asked = bench.all(fx.AskGuard)[-1]
    bench.give(ev.GuardAnswered(GROUP, "vip", asked.round_id, GuardVerdict.ALLOW))
    bench.arm()
    bench.read("eni-a")
    bench.finish(APPLIED)
    bench.read("eni-b")
    (told,) = bench.all(fx.FailoverFinished)
    assert (told.detect_ms, told.guard_ms) == (2_000, 10)
    assert told.evidence.guards == (("vip", GuardVerdict.ALLOW),)


def test_a_lost_claim_ends_when_the_last_of_its_calls_has() -> None:
    bench = Bench(policy=BOTH)
    bench.as_backup()
    bench.run(400)
    bench.arm(VIP)
    bench.arm(OTHER)
    bench.finish(CONFLICT, VIP)
    bench.read("eni-c", "eni-a")
    assert bench.state() is State.CLAIMING, "the other address may still be on its way here"
    bench.finish(UNKNOWN, OTHER)
    assert bench.state() is State.BACKUP


def test_leaving_to_restart_gives_the_claim_up_too() -> None:
    bench = Bench().as_backup()
    bench.run(400)
    bench.give(ev.StopAsked(restarting=True))
    assert bench.state() is State.BACKUP
    assert bench.all(fx.Leave)
    assert bench.all(fx.SendAdverts)[-1].advert.leaving is Leaving.RESTARTING


def test_the_history_learns_on_what_evidence_a_claim_began_and_that_it_failed() -> None:
    bench = Bench(policy=replace(POLICY, guards=("vip", "cloud"), checks=(("web", 0),)))
    bench.check(CheckState.UP)
    bench.as_backup(term=3)
    bench.run(250)
    vip = next(asked for asked in bench.all(fx.AskGuard) if asked.guard == "vip")
    bench.give(ev.GuardAnswered(GROUP, "vip", vip.round_id, GuardVerdict.ALLOW))
    bench.run(200)
    assert bench.state() is State.CLAIMING
    bench.run(100)
    bench.hear(A, State.MASTER, 9)
    (told,) = bench.all(fx.ClaimFailed)
    assert (told.reason, told.ended, told.source, told.target) == (Reason.MASTER_DEAD, Reason.CLAIM_LOST, A, B)
    assert (told.group, told.term, told.moves) == (GROUP, 4, 0)
    assert 100 <= told.spent_ms <= 450
    assert told.evidence.said is State.MASTER
    assert told.evidence.silence_ms is not None
    assert 400 <= told.evidence.silence_ms <= 421
    assert told.evidence.guards == (("vip", GuardVerdict.ALLOW), ("cloud", None))
    assert told.evidence.checks == (("web", CheckState.UP),)
