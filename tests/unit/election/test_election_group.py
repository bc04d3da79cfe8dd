from __future__ import annotations

from dataclasses import replace

import pytest

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.answering import RETRY_MS as GUEST_RETRY_MS
from hafailover.election.group import REVIEWS, REVIEWS_LIMIT
from hafailover.election.reasons import Reason
from hafailover.election.status import status
from hafailover.election.values import (
    CheckState,
    GroupMemory,
    GuardVerdict,
    Leaving,
    Member,
    Memory,
    State,
    Wish,
)
from hafailover.election.wishes import WISH_MS
from tests.unit.election.bench import (
    APPLIED,
    BOTH,
    ENI,
    GROUP,
    MEMBERS,
    OTHER,
    POLICY,
    THROTTLED,
    UNKNOWN,
    VIP,
    A,
    B,
    Bench,
    C,
    reasons,
)

CHECKED = replace(POLICY, checks=(("web", 0),))


def test_each_state_has_its_review() -> None:
    assert set(REVIEWS) == set(State)


def test_only_addresses_can_be_on_the_guest_before_the_cloud_moves_them() -> None:
    bench = Bench(policy=replace(POLICY, resources=(VIP, ENI)))
    assert bench.group.guest.ahead == (VIP,)
    assert bench.group.guest.resources == (VIP, ENI)


def test_an_event_that_concerns_the_whole_node_adds_nothing_to_a_group() -> None:
    bench = Bench().as_backup()
    bench.group.absorb(ev.LoopLagged(5), bench.now)
    assert bench.group.drain() == ()


def test_the_end_of_a_move_without_a_claim_is_looked_into() -> None:
    bench = Bench().as_claimant()
    move = bench.all(fx.Move)[-1]
    bench.hear(C, State.MASTER, 9)
    bench.finish(UNKNOWN)
    bench.read("eni-c")
    bench.now += 1
    bench.clear()
    bench.give(ev.MoveFinished(GROUP, move.move_id, VIP, APPLIED))
    assert bench.all(fx.ReadHolders)


def test_an_address_that_somebody_took_off_a_master_is_put_back() -> None:
    bench = Bench().as_master()
    bench.give(ev.AddressVanished(GROUP, VIP))
    assert bench.all(fx.Arm) == [fx.Arm(GROUP, VIP)]


def test_also_during_a_claim_but_not_on_a_backup_nor_what_is_not_ours() -> None:
    bench = Bench().as_claimant()
    bench.clear()
    bench.give(ev.AddressVanished(GROUP, VIP))
    assert bench.all(fx.Arm)
    bench.clear()
    bench.give(ev.AddressVanished(GROUP, OTHER))
    assert not bench.all(fx.Arm)
    backup = Bench()
    backup.clear()
    backup.give(ev.AddressVanished(GROUP, VIP))
    assert not backup.all(fx.Arm), "it may be on the guest of a node that does not know yet"


def test_an_address_that_was_let_go_while_the_guest_armed_it_is_taken_off_again() -> None:
    bench = Bench().as_backup()
    bench.run(400)
    bench.hear(A, State.MASTER, 1)
    assert bench.state() is State.BACKUP, "the claim is void"
    assert bench.all(fx.StopAnswering)
    bench.clear()
    bench.arm()
    assert bench.all(fx.StopAnswering) == [fx.StopAnswering(GROUP, VIP)]


def test_an_answer_to_an_earlier_round_of_guards_does_not_count() -> None:
    bench = Bench(policy=replace(POLICY, guards=("vip",))).as_backup()
    bench.give(ev.GuardAnswered(GROUP, "vip", 1, GuardVerdict.DENY))
    bench.run(250)
    (asked,) = bench.all(fx.AskGuard)
    bench.give(ev.GuardAnswered(GROUP, "vip", asked.round_id - 1, GuardVerdict.DENY))
    assert bench.group.guards is not None
    before = bench.group.guards.denied_by
    bench.give(ev.GuardAnswered(GROUP, "vip", asked.round_id, GuardVerdict.DENY))
    assert (before, bench.group.guards.denied_by) == ((), ("vip",))


@pytest.mark.parametrize(
    ("after", "looks"), [(GUEST_RETRY_MS - 1, 0), (GUEST_RETRY_MS, 1), (GUEST_RETRY_MS + 1, 1)]
)
def test_a_guest_that_failed_is_looked_at_again(after: int, looks: int) -> None:
    bench = Bench().as_claimant()
    bench.arm(VIP, "no such interface")
    failed_at = bench.now
    bench.finish(THROTTLED)
    assert bench.state() is State.FAULT
    bench.hear(A, State.MASTER, 2)
    bench.run(failed_at + after - bench.now, A)
    assert bench.all(fx.ProbeGuest) == [fx.ProbeGuest(GROUP)] * looks
    assert bench.state() is State.FAULT


