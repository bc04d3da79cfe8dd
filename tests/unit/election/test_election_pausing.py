from __future__ import annotations

from dataclasses import replace

import pytest

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.pausing import ENDLESS_MIN
from hafailover.election.reasons import Reason
from hafailover.election.status import status
from hafailover.election.values import GroupAdvert, GroupMemory, GroupName, Memory, State
from tests.unit.election.bench import DIGEST, GROUP, POLICY, A, B, Bench, C


def pause(bench: Bench, for_ms: int | None = None, group: GroupName | None = GROUP) -> tuple[fx.Effect, ...]:
    return bench.give(ev.PauseAsked(7, group, for_ms))


def resume(bench: Bench) -> tuple[fx.Effect, ...]:
    return bench.give(ev.ResumeAsked(8, GROUP))


def say(bench: Bench, minutes: int, *, confirmed: bool = True) -> None:
    """Have the master `a` say for how long it is paused."""
    said = GroupAdvert(GROUP, State.MASTER, 1, 0, eligible=False, paused_min=minutes)
    advert = replace(bench.node.advert(bench.now), node=A, config_digest=DIGEST, hears=(B,), groups=(said,))
    bench.give(ev.AdvertReceived(advert, "udp", confirmed=confirmed))


def paused_by(bench: Bench) -> tuple[str, ...]:
    return status(bench.node, bench.now).groups[0].paused_by


def left_ms(bench: Bench) -> int | None:
    return status(bench.node, bench.now).groups[0].pause_left_ms


def test_a_pause_is_on_disk_before_it_is_acknowledged() -> None:
    bench = Bench().as_backup()
    told = pause(bench, 60_000)
    (saved,) = [each for each in told if isinstance(each, fx.Persist)]
    (answer,) = [each for each in told if isinstance(each, fx.Answer)]
    assert told.index(saved) < told.index(answer)
    assert answer == fx.Answer(7, accepted=True, reason=Reason.ACCEPTED)
    (group,) = saved.memory.groups
    assert (group.paused, group.paused_until) == (True, bench.now + 60_000)


def test_an_unknown_group_is_refused_and_nothing_is_written() -> None:
    told = pause(Bench().as_backup(), group=GroupName("db"))
    assert [each for each in told if isinstance(each, fx.Persist | fx.Answer)] == [
        fx.Answer(7, accepted=False, reason=Reason.UNKNOWN_GROUP)
    ]


def test_while_it_is_paused_a_dead_master_is_not_followed_and_after_resume_it_is() -> None:
    bench = Bench().as_backup()
    pause(bench, group=None)
    bench.run(5_000)
    assert (bench.state(), bench.group.verdict_reason, left_ms(bench)) == (State.BACKUP, Reason.PAUSED, None)
    told = resume(bench)
    assert [each.reason for each in told if isinstance(each, fx.RoleChanged)] == [Reason.MASTER_DEAD]
    assert (paused_by(bench), left_ms(bench)) == ((), 0)


def test_a_pause_with_an_end_ends_by_itself_also_on_disk() -> None:
    bench = Bench().as_backup()
    pause(bench, 10_000)
    bench.run(9_999)
    assert (bench.state(), left_ms(bench)) == (State.BACKUP, 1)
    bench.run(1)
    assert bench.state() is State.CLAIMING
    saved = bench.all(fx.Persist)[-1].memory.groups[0]
    assert (saved.paused, saved.paused_until) == (False, None)


def test_a_pause_outlives_the_daemon_and_ends_in_its_time() -> None:
    memory = Memory(groups=(GroupMemory(GROUP, term=1, paused=True, paused_until=15_000),))
    bench = Bench(memory=memory)
    assert (paused_by(bench), left_ms(bench)) == ((B,), 5_000)
    bench.run(5_000, *())
    assert paused_by(bench) == ()
    over = Bench(memory=Memory(groups=(GroupMemory(GROUP, term=1, paused=True, paused_until=9_000),)))
    assert paused_by(over) == ()


def test_what_is_left_is_told_in_minutes_rounded_up() -> None:
    bench = Bench().as_backup()
    pause(bench, 90_000)
    assert bench.group.advert().paused_min == 2
    bench.run(30_000)
    assert bench.group.advert().paused_min == 1
    assert bench.all(fx.SendAdverts)[-1].advert.groups[0].paused_min == 1
    pause(bench)
    assert bench.group.advert().paused_min == ENDLESS_MIN
    pause(bench, 60_000 * ENDLESS_MIN)
    assert bench.group.advert().paused_min == ENDLESS_MIN - 1


def test_another_nodes_pause_holds_this_one_also_after_that_nodes_death() -> None:
    bench = Bench().as_backup()
    say(bench, 1)
    bench.run(59_000)
    assert (bench.state(), paused_by(bench), left_ms(bench)) == (State.BACKUP, (A,), 1_000)
    bench.run(1_000)
    assert bench.state() is State.CLAIMING


def test_an_endless_pause_of_a_dead_node_is_ended_here_and_one_of_a_living_node_is_not() -> None:
    bench = Bench().as_backup()
    say(bench, ENDLESS_MIN)
    resume(bench)
    assert (paused_by(bench), left_ms(bench)) == ((A,), None)
    bench.run(100_000)
    assert bench.state() is State.BACKUP
    resume(bench)
    assert bench.state() is State.CLAIMING


def test_another_nodes_pause_ends_when_that_node_says_so() -> None:
    bench = Bench().as_backup()
    say(bench, ENDLESS_MIN)
    assert paused_by(bench) == (A,)
    say(bench, 0)
    assert paused_by(bench) == ()


def test_a_pause_that_may_be_a_recording_holds_nobody() -> None:
    bench = Bench()
    say(bench, ENDLESS_MIN, confirmed=False)
    assert paused_by(bench) == ()


def test_a_paused_master_hands_over_by_an_operators_word_and_not_to_a_better_node() -> None:
    bench = Bench(policy=replace(POLICY, preempt=True)).as_master()
    pause(bench)
    bench.hear(C, eligible=True, priority=100)
    bench.run(1_000, C)
    assert bench.state() is State.MASTER
    bench.give(ev.FailoverAsked(9, GROUP, None))
    assert bench.state() is State.RELEASING


@pytest.mark.parametrize("for_ms", [None, 30_000])
def test_a_paused_master_that_is_drained_hands_over(for_ms: int | None) -> None:
    bench = Bench().as_master()
    pause(bench, for_ms)
    bench.hear(C, eligible=True)
    bench.give(ev.DrainAsked(9, drained=True))
    assert bench.state() is State.RELEASING


@pytest.mark.parametrize(("holder", "goes_on"), [("eni-b", True), (None, False), ("eni-c", False)])
def test_who_goes_on_with_what_is_here_moves_nothing_where_it_turns_out_to_be_gone(
    holder: str | None, *, goes_on: bool
) -> None:
    bench = Bench().as_backup()
    pause(bench, 60_000)
    bench.run(1_000)
    bench.read("eni-b")
    assert bench.all(fx.RoleChanged)[-1].reason is Reason.HELD
    bench.now += 1
    bench.read(holder)
    assert bench.all(fx.Move) == []
    assert (bench.state() is State.BACKUP) is not goes_on
    if not goes_on:
        assert bench.all(fx.RoleChanged)[-1].reason is Reason.CLAIM_VOID
        assert bench.group.guest.carries == []
