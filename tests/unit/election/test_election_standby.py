"""INIT, BACKUP and FAULT: listening, following, suspecting, and the decision to claim."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.reasons import Reason
from hafailover.election.release import RELEASE_MS
from hafailover.election.standby import GUARD_SLACK_MS, eligible
from hafailover.election.values import (
    Advert,
    CheckState,
    GroupMemory,
    GuardVerdict,
    Leaving,
    Memory,
    State,
)
from tests.unit.election.bench import (
    APPLIED,
    BOTH,
    CONFLICT,
    DIGEST,
    GROUP,
    POLICY,
    TIMING,
    VIP,
    A,
    B,
    Bench,
    C,
    reasons,
)

CHECKED = replace(POLICY, checks=(("web", 0),))
GUARDED = replace(POLICY, guards=("vip",))
ALLOW, DENY, UNKNOWN = GuardVerdict.ALLOW, GuardVerdict.DENY, GuardVerdict.UNKNOWN


def why(bench: Bench) -> Reason:
    return bench.group.verdict_reason


def answer(bench: Bench, verdict: GuardVerdict) -> None:
    asked = bench.all(fx.AskGuard)[-1]
    bench.give(ev.GuardAnswered(GROUP, asked.guard, asked.round_id, verdict))


# -- INIT --------------------------------------------------------------------------------------------------------


def test_who_holds_it_goes_on_without_asking_anything() -> None:
    bench = Bench()
    bench.read("eni-b")
    assert bench.state() is State.MASTER
    assert bench.group.term == 1
    assert reasons(bench.all(fx.RoleChanged)) == ["held_at_start"]
    assert not bench.all(fx.Move)


def test_nor_by_what_was_asked_before_it_slept() -> None:
    bench = Bench()
    bench.now += 350
    bench.give(ev.TimerExpired())
    bench.read("eni-b", asked_at=bench.now - 100)
    assert bench.state() is State.INIT
    bench.now += 1
    bench.read("eni-b")
    assert bench.state() is State.MASTER


def test_what_goes_on_among_three_is_marked_as_held() -> None:
    bench = Bench()
    bench.read("eni-b")
    assert bench.all(fx.Persist)[0].memory.groups == (GroupMemory(GROUP, 1, held=True),)


@pytest.mark.parametrize(("term", "state"), [(6, State.MASTER), (7, State.MASTER), (8, State.BACKUP)])
def test_unless_a_master_with_a_newer_term_is_heard(term: int, state: State) -> None:
    bench = Bench(memory=Memory(groups=(GroupMemory(GROUP, term=7),)))
    bench.give(ev.HoldersRead((), 1))  # an answer that names nothing
    assert bench.state() is State.INIT
    peer = bench.node.context.peers.get(A)
    assert peer is not None
    bench.node.context.holders.learn(VIP, "eni-b")
    bench.node.context.holders._asked_at = bench.now
    bench.hear(A, State.MASTER, term)
    assert bench.state() is state


def test_half_of_it_is_not_enough() -> None:
    bench = Bench(policy=BOTH)
    bench.read("eni-b", "eni-a")
    assert bench.state() is State.INIT
    assert bench.group.guest.carries == [VIP], "what others hold leaves the guest, what is held here stays"


def test_a_master_that_is_heard_is_followed() -> None:
    bench = Bench()
    bench.hear(A, State.MASTER, 3)
    assert bench.state() is State.BACKUP
    assert reasons(bench.all(fx.RoleChanged)) == ["heard_master"]
    assert bench.group.guest.carries == []


@pytest.mark.parametrize(("after", "state"), [(399, State.INIT), (400, State.BACKUP), (401, State.BACKUP)])
def test_it_listens_for_a_dead_interval(after: int, state: State) -> None:
    bench = Bench()
    bench.run(after)
    assert bench.state() is state
    if state is State.BACKUP:
        assert reasons(bench.all(fx.RoleChanged)) == ["listened"]
        assert why(bench) is Reason.HOLDER_UNKNOWN


def test_a_broken_service_is_at_fault_from_the_beginning() -> None:
    bench = Bench(policy=CHECKED)
    bench.check(CheckState.DOWN)
    assert bench.state() is State.FAULT


# -- FAULT -------------------------------------------------------------------------------------------------------


def test_at_fault_the_address_stays_until_somebody_else_holds_it() -> None:
    bench = Bench(policy=CHECKED).as_master()
    bench.check(CheckState.DOWN)
    assert bench.state() is State.FAULT
    assert bench.group.guest.carries == [VIP]
    bench.now += 1
    bench.read("eni-a")
    assert bench.group.guest.carries == []
    assert bench.all(fx.StopAnswering) == [fx.StopAnswering(GROUP, VIP)]


def test_and_longer_where_that_was_asked_before_a_sleep() -> None:
    bench = Bench(policy=CHECKED).as_master()
    bench.check(CheckState.DOWN)
    bench.now += 10_000
    bench.give(ev.TimerExpired())
    bench.read("eni-a", asked_at=bench.now - 9_000)
    assert bench.group.guest.carries == [VIP]
    bench.now += 1
    bench.read("eni-a")
    assert bench.group.guest.carries == []


def test_a_service_that_is_back_while_the_master_is_late_prepares_for_a_claim() -> None:
    bench = Bench(policy=CHECKED)
    bench.check(CheckState.UP)
    bench.as_backup()
    bench.check(CheckState.DOWN)
    bench.run(250)
    bench.now += 1
    bench.read("eni-a")
    bench.clear()
    bench.now += 1
    bench.check(CheckState.UP)
    assert (bench.state(), len(bench.all(fx.ReadHolders))) == (State.BACKUP, 1)


def test_what_the_cloud_is_moving_stays_too() -> None:
    bench = Bench(policy=CHECKED).as_master()
    bench.check(CheckState.DOWN)
    bench.now += 1
    bench.read("eni-a", settled=False)
    assert bench.group.guest.carries == [VIP]


def test_a_confirmed_master_needs_no_reading() -> None:
    bench = Bench(policy=CHECKED).as_master()
    bench.check(CheckState.DOWN)
    bench.hear(A, State.MASTER, 2, confirmed=False)
    assert bench.group.guest.carries == [VIP]
    bench.hear(A, State.MASTER, 2)
    assert bench.group.guest.carries == []


def test_passing_checks_end_it() -> None:
    bench = Bench(policy=CHECKED)
    bench.check(CheckState.DOWN)
    bench.check(CheckState.UP)
    assert reasons(bench.all(fx.RoleChanged)) == ["check_failed", "check_passed"]


def test_stopping_takes_everything_off_the_guest() -> None:
    bench = Bench(policy=CHECKED).as_master()
    bench.check(CheckState.DOWN)
    bench.give(ev.StopAsked(restarting=False))
    assert bench.group.guest.carries == []
    assert bench.all(fx.Leave)


@pytest.mark.parametrize("broken", ["check", "guest"])
def test_a_backup_that_breaks_says_what_is_broken(broken: str) -> None:
    bench = Bench(policy=CHECKED).as_backup()
    if broken == "check":
        bench.check(CheckState.DOWN)
    else:
        bench.arm(VIP, "no such interface")
    assert bench.state() is State.FAULT
    assert bench.group.reason is (Reason.CHECK_FAILED if broken == "check" else Reason.GUEST_FAILED)


# -- following ---------------------------------------------------------------------------------------------------


def test_a_new_master_makes_old_readings_worthless() -> None:
    bench = Bench().as_backup(term=1)
    bench.now += 1
    bench.hear(C, State.MASTER, 2)
    assert bench.group.term == 2
    assert bench.all(fx.ReadHolders)
    assert bench.group.sightings(bench.group.trust_after) is None


def test_an_unconfirmed_master_is_waited_for_but_not_believed() -> None:
    bench = Bench().as_backup(term=1)
    bench.hear(A, State.BACKUP, 1)
    bench.hear(C, State.MASTER, 9, confirmed=False)
    assert why(bench) is Reason.MASTER_ALIVE
    assert bench.group.term == 1


def test_a_loss_that_is_explained_ends_the_hold_down() -> None:
    bench = Bench().as_claimant()
    bench.finish(CONFLICT)
    bench.read("eni-c")
    assert bench.group.hold_down.until > bench.now
    bench.hear(C, State.MASTER, 5)
    assert bench.group.hold_down.until == bench.now


# -- suspecting --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("silence", "asked"), [(199, 0), (200, 1), (201, 1)])
def test_at_half_the_dead_interval_the_preparations_begin(silence: int, asked: int) -> None:
    bench = Bench(policy=GUARDED).as_backup()
    bench.run(silence - 1)  # the master was heard one millisecond before
    assert len(bench.all(fx.AskGuard)) == asked
    assert len(bench.all(fx.ReadHolders)) == asked


def test_a_master_that_was_only_late_ends_them() -> None:
    bench = Bench(policy=GUARDED).as_backup()
    bench.run(250)
    bench.hear(A, State.MASTER, 1)
    assert bench.group.guards is None
    assert not bench.group.suspected


def test_guards_are_not_asked_of_a_holder_that_speaks_or_is_nobody() -> None:
    bench = Bench(policy=GUARDED).as_backup()
    bench.hear(A, State.FAULT, 1, eligible=False)
    assert bench.state() is State.CLAIMING
    nobody = Bench(policy=GUARDED)
    nobody.read(None)
    nobody.run(400)
    assert nobody.state() is State.CLAIMING
    assert not bench.all(fx.AskGuard)
    assert not nobody.all(fx.AskGuard)


@pytest.mark.parametrize(("extra", "state"), [(GUARD_SLACK_MS - 1, State.BACKUP), (GUARD_SLACK_MS, State.CLAIMING)])
def test_a_guard_that_does_not_answer_holds_a_claim_up_by_its_slack_only(extra: int, state: State) -> None:
    bench = Bench(policy=GUARDED).as_backup()
    bench.run(399 + extra)
    assert bench.state() is state
    if state is State.BACKUP:
        assert why(bench) is Reason.GUARD_PENDING


def test_a_guards_time_is_whole_milliseconds() -> None:
    bench = Bench(policy=GUARDED, timing=replace(TIMING, dead_interval_ms=401)).as_backup()
    bench.run(250)
    assert bench.group.guards is not None
    assert bench.group.guards.expires_at == bench.group.guards.asked_at + 200 + GUARD_SLACK_MS


def test_a_guard_that_objects_is_asked_again_and_told_of_once() -> None:
    bench = Bench(policy=GUARDED).as_backup()
    bench.run(250)
    answer(bench, DENY)
    for _ in range(20):
        bench.run(400)
        answer(bench, DENY)
    assert bench.state() is State.BACKUP
    assert why(bench) is Reason.GUARD_DENIED
    assert len(bench.all(fx.AskGuard)) == 21
    assert [told.reason for told in bench.all(fx.Refrained)] == [Reason.GUARD_DENIED]
    bench.hear(A, State.MASTER, 1)
    bench.run(250)
    answer(bench, DENY)
    bench.run(200)
    assert len(bench.all(fx.Refrained)) == 2, "the master was there meanwhile"


def test_evidence_is_as_old_as_a_dead_interval_at_most() -> None:
    bench = Bench(policy=GUARDED).as_backup()
    bench.hear(C, State.BACKUP, 1, priority=999)
    bench.run(250, C)
    answer(bench, ALLOW)
    bench.run(400, C)
    assert why(bench) is Reason.OUTRANKED
    assert len(bench.all(fx.AskGuard)) == 2


def test_a_guard_without_an_opinion_holds_nothing_up() -> None:
    bench = Bench(policy=GUARDED).as_backup()
    bench.run(250)
    answer(bench, UNKNOWN)
    bench.run(149)
    assert bench.state() is State.CLAIMING


# -- deciding ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("silence", "state"), [(399, State.BACKUP), (400, State.CLAIMING), (401, State.CLAIMING)])
def test_a_silent_master_is_dead_after_the_dead_interval(silence: int, state: State) -> None:
    bench = Bench().as_backup()
    bench.run(silence - 1)
    assert bench.state() is state


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"state": State.FAULT, "eligible": False}, "master_fault"),
        ({"state": State.BACKUP, "leaving": Leaving.STOPPING}, "master_absent"),
        ({"state": State.BACKUP, "eligible": False}, "master_absent"),
        ({"state": State.BACKUP, "drained": True}, "master_absent"),
    ],
)
def test_a_master_that_steps_down_is_followed_at_once(said: dict[str, object], reason: str) -> None:
    bench = Bench().as_backup()
    bench.run(3_000, A)
    bench.hear(A, term=1, **said)  # type: ignore[arg-type]
    assert reasons(bench.all(fx.RoleChanged)) == [reason]


@pytest.mark.parametrize(("after", "claims"), [(2_999, False), (3_000, True)])
def test_so_is_one_that_starts_and_has_not_reached_the_api(after: int, *, claims: bool) -> None:
    bench = Bench()
    bench.read("eni-a")
    bench.hear(A, eligible=False)
    bench.run(after, A)
    assert (bench.state() is State.CLAIMING) is claims


@pytest.mark.parametrize("state", [State.INIT, State.BACKUP])
@pytest.mark.parametrize(("after", "claims"), [(2_999, False), (3_000, True)])
def test_a_holder_that_comes_back_is_given_restart_grace(state: State, after: int, *, claims: bool) -> None:
    bench = Bench().as_backup()
    bench.hear(A, state, 1)
    bench.run(after, A)
    assert (bench.state() is State.CLAIMING) is claims
    if not claims:
        assert why(bench) is Reason.HOLDER_ALIVE


@pytest.mark.parametrize(("after", "claims"), [(2_999, False), (3_000, True)])
def test_counted_from_when_it_is_back(after: int, *, claims: bool) -> None:
    bench = Bench(policy=GUARDED).as_backup()
    bench.run(250)
    answer(bench, DENY)
    for _ in range(20):
        bench.run(400)
        answer(bench, DENY)
    bench.hear(A, State.INIT, 1)
    bench.run(after, A)
    assert (bench.state() is State.CLAIMING) is claims


@pytest.mark.parametrize("state", [State.FAULT, State.BACKUP])
@pytest.mark.parametrize(("confirmed", "claims"), [(True, True), (False, False)])
def test_a_holders_word_that_may_be_a_recording_makes_nobody_claim(
    state: State, *, confirmed: bool, claims: bool
) -> None:
    bench = Bench()
    bench.read("eni-a")
    bench.hear(A, state, 1, eligible=False, drained=True, confirmed=confirmed)
    bench.run(1_000, A)
    assert (bench.state() is State.CLAIMING) is claims
    bench.run(3_000, A)
    assert bench.state() is State.CLAIMING, "but it holds nobody up for longer than a restart"


def test_and_a_guard_is_asked_about_it() -> None:
    bench = Bench(policy=GUARDED)
    bench.read("eni-a")
    bench.hear(A, State.FAULT, 1, eligible=False, confirmed=False)
    bench.run(500, A)
    for _ in range(50):
        bench.run(100, A)
        answer(bench, DENY)
    assert why(bench) is Reason.GUARD_DENIED


def test_a_daemon_away_is_given_restart_grace() -> None:
    bench = Bench().as_backup()
    for _ in range(29):
        bench.run(100)
        bench.give(ev.PeerRefused(A))
    assert why(bench) is Reason.MASTER_RESTARTING
    bench.run(98)
    assert bench.state() is State.BACKUP
    bench.run(2)
    assert reasons(bench.all(fx.RoleChanged)) == ["master_gone"]


def test_unless_a_guard_finds_the_service_gone() -> None:
    bench = Bench(policy=GUARDED).as_backup()
    bench.run(250)
    bench.give(ev.PeerRefused(A))
    answer(bench, ALLOW)
    bench.run(148)
    assert why(bench) is Reason.MASTER_RESTARTING
    bench.run(2)
    assert reasons(bench.all(fx.RoleChanged)) == ["master_gone"]


@pytest.mark.parametrize(("after", "claims"), [(799, False), (800, True)])
def test_the_second_in_rank_waits_for_the_first(after: int, *, claims: bool) -> None:
    bench = Bench().as_backup()
    bench.hear(C, State.BACKUP, 1, priority=999)
    bench.run(after - 1, C)
    assert (bench.state() is State.CLAIMING) is claims


def test_a_rival_that_claims_is_waited_for_until_it_fails_or_dies() -> None:
    bench = Bench().as_backup()
    bench.hear(C, State.CLAIMING, 2)
    bench.run(300, C)
    bench.run(100, C)
    assert why(bench) is Reason.OUTRANKED
    bench.run(250)
    assert why(bench) is Reason.OUTRANKED, "one lost datagram is no reason to compete"
    bench.hear(C, State.CLAIMING, 2, eligible=False)
    assert bench.state() is State.CLAIMING


@pytest.mark.parametrize("claimed_ms", [5_000, 5_100, 5_200, 5_300])
def test_after_a_rival_gave_up_the_turns_begin_anew(claimed_ms: int) -> None:
    bench = Bench().as_backup()
    bench.hear(C, State.CLAIMING, 2)
    bench.hear(A, State.BACKUP, 1, priority=100)
    bench.read(None)
    bench.run(claimed_ms, A, C)
    assert why(bench) is Reason.OUTRANKED
    bench.hear(C, State.BACKUP, 2, eligible=False)
    bench.read(None)
    bench.run(398, A, C)
    assert why(bench) is Reason.OUTRANKED, "a ranks before it"
    bench.run(3, A, C)
    assert bench.state() is State.CLAIMING


def test_and_so_does_the_time_of_who_has_it() -> None:
    bench = Bench().as_backup()
    bench.hear(A, State.BACKUP, 1, priority=100)
    bench.run(1_000, A)
    bench.hear(C, State.CLAIMING, 2)
    bench.run(5_000, A, C)
    bench.hear(C, State.BACKUP, 2, eligible=False)
    bench.read("eni-a")
    bench.run(TIMING.restart_grace_ms - 2, A, C)
    assert why(bench) is Reason.HOLDER_ALIVE
    bench.run(2 + TIMING.dead_interval_ms, A, C)
    assert bench.state() is State.CLAIMING


def test_and_when_a_stranger_gave_back_what_it_had() -> None:
    bench = Bench().as_backup()
    bench.hear(A, State.BACKUP, 1, priority=100)
    bench.read("eni-stranger")
    bench.run(5_000, A)
    assert why(bench) is Reason.HELD_BY_STRANGER
    bench.read(None)
    bench.run(398, A)
    assert why(bench) is Reason.OUTRANKED, "a ranks before it"
    bench.run(3, A)
    assert bench.state() is State.CLAIMING


def test_who_has_just_taken_a_part_is_waited_for_though_it_fails_at_the_rest() -> None:
    bench = Bench(policy=BOTH).as_loser()
    bench.hear(C, State.CLAIMING, 3, eligible=False)
    lost_at = bench.group.since
    bench.run(20_000, C)
    assert (bench.state(), why(bench)) == (State.BACKUP, Reason.OUTRANKED)
    bench.run(lost_at + RELEASE_MS - bench.now - 1, C)
    assert bench.state() is State.BACKUP
    bench.run(1_000, C)
    assert bench.state() is State.CLAIMING, "it has had its time"


def test_but_not_one_that_has_taken_nothing() -> None:
    bench = Bench(policy=BOTH).as_loser()
    bench.hear(C, State.BACKUP, 3, eligible=False)
    bench.hear(A, State.CLAIMING, 3, eligible=False)
    bench.run(10_000, A, C)
    assert bench.state() is State.CLAIMING


def test_nor_where_nothing_was_lost() -> None:
    bench = Bench(policy=BOTH).as_backup()
    bench.hear(C, State.CLAIMING, 2, eligible=False)
    bench.read("eni-c", "eni-a")
    bench.run(5_000, C)
    assert bench.state() is State.CLAIMING


def test_who_does_not_know_yet_how_its_service_is_claims_nothing() -> None:
    bench = Bench(policy=CHECKED).as_backup()
    bench.run(5_000)
    assert (bench.state(), why(bench)) == (State.BACKUP, Reason.CHECKS_PENDING)
    bench.check(CheckState.UP)
    assert bench.state() is State.CLAIMING


def test_a_rival_whose_daemon_dies_is_given_the_dead_interval() -> None:
    bench = Bench().as_backup()
    bench.hear(C, State.CLAIMING, 2)
    bench.run(400, C)
    bench.run(210)
    bench.give(ev.PeerRefused(C))
    bench.run(180)
    assert why(bench) is Reason.OUTRANKED, "its call may take effect yet, and its daemon come back"
    bench.run(20)
    assert bench.state() is State.CLAIMING


def test_the_holder_must_be_known_by_a_reading_of_the_present() -> None:
    bench = Bench().as_backup()
    bench.give(ev.LoopLagged(1_000))
    bench.run(399)
    assert why(bench) is Reason.DISTRUST
    bench.run(400)
    assert why(bench) is Reason.HOLDER_UNKNOWN
    bench.read("eni-a")
    assert bench.state() is State.CLAIMING


def test_what_a_stranger_has_is_left_to_people() -> None:
    bench = Bench()
    bench.read("eni-stranger")
    bench.run(60_000)
    assert bench.state() is State.BACKUP
    assert why(bench) is Reason.HELD_BY_STRANGER
    assert [effect.reason for effect in bench.all(fx.Refrained)] == [Reason.HELD_BY_STRANGER]
    bench.read(None)
    assert bench.state() is State.CLAIMING


def test_what_one_guard_finds_does_not_answer_what_another_objected_to() -> None:
    bench = Bench(policy=replace(POLICY, guards=("vip", "cloud"))).as_backup()
    bench.run(300)
    bench.read("eni-c")
    for guard, verdict in (("vip", DENY), ("cloud", ALLOW)):
        round_id = bench.all(fx.AskGuard)[-1].round_id
        bench.give(ev.GuardAnswered(GROUP, guard, round_id, verdict))
    assert bench.group.takeovers.forbid
    bench.give(ev.GuardAnswered(GROUP, "vip", round_id, ALLOW))
    assert not bench.group.takeovers.forbid


def test_a_restarted_ex_master_does_not_rob_the_node_that_took_over_unheard() -> None:
    bench = Bench().as_master()
    bench.now += 1
    bench.read("eni-a")
    bench.now += 1
    bench.read("eni-a")
    assert reasons(bench.all(fx.RoleChanged)) == ["deposed_by_cloud"]
    bench.now += 1
    bench.read("eni-a")
    assert why(bench) is Reason.HOLD_DOWN
    bench.run(30_000)
    bench.read("eni-a")
    bench.run(3_600)
    assert why(bench) is Reason.TAKEN_UNHEARD
    bench.read(None)
    assert bench.state() is State.CLAIMING


@pytest.mark.parametrize(("early", "state"), [(1, State.BACKUP), (0, State.CLAIMING)])
def test_hold_down_ends_by_itself(early: int, state: State) -> None:
    bench = Bench().as_claimant()
    bench.finish(CONFLICT)
    bench.hear(A, State.BACKUP, 1, eligible=False)
    bench.read("eni-c")
    bench.now += 1
    bench.read("eni-a")
    assert bench.state() is State.BACKUP
    bench.run(bench.group.hold_down.until - bench.now - early, A)
    assert bench.state() is state


def held_down() -> Bench:
    """Return a backup in a long hold-down that hears `a` and `c`; `a` has one address, and this node the other."""
    bench = Bench(policy=BOTH).as_backup()
    bench.run(3_000, A)
    bench.hear(C, eligible=False, priority=80)
    bench.group.hold_down.until = bench.now + 600_000
    bench.hear(A, State.BACKUP, 1, eligible=False, priority=100)
    bench.read("eni-a", "eni-b")
    bench.clear()
    return bench


def test_a_hold_down_does_not_keep_it_from_everybody() -> None:
    bench = held_down()
    bench.run(799, A, C)
    assert why(bench) is Reason.HOLD_DOWN, "a has the first turn, and all a moment to see who holds what"
    bench.run(1, A, C)
    assert bench.state() is State.CLAIMING


def test_nodes_of_one_priority_take_their_turns_in_order() -> None:
    bench = held_down()
    bench.hear(A, State.BACKUP, 1, eligible=False, priority=90)
    bench.run(799, A, C)
    assert why(bench) is Reason.HOLD_DOWN
    bench.run(1, A, C)
    assert bench.state() is State.CLAIMING


@pytest.mark.parametrize(
    "said", [{"eligible": True}, {"state": State.CLAIMING, "eligible": False}, {"state": State.MASTER}]
)
def test_but_where_somebody_else_may_take_it(said: dict[str, Any]) -> None:
    bench = held_down()
    bench.hear(C, **{"state": State.BACKUP, **said})
    bench.run(5_000, A, C)
    assert bench.state() is State.BACKUP


def test_nor_where_not_all_are_heard() -> None:
    bench = held_down()
    bench.run(5_000, A)
    assert why(bench) is Reason.HOLD_DOWN


def test_who_starts_at_fault_listens_before_it_claims() -> None:
    bench = Bench(policy=CHECKED)
    bench.check(CheckState.DOWN)
    bench.read(None)
    assert bench.state() is State.FAULT
    bench.check(CheckState.UP)
    assert why(bench) is Reason.STARTING
    bench.run(399)
    assert bench.state() is State.BACKUP
    bench.run(1)
    assert bench.state() is State.CLAIMING


def test_also_where_all_are_heard_and_nobody_has_spoken_of_the_group_yet() -> None:
    bench = Bench(policy=CHECKED)
    bench.check(CheckState.DOWN)
    for name in (A, C):
        bench.give(ev.AdvertReceived(Advert(name, DIGEST, 400, Leaving.NO, False, (B,), ()), "udp"))
    bench.check(CheckState.UP)
    bench.read(None)
    assert (bench.state(), why(bench)) == (State.BACKUP, Reason.STARTING)


def test_who_has_heard_all_of_them_waits_for_nobody() -> None:
    bench = Bench(policy=CHECKED)
    bench.check(CheckState.DOWN)
    bench.hear(A, eligible=False)
    bench.hear(C, eligible=False)
    bench.read(None)
    bench.check(CheckState.UP)
    assert bench.state() is State.CLAIMING


def test_of_several_holders_each_is_given_its_time() -> None:
    bench = Bench(policy=BOTH).as_backup()
    bench.hear(C, State.INIT, eligible=False)
    bench.read("eni-a", "eni-c")
    bench.run(2_000, C)
    assert why(bench) is Reason.HOLDER_ALIVE


def test_paused_is_paused() -> None:
    bench = Bench(memory=Memory(groups=(GroupMemory(GROUP, term=1, paused=True),))).as_backup()
    bench.run(5_000)
    assert why(bench) is Reason.PAUSED
    assert [told.reason for told in bench.all(fx.Refrained)] == [Reason.PAUSED]


def test_who_holds_everything_goes_on_as_master_even_while_paused() -> None:
    bench = Bench(memory=Memory(groups=(GroupMemory(GROUP, term=1, paused=True),)))
    bench.run(500)
    assert bench.state() is State.BACKUP, "the API was slow after a restart"
    bench.read("eni-b")
    bench.arm()
    assert bench.state() is State.MASTER
    assert bench.moves == []


def test_what_is_offered_is_taken_even_while_paused() -> None:
    bench = Bench(memory=Memory(groups=(GroupMemory(GROUP, term=1, paused=True),))).as_backup()
    bench.hear(A, State.RELEASING, 1, successor=B)
    assert reasons(bench.all(fx.RoleChanged)) == ["handed_over"]


@pytest.mark.parametrize("said", [{"confirmed": False}, {"successor": C}, {"state": State.MASTER}])
def test_only_a_confirmed_offer_to_this_node_is_one(said: dict[str, object]) -> None:
    bench = Bench()
    bench.read("eni-a")
    facts: dict[str, object] = {"state": State.RELEASING, "term": 1, "successor": B, **said}
    bench.hear(A, **facts)  # type: ignore[arg-type]
    assert bench.state() is State.BACKUP


@pytest.mark.parametrize(("late_ms", "state"), [(1, State.BACKUP), (0, State.BACKUP), (-1, State.CLAIMING)])
def test_an_offer_held_back_until_its_giver_may_have_taken_this_node_for_silent_is_none(
    late_ms: int, state: State
) -> None:
    bench = Bench().as_backup()
    said_after = bench.now - TIMING.dead_interval_ms - late_ms
    bench.hear(A, State.RELEASING, 1, successor=B, said_after=said_after)
    assert bench.state() is state
    bench.hear(A, State.RELEASING, 1, successor=B, said_after=bench.now - 1)
    bench.run(TIMING.interval_ms)
    assert bench.state() is State.CLAIMING


def test_it_claims_what_the_dead_master_held_and_nothing_else() -> None:
    bench = Bench().as_claimant()
    bench.finish(APPLIED)
    bench.read("eni-b")
    assert bench.state() is State.MASTER
    assert [move.expected for move in bench.moves] == ["eni-a"]


SETTLING = replace(POLICY, startup_delay_ms=5_000)


def test_who_has_just_started_takes_nothing_over_for_its_startup_delay() -> None:
    bench = Bench(policy=SETTLING)
    bench.read(None)
    bench.run(4_999)
    assert (bench.state(), why(bench)) == (State.BACKUP, Reason.STARTING)
    bench.run(1)
    assert bench.state() is State.CLAIMING


def test_a_startup_delay_keeps_nobody_from_what_is_here_already() -> None:
    bench = Bench(policy=SETTLING)
    bench.read("eni-b")
    bench.run(TIMING.dead_interval_ms)
    assert bench.state() is State.MASTER


def test_nobody_hands_over_to_who_waits_for_its_startup_delay() -> None:
    bench = Bench(policy=SETTLING).as_backup()
    assert not eligible(bench.group)
    bench.run(5_000, A)
    bench.read("eni-a")
    assert eligible(bench.group)