def test_and_given_another_chance_where_nothing_speaks_against_it() -> None:
    bench = Bench().as_backup()
    bench.arm(VIP, "no such interface")
    bench.run(GUEST_RETRY_MS, A)
    bench.give(ev.GuestProbed(GROUP, "no such interface"))
    bench.run(GUEST_RETRY_MS - 1, A)
    assert bench.state() is State.FAULT
    assert len(bench.all(fx.ProbeGuest)) == 1
    bench.run(1, A)
    bench.give(ev.GuestProbed(GROUP))
    assert bench.state() is State.BACKUP


def test_but_ever_more_seldom_until_it_works() -> None:
    bench = Bench().as_master()
    waits = []
    for _ in range(9):
        failed_at = bench.now
        bench.arm(VIP, "no such interface")
        bench.arm(VIP, "no such interface")
        bench.clear()
        while not bench.all(fx.ProbeGuest):
            bench.run(1_000)
        bench.give(ev.GuestProbed(GROUP))
        waits.append(bench.now - failed_at)
    assert waits == [10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 600_000, 600_000, 600_000]
    bench.arm()
    bench.arm(VIP, "no such interface")
    bench.clear()
    bench.run(GUEST_RETRY_MS)
    assert len(bench.all(fx.ProbeGuest)) == 1


def test_a_guest_that_answers_again_is_no_fault() -> None:
    bench = Bench().as_master()
    bench.arm(VIP, "no such interface")
    assert bench.state() is State.FAULT
    bench.arm(VIP)
    assert bench.group.guest.error == ""
    assert bench.state() is State.CLAIMING, "the cloud names this node"


def test_a_review_that_never_rests_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench().as_backup()

    def flip(group: object, now: int) -> None:
        del group
        state = State.FAULT if bench.state() is State.BACKUP else State.BACKUP
        bench.group.become(state, Reason.CHECK_FAILED, now)

    monkeypatch.setitem(REVIEWS, State.BACKUP, flip)
    monkeypatch.setitem(REVIEWS, State.FAULT, flip)
    bench.group.review(bench.now)
    assert len([each for each in bench.group.drain() if isinstance(each, fx.RoleChanged)]) == REVIEWS_LIMIT


@pytest.mark.parametrize(("after", "there"), [(WISH_MS - 1, True), (WISH_MS, False), (WISH_MS + 1, False)])
def test_a_wish_lapses(after: int, *, there: bool) -> None:
    bench = Bench().as_backup()
    bench.give(ev.FailoverAsked(1, GROUP, B))
    assert bench.group.wish is not None
    bench.run(after, A)
    assert (bench.group.wish is not None) is there


def test_hooks_follow_the_roles() -> None:
    bench = Bench(policy=CHECKED)
    bench.check(CheckState.UP)
    bench.as_master()
    bench.check(CheckState.DOWN)
    bench.check(CheckState.UP)
    bench.arm()
    assert [hook.hook for hook in bench.all(fx.RunHook)] == ["fault", "backup", "master"]


def test_taking_a_hand_over_back_runs_no_hook() -> None:
    bench = Bench().as_master()
    bench.hear(A)
    bench.give(ev.FailoverAsked(1, GROUP, A))
    bench.clear()
    bench.run(1_200)
    assert reasons(bench.all(fx.RoleChanged)) == ["handover_failed"]
    assert not bench.all(fx.RunHook)


def test_arming_twice_lists_an_address_once() -> None:
    bench = Bench().as_master()
    bench.group.guest.arm()
    assert bench.group.guest.carries == [VIP]


@pytest.mark.parametrize("begin", ["as_master", "as_claimant", "as_backup"])
def test_abandoning_leaves_nothing(begin: str) -> None:
    bench: Bench = getattr(Bench(), begin)()
    bench.group.abandon(bench.now)
    assert bench.group.guest.carries == []
    assert bench.state() is State.BACKUP
    hooks = [each for each in bench.group.drain() if isinstance(each, fx.RunHook)]
    ran = ("stop",) if begin == "as_backup" else ("backup", "stop")
    assert hooks == [fx.RunHook(GROUP, hook) for hook in ran]


# -- views -------------------------------------------------------------------------------------------------------


def test_the_highest_term_is_the_master_that_counts() -> None:
    bench = Bench()
    assert bench.group.heard_master(bench.now) is None
    assert bench.group.sure_master(bench.now) is None
    bench.hear(A, State.MASTER, 3)
    bench.hear(C, State.RELEASING, 4, confirmed=False)
    heard, sure = bench.group.heard_master(bench.now), bench.group.sure_master(bench.now)
    assert heard is not None
    assert heard.peer.name == C
    assert sure is not None
    assert sure.peer.name == A
    assert bench.group.highest_told_term == 4


def test_candidates_are_alive_confirmed_and_willing() -> None:
    bench = Bench()
    bench.hear(A, eligible=False)
    bench.hear(C, confirmed=False)
    assert bench.group.candidates(bench.now) == ()
    bench.hear(A, priority=7)
    bench.hear(C)
    assert [(each.name, each.priority) for each in bench.group.candidates(bench.now)] == [(A, 7), (C, 0)]
    assert bench.group.candidates(bench.now + 200) == ()


