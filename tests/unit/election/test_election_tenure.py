"""MASTER and RELEASING: how mastership is kept, given and lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.reasons import Reason
from hafailover.election.tenure import RELEASE_RETRY_MS, RIVAL_READ_MS
from hafailover.election.values import (
    CheckState,
    GroupMemory,
    Handover,
    Leaving,
    Memory,
    NodeName,
    State,
    Wish,
)
from tests.unit.election.bench import APPLIED, BOTH, GROUP, MEMBERS, POLICY, VIP, A, B, Bench, C, reasons

CHECKED = replace(POLICY, checks=(("web", 0),))
PREEMPT = replace(POLICY, preempt=True, preempt_delay_ms=5_000)
DEMOTE = replace(POLICY, demote_when_isolated=True, isolation_timeout_ms=10_000)


def ask(bench: Bench, target: NodeName | None = None) -> Reason:
    bench.give(ev.FailoverAsked(1, GROUP, target))
    answer = bench.all(fx.Answer)[-1]
    assert answer.request_id == 1
    assert answer.accepted is (answer.reason is Reason.ACCEPTED)
    return answer.reason


def changes(bench: Bench) -> list[str]:
    return reasons(bench.all(fx.RoleChanged))


def later_read(bench: Bench, *holders: str | None) -> None:
    bench.now += 1
    bench.read(*holders)


# -- losing it ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("term", "state"), [(0, State.MASTER), (1, State.MASTER), (2, State.BACKUP)])
def test_a_newer_master_deposes(term: int, state: State) -> None:
    bench = Bench().as_master()
    bench.hear(A, State.MASTER, term)
    assert bench.state() is state
    if state is State.BACKUP:
        assert changes(bench) == ["deposed_by_peer"]
        assert bench.all(fx.StopAnswering) == [fx.StopAnswering(GROUP, VIP)]
        assert bench.group.term == 2
        assert bench.group.hold_down.until <= bench.now


def test_of_two_others_the_newer_one_counts() -> None:
    bench = Bench().as_master()
    bench.hear(A, State.MASTER, 0)
    bench.hear(C, State.MASTER, 9)
    assert (bench.state(), bench.group.term) == (State.BACKUP, 9)


def test_who_is_deposed_carries_out_no_wish() -> None:
    bench = Bench().as_master()
    bench.hear(C)
    bench.hear(A, State.MASTER, 9, wish=Wish(1, C))
    assert (bench.state(), changes(bench)) == (State.BACKUP, ["deposed_by_peer"])


def test_an_unconfirmed_one_does_not_but_is_looked_into() -> None:
    bench = Bench().as_master()
    bench.run(RIVAL_READ_MS)
    bench.clear()
    bench.hear(A, State.MASTER, 9, confirmed=False)
    assert bench.state() is State.MASTER
    assert bench.all(fx.ReadHolders)


def test_nor_does_it_hide_a_confirmed_one() -> None:
    bench = Bench().as_master()
    bench.hear(C, State.MASTER, 9, confirmed=False)
    bench.hear(A, State.MASTER, 5)
    assert changes(bench) == ["deposed_by_peer"]


@pytest.mark.parametrize(("age", "reads"), [(RIVAL_READ_MS - 1, 0), (RIVAL_READ_MS, 1), (RIVAL_READ_MS + 1, 1)])
def test_of_two_masters_of_one_term_the_cloud_says_which(age: int, reads: int) -> None:
    bench = Bench().as_master()
    bench.hear(A, State.MASTER, 1)
    bench.run(age, A)
    assert len(bench.all(fx.ReadHolders)) == reads


def test_a_rival_is_looked_into_before_the_first_answer_too() -> None:
    bench = Bench().as_master()
    bench.node.context.holders._asked_at = None
    bench.hear(A, State.MASTER, 1)
    assert bench.all(fx.ReadHolders)


def test_a_peer_that_asks_the_cloud_is_watched() -> None:
    bench = Bench().as_master()
    bench.now += 1
    bench.hear(A, State.CLAIMING, 2)
    assert bench.all(fx.ReadHolders)
    assert bench.node.context.watch_until == bench.now + 30_000
    bench.run(100, A)
    assert bench.node.context.watch_until == bench.now + 29_900


def test_the_cloud_deposes_by_two_readings_not_by_one() -> None:
    bench = Bench().as_master()
    later_read(bench, "eni-a")
    assert bench.state() is State.MASTER
    assert bench.all(fx.ReadHolders), "the second one is asked at once"
    later_read(bench, "eni-b")
    later_read(bench, "eni-a")
    assert bench.state() is State.MASTER, "they must be in a row"
    later_read(bench, "eni-a")
    assert changes(bench) == ["deposed_by_cloud"]
    assert bench.group.hold_down.until == bench.now + 30_000


def test_the_same_reading_is_not_a_second_one() -> None:
    bench = Bench().as_master()
    later_read(bench, "eni-a")
    bench.hear(A)
    bench.hear(C)
    assert bench.state() is State.MASTER


def test_readings_from_before_its_mastership_do_not_count() -> None:
    bench = Bench().as_claimant()
    bench.finish(APPLIED)
    bench.read("eni-b")
    bench.read("eni-a", asked_at=bench.now - 1)
    bench.read("eni-a", asked_at=bench.now - 1)
    assert bench.state() is State.MASTER


def test_what_the_cloud_is_moving_contradicts_nobody() -> None:
    bench = Bench().as_master()
    bench.now += 1
    bench.read("eni-a", settled=False)
    bench.now += 1
    bench.read("eni-a", settled=False)
    assert bench.state() is State.MASTER


def test_what_nobody_holds_is_put_back() -> None:
    bench = Bench(members=MEMBERS[:2]).as_master()
    later_read(bench, None)
    later_read(bench, None)
    assert changes(bench) == ["address_lost"]
    assert bench.state() is State.CLAIMING
    assert bench.group.guest.carries == [VIP]
    bench.arm()
    assert bench.moves == [fx.Move(GROUP, bench.moves[0].move_id, VIP, None, "eni-b")]


def test_but_not_what_somebody_else_holds_in_part() -> None:
    bench = Bench(policy=BOTH).as_master()
    later_read(bench, None, "eni-a")
    later_read(bench, None, "eni-a")
    assert changes(bench) == ["deposed_by_cloud"]


def test_a_fault_ends_mastership() -> None:
    bench = Bench(policy=CHECKED).as_master()
    bench.check(CheckState.DOWN)
    assert changes(bench) == ["check_failed"]
    assert not bench.all(fx.StopAnswering)


def test_so_does_a_guest_that_fails() -> None:
    bench = Bench().as_master()
    bench.arm(VIP, "no such interface")
    assert changes(bench) == ["guest_failed"]


@pytest.mark.parametrize(
    ("after", "state"), [(9_999, State.MASTER), (10_000, State.BACKUP), (10_001, State.BACKUP)]
)
def test_an_isolated_master_steps_down_after_its_timeout(after: int, state: State) -> None:
    bench = Bench(policy=DEMOTE).as_master()
    bench.fail_read()
    bench.run(after)
    assert bench.state() is state
    if state is State.BACKUP:
        assert changes(bench) == ["isolated"]
        bench.run(60_000)
        assert bench.state() is State.BACKUP, "what it read before says nothing now"
        bench.read("eni-b", asked_at=bench.now)
        assert changes(bench)[1:] == ["held"]


@pytest.mark.parametrize("contact", ["peer", "cloud", "not asked to"])
def test_who_reaches_somebody_is_not_isolated(contact: str) -> None:
    bench = Bench(policy=POLICY if contact == "not asked to" else DEMOTE).as_master()
    bench.fail_read()
    bench.run(9_000)
    if contact == "peer":
        bench.hear(A)
    elif contact == "cloud":
        bench.read("eni-b")
        bench.fail_read()
    bench.run(9_999)
    assert bench.state() is State.MASTER


# -- giving it ---------------------------------------------------------------------------------------------------


def release(bench: Bench, to: NodeName = A) -> Bench:
    bench.hear(A)
    bench.hear(C)
    assert ask(bench, to) is Reason.ACCEPTED
    bench.clear()
    return bench


def test_a_stop_with_nobody_to_hand_over_to_steps_down_at_once() -> None:
    bench = Bench().as_master()
    bench.give(ev.StopAsked(restarting=False))
    assert changes(bench) == ["stopping"]
    assert bench.group.guest.carries == []
    assert bench.all(fx.Leave)


def test_a_stop_hands_over_to_the_best() -> None:
    bench = Bench().as_master()
    bench.hear(A, priority=5)
    bench.hear(C, priority=50)
    bench.give(ev.StopAsked(restarting=False))
    assert changes(bench) == ["stopping"]
    assert bench.group.advert().successor == C
    assert not bench.all(fx.Leave)
    assert bench.all(fx.SendAdverts)[-1].advert.leaving is Leaving.NO


def test_of_two_of_one_priority_the_first_in_the_file_takes_over() -> None:
    bench = Bench().as_master()
    bench.hear(C, priority=90)
    bench.hear(A, priority=90)
    bench.give(ev.StopAsked(restarting=False))
    assert bench.all(fx.SendAdverts)[-1].advert.groups[0].successor == A


def test_a_restart_hands_nothing_over() -> None:
    bench = Bench().as_master()
    bench.hear(A)
    bench.give(ev.StopAsked(restarting=True))
    assert bench.state() is State.MASTER
    assert bench.all(fx.Leave)
    assert bench.group.guest.carries == [VIP]


def test_a_drained_master_waits_for_somebody_to_take_over() -> None:
    bench = Bench().as_master()
    bench.give(ev.DrainAsked(1, drained=True))
    assert bench.state() is State.MASTER
    bench.hear(A)
    assert changes(bench) == ["drained"]


@pytest.mark.parametrize(("after", "state"), [(4_999, State.MASTER), (5_000, State.RELEASING)])
def test_a_better_node_takes_over_after_the_delay(after: int, state: State) -> None:
    bench = Bench(policy=PREEMPT).as_master()
    bench.hear(A, priority=100)
    bench.run(after, A)
    assert bench.state() is state
    if state is State.RELEASING:
        assert changes(bench) == ["preempted"]


@pytest.mark.parametrize("interruption", ["ineligible", "lower", "gone"])
def test_the_delay_begins_anew_when_the_better_node_is_gone_for_a_moment(interruption: str) -> None:
    bench = Bench(policy=PREEMPT).as_master()
    bench.hear(A, priority=100)
    bench.run(4_000, A)
    if interruption == "ineligible":
        bench.hear(A, priority=100, eligible=False)
    elif interruption == "lower":
        bench.hear(A, priority=80)
    else:
        bench.run(200)
    bench.hear(A, priority=100)
    bench.run(4_999, A)
    assert bench.state() is State.MASTER


def test_who_has_slept_gives_nothing_by_what_it_knew_before() -> None:
    bench = Bench(policy=PREEMPT).as_master()
    bench.hear(A, priority=100)
    bench.run(4_900, A)
    bench.now += 10_000
    bench.repeat(A)
    bench.run(5_000, A)
    assert bench.state() is State.MASTER
    bench.run(500, A)
    assert bench.state() is State.RELEASING


@pytest.mark.parametrize("kept", ["not preempting", "paused", "lower", "equal"])
def test_a_better_node_waits_where_it_must(kept: str) -> None:
    memory = Memory(groups=(GroupMemory(GROUP, term=1, paused=kept == "paused"),))
    policy = POLICY if kept == "not preempting" else PREEMPT
    bench = Bench(policy=policy, memory=memory).as_master()
    bench.hear(A, priority={"lower": 89, "equal": 90}.get(kept, 100))
    bench.run(20_000, A)
    assert bench.state() is State.MASTER


def test_the_successor_that_is_master_ends_the_hand_over() -> None:
    bench = release(Bench().as_master())
    bench.hear(A, State.CLAIMING, 2)
    assert bench.state() is State.RELEASING
    assert bench.group.guest.carries == [VIP]
    bench.hear(A, State.MASTER, 2)
    assert changes(bench) == ["handover_done"]
    assert bench.group.guest.carries == []


def test_nor_what_is_nobodys_on_its_way_there() -> None:
    bench = release(Bench().as_master())
    bench.hear(A, State.CLAIMING, 2)
    for _ in range(3):
        later_read(bench, None)
    assert bench.state() is State.RELEASING, "the successor has released it and not yet taken it"
    bench.run(30_000, A)
    later_read(bench, None)
    later_read(bench, None)
    assert changes(bench) == ["address_lost"]


@pytest.mark.parametrize("handover", list(Handover))
def test_what_the_successor_got_before_it_fell_silent_is_not_taken_back_unasked(handover: Handover) -> None:
    bench = Bench(policy=replace(POLICY, handover=handover)).as_master()
    bench.hear(A)
    ask(bench, A)
    if handover is Handover.STRICT:
        bench.end_hook()
    bench.hear(A, State.CLAIMING, 2)
    bench.run(300)
    bench.clear()
    later_read(bench, "eni-a")
    bench.run(400)
    assert bench.state() is State.RELEASING, "one reading may be of another time"
    later_read(bench, "eni-a")
    assert changes(bench) == ["deposed_by_cloud"]
    assert bench.all(fx.Arm) == []
    assert bench.group.guest.carries == []
    assert bench.group.hold_down.until <= bench.now, "it has given it, and lost nothing"


def test_of_two_masters_of_what_nobody_has_none_claims() -> None:
    bench = Bench().as_master()
    bench.hear(A, State.MASTER, 1)
    later_read(bench, None)
    later_read(bench, None)
    assert changes(bench) == ["deposed_by_cloud"]
    kinds = [type(effect) for effect in bench.told if isinstance(effect, fx.StopAnswering | fx.RoleChanged)]
    assert kinds == [fx.StopAnswering, fx.RoleChanged]


def test_what_the_successor_has_already_does_not_depose() -> None:
    bench = release(Bench(policy=BOTH).as_master())
    bench.hear(A, State.CLAIMING, 2)
    for _ in range(3):
        later_read(bench, "eni-a", "eni-b")
    assert bench.state() is State.RELEASING
    for _ in range(2):
        later_read(bench, "eni-c", "eni-b")
    assert changes(bench) == ["deposed_by_cloud"]


@pytest.mark.parametrize(("after", "state"), [(1_199, State.RELEASING), (1_200, State.MASTER)])
def test_a_successor_that_does_not_begin_is_not_waited_for(after: int, state: State) -> None:
    bench = release(Bench().as_master())
    bench.run(after, A)
    assert bench.state() is state
    if state is State.MASTER:
        assert changes(bench) == ["handover_failed"]
        assert bench.node.context.watch_until > bench.now


def test_one_that_serves_at_the_last_moment_is_not_taken_back_from() -> None:
    bench = release(Bench().as_master())
    bench.run(1_199, A)
    bench.read("eni-a")
    bench.now += 1
    bench.hear(A, State.MASTER, bench.group.term)
    assert (bench.state(), changes(bench)) == (State.BACKUP, ["handover_done"])


@pytest.mark.parametrize(("after", "state"), [(29_999, State.RELEASING), (30_000, State.MASTER)])
def test_one_that_began_is_given_longer(after: int, state: State) -> None:
    bench = release(Bench().as_master())
    bench.hear(A, State.CLAIMING, 2)
    bench.run(after, A)
    assert bench.state() is state


@pytest.mark.parametrize(("silence", "state"), [(399, State.RELEASING), (400, State.MASTER)])
def test_a_successor_that_dies_is_not_waited_for_but_a_late_one_is(silence: int, state: State) -> None:
    bench = release(Bench().as_master())
    bench.run(silence)
    assert bench.state() is state


def test_nor_is_one_whose_host_refuses() -> None:
    bench = release(Bench().as_master())
    bench.run(250)
    bench.give(ev.PeerRefused(A))
    assert changes(bench) == ["handover_failed"]


@pytest.mark.parametrize(
    ("said", "holder", "done"),
    [
        ({"state": State.MASTER, "term": 1}, "eni-a", True),
        ({"state": State.MASTER, "term": 1, "confirmed": False}, "eni-a", False),
        ({"state": State.BACKUP, "term": 1}, "eni-a", False),
        ({"state": State.MASTER, "term": 1}, "eni-b", False),
    ],
    ids=["master-and-holder", "perhaps-a-recording", "no-master", "no-holder"],
)
def test_a_successor_to_which_it_was_moved_by_hand_is_one_too(
    said: dict[str, Any], holder: str, *, done: bool
) -> None:
    bench = release(Bench().as_master())
    if not said.get("confirmed", True):
        bench.run(400, C)  # what A said before was sure
    bench.hear(A, **said)
    bench.now += 1
    bench.read(holder)
    assert ("handover_done" in changes(bench)) is done


def test_a_stop_goes_without_the_successor_that_failed() -> None:
    bench = Bench().as_master()
    bench.hear(A)
    bench.give(ev.StopAsked(restarting=False))
    bench.run(400)
    assert changes(bench) == ["stopping", "stopping"]
    assert bench.all(fx.Leave)


def test_a_fault_while_handing_over() -> None:
    bench = Bench(policy=CHECKED).as_master()
    release(bench)
    bench.check(CheckState.DOWN)
    assert changes(bench) == ["check_failed"]


@pytest.mark.parametrize(("after", "again"), [(RELEASE_RETRY_MS - 1, False), (RELEASE_RETRY_MS, True)])
def test_a_drain_tries_again_after_a_hand_over_that_failed(after: int, *, again: bool) -> None:
    bench = Bench().as_master()
    bench.give(ev.DrainAsked(1, drained=True))
    bench.hear(A)
    bench.run(1_200, A)
    assert changes(bench) == ["drained", "handover_failed"]
    bench.run(after, A)
    assert (bench.state() is State.RELEASING) is again


# -- being asked for it ------------------------------------------------------------------------------------------


def test_a_master_answers_the_operator() -> None:
    bench = Bench().as_master()
    assert ask(bench) is Reason.NO_CANDIDATE
    assert ask(bench, B) is Reason.ALREADY_MASTER
    assert ask(bench, NodeName("x")) is Reason.UNKNOWN_NODE
    assert ask(bench, C) is Reason.TARGET_UNREACHABLE
    bench.hear(C, eligible=False)
    assert ask(bench, C) is Reason.TARGET_NOT_READY
    bench.hear(C)
    assert ask(bench) is Reason.ACCEPTED
    assert bench.state() is State.RELEASING
    assert ask(bench, C) is Reason.BUSY


def test_a_claimant_is_busy() -> None:
    assert ask(Bench().as_claimant()) is Reason.BUSY


def test_a_backup_passes_a_wish_on_if_it_can_work() -> None:
    bench = Bench()
    assert ask(bench) is Reason.NO_MASTER
    bench.hear(A, State.MASTER, 1, confirmed=False)
    assert ask(bench) is Reason.NO_MASTER
    bench.hear(A, State.MASTER, 1)
    assert ask(bench) is Reason.NO_CANDIDATE
    assert ask(bench, A) is Reason.ALREADY_MASTER
    assert ask(bench, B) is Reason.TARGET_NOT_READY
    assert ask(bench, C) is Reason.TARGET_UNREACHABLE
    bench.hear(C, eligible=False)
    assert ask(bench, C) is Reason.TARGET_NOT_READY
    bench.hear(C)
    assert ask(bench, C) is Reason.ACCEPTED
    assert bench.group.wish == Wish(bench.now, C)
    assert ask(bench) is Reason.ACCEPTED
    assert bench.group.wish == Wish(bench.now + 1, None)


def test_the_serial_of_a_wish_wraps() -> None:
    bench = Bench()
    bench.now = 2**32 + 5
    bench.hear(A, State.MASTER, 1)
    bench.hear(C)
    bench.now += 1
    assert ask(bench, C) is Reason.ACCEPTED
    assert bench.group.wish == Wish(6, C)


def test_a_backup_may_ask_for_itself() -> None:
    bench = Bench().as_backup()
    assert ask(bench, B) is Reason.ACCEPTED
    assert bench.all(fx.SendAdverts)[-1].advert.groups[0].wish == Wish(bench.now, B)


def test_a_master_carries_a_wish_out_once() -> None:
    bench = Bench().as_master()
    bench.hear(A)
    bench.hear(C, wish=Wish(7, A))
    assert changes(bench) == ["operator"]
    bench.hear(A, State.CLAIMING, 2)
    bench.hear(A, State.BACKUP, 2)
    bench.run(1_000)
    assert bench.state() is State.MASTER
    bench.hear(A)
    bench.hear(C, wish=Wish(7, A))
    assert bench.state() is State.MASTER


@pytest.mark.parametrize("wish", [Wish(7, NodeName("x")), Wish(7, B), Wish(7, A)])
def test_a_wish_that_cannot_work_changes_nothing(wish: Wish) -> None:
    bench = Bench().as_master()
    bench.hear(C, wish=wish)
    assert bench.state() is State.MASTER


def test_an_unconfirmed_wish_is_none() -> None:
    bench = Bench().as_master()
    bench.hear(C, wish=Wish(7, None), confirmed=False)
    assert bench.state() is State.MASTER
    bench.hear(C, wish=Wish(7, None))
    assert bench.state() is State.RELEASING


@pytest.mark.parametrize(("taken", "ended"), [(True, Reason.HANDOVER_DONE), (False, Reason.HANDOVER_FAILED)])
def test_the_history_learns_how_a_hand_over_ended(*, taken: bool, ended: Reason) -> None:
    bench = Bench().as_master()
    bench.hear(C, eligible=True)
    bench.give(ev.FailoverAsked(1, GROUP, None))
    if taken:
        bench.run(100)
        bench.hear(C, State.MASTER, bench.group.term + 1)
    else:
        bench.run(2_000, C)
    (told,) = bench.all(fx.HandoverEnded)
    assert (told.reason, told.ended, told.source, told.target) == (Reason.OPERATOR, ended, B, C)
    assert (told.group, told.term) == (GROUP, bench.group.term)
    assert told.spent_ms == (100 if taken else 1_200)


@pytest.mark.parametrize("back", [True, False])
def test_who_stops_waits_for_a_peer_that_is_only_late(*, back: bool) -> None:
    bench = Bench().as_master()
    bench.hear(A)
    bench.run(250)
    bench.give(ev.StopAsked(restarting=False))
    assert bench.state() is State.MASTER
    if back:
        bench.hear(A)
        assert bench.state() is State.RELEASING
        assert bench.all(fx.SendAdverts)[-1].advert.groups[0].successor == A
    else:
        bench.run(200)
        assert bench.state() is State.BACKUP
        assert bench.all(fx.Leave)


@pytest.mark.parametrize("confirmed", [True, False])
def test_who_stops_waits_a_dead_interval_for_words_that_are_in_doubt(*, confirmed: bool) -> None:
    bench = Bench().as_master()
    bench.hear(A)
    bench.run(1_000, A)  # it has been there for long: what is in doubt is only what it says now
    bench.hear(A, State.BACKUP, 1, confirmed=False)
    bench.give(ev.StopAsked(restarting=False))
    assert bench.state() is State.MASTER
    if confirmed:
        bench.hear(A)
        assert bench.state() is State.RELEASING
    else:
        for _ in range(5):
            bench.now += 100
            bench.hear(A, State.BACKUP, 1, confirmed=False)
        assert bench.state() is State.BACKUP


def test_nor_for_one_that_has_never_been_confirmed_any_longer() -> None:
    bench = Bench().as_master()
    bench.hear(A, confirmed=False)
    bench.give(ev.StopAsked(restarting=False))
    assert bench.state() is State.MASTER
    for _ in range(4):
        bench.now += 100
        bench.hear(A, confirmed=False)
    assert bench.state() is State.BACKUP


def test_who_stops_waits_for_the_one_of_two_that_could_take_over() -> None:
    bench = Bench().as_master()
    bench.hear(A, State.FAULT, 1, eligible=False)
    bench.hear(C)
    bench.run(250)
    bench.give(ev.StopAsked(restarting=False))
    assert bench.state() is State.MASTER
    bench.hear(C)
    assert bench.all(fx.SendAdverts)[-1].advert.groups[0].successor == C


def test_who_stops_does_not_wait_for_one_that_could_not_take_over() -> None:
    bench = Bench().as_master()
    bench.hear(A, State.FAULT, 1, eligible=False)
    bench.run(250)
    bench.give(ev.StopAsked(restarting=False))
    assert bench.state() is State.BACKUP