def test_a_reading_counts_when_it_is_whole_and_fresh() -> None:
    bench = Bench(policy=BOTH)
    assert bench.group.sightings(0) is None
    bench.read("eni-a", "eni-b")
    seen = bench.group.sightings(bench.now)
    assert seen is not None
    assert [bench.group.mine(each) for each in seen] == [False, True]
    assert not bench.group.mine(replace(seen[1], settled=False))
    assert bench.group.sightings(bench.now + 1) is None


def eligible(bench: Bench) -> bool:
    return bench.group.advert().eligible


def test_who_could_take_over_says_so() -> None:
    bench = Bench(policy=CHECKED)
    assert not eligible(bench), "the cloud has not answered yet"
    bench.read("eni-a")
    assert not eligible(bench), "the check has not answered yet"
    bench.check(CheckState.UP)
    assert bench.state() is State.INIT
    assert eligible(bench)
    bench.check(CheckState.DOWN)
    assert not eligible(bench)


@pytest.mark.parametrize("begin", ["fail_read", "drain", "hold_down", "leave"])
def test_who_could_not_does_not(begin: str) -> None:
    bench = Bench().as_backup()
    assert eligible(bench)
    if begin == "fail_read":
        bench.fail_read()
    elif begin == "drain":
        bench.give(ev.DrainAsked(1, drained=True))
    elif begin == "leave":
        bench.give(ev.StopAsked(restarting=True))
    else:
        bench.group.hold_down.until = bench.now + 1
    assert not eligible(bench)


@pytest.mark.parametrize(("early", "willing"), [(1, False), (0, True)])
def test_hold_down_ends_at_its_instant(early: int, *, willing: bool) -> None:
    bench = Bench().as_backup()
    bench.group.hold_down.until = bench.now + early
    assert eligible(bench) is willing


def test_a_witness_never_takes_part() -> None:
    witness = Member(B, 1, 90, "eni-b", "ins-b", witness=True)
    bench = Bench(members=(MEMBERS[0], witness, MEMBERS[2])).as_backup()
    assert not eligible(bench)
    bench.run(2_000)
    assert bench.state() is State.BACKUP
    assert bench.group.verdict_reason is Reason.WITNESS


def test_a_claimant_whose_calls_fail_lets_others_have_their_turn() -> None:
    bench = Bench().as_claimant()
    assert eligible(bench)
    bench.finish(UNKNOWN)
    assert eligible(bench)
    bench.fail_read()
    assert not eligible(bench)


def test_terms_and_pauses_are_remembered() -> None:
    memory = Memory(groups=(GroupMemory(GROUP, term=12, paused=True),))
    bench = Bench(memory=memory)
    assert (bench.group.term, bench.group.pause.holds(bench.now)) == (12, True)


def test_a_successor_and_a_wish_are_told() -> None:
    bench = Bench().as_master()
    bench.hear(C)
    bench.give(ev.FailoverAsked(1, GROUP, C))
    assert bench.group.advert().successor == C
    backup = Bench().as_backup()
    backup.give(ev.FailoverAsked(1, GROUP, None))
    assert backup.group.advert().wish == Wish(backup.now, None)


def test_a_wish_to_an_earlier_master_is_not_repeated_to_the_next() -> None:
    bench = Bench().as_backup()
    bench.hear(C)
    bench.give(ev.FailoverAsked(2, GROUP, C))
    assert bench.group.wish is not None
    bench.hear(A, State.BACKUP, 1)
    bench.hear(C, State.MASTER, 2)
    assert bench.group.wish is None


def test_a_wish_heard_as_a_backup_is_not_carried_out_as_a_master() -> None:
    bench = Bench().as_backup()
    bench.hear(C, wish=Wish(5, None))
    bench.hear(A, State.RELEASING, 1, successor=B)
    bench.arm()
    bench.finish(APPLIED)
    bench.read("eni-b")
    assert bench.state() is State.MASTER
    bench.hear(C, wish=Wish(5, None))
    assert bench.state() is State.MASTER
    bench.hear(C, wish=Wish(6, None))
    assert bench.state() is State.RELEASING


def test_a_leaving_peer_is_no_candidate() -> None:
    bench = Bench()
    bench.hear(A, leaving=Leaving.STOPPING)
    assert bench.group.candidates(bench.now) == ()


def test_a_loss_lengthens_the_next_hold_down() -> None:
    bench = Bench()
    lengths = []
    for losses in range(4):
        bench.group.hold_down.losses = losses
        lengths.append(bench.group.hold_down.length_ms)
    assert lengths == [30_000, 30_000, 60_000, 120_000]


def test_a_group_may_rank_the_nodes_otherwise() -> None:
    bench = Bench(policy=replace(POLICY, priorities=((A, 7), (B, 200)), checks=(("web", -5),)))
    bench.check(CheckState.DOWN)
    assert bench.group.priority == 195
    assert bench.group.advert().priority == 195
    assert status(bench.node, bench.now).groups[0].priority == 200
