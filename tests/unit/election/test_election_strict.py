"""handover = "strict": whoever gives up is quiet before anybody else may begin."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.node import STOP_MS
from hafailover.election.release import HOOK_SLACK_MS
from hafailover.election.values import CheckState, Handover, Leaving, State
from tests.unit.election.bench import GROUP, POLICY, VIP, A, B, Bench, C, reasons

HOOK_MS = 2_000
STRICT = replace(POLICY, handover=Handover.STRICT, hook_timeout_ms=HOOK_MS, checks=(("web", 0),))


def asked() -> Bench:
    """Return a master that has just been asked to hand over to `a`."""
    bench = Bench(policy=STRICT)
    bench.check(CheckState.UP)
    bench.as_master()
    bench.hear(A)
    bench.clear()
    bench.give(ev.FailoverAsked(1, GROUP, A))
    return bench


def successor(bench: Bench) -> str | None:
    adverts = bench.all(fx.SendAdverts)
    return adverts[-1].advert.groups[0].successor


def hooks(bench: Bench) -> list[tuple[str, bool]]:
    return [(effect.hook, effect.run_id is not None) for effect in bench.all(fx.RunHook)]


def test_the_guest_and_the_hook_come_before_the_name() -> None:
    bench = asked()
    assert bench.state() is State.RELEASING
    order = [effect for effect in bench.told if isinstance(effect, (fx.StopAnswering, fx.RunHook, fx.SendAdverts))]
    assert [type(effect) for effect in order] == [fx.StopAnswering, fx.RunHook, fx.SendAdverts]
    assert hooks(bench) == [("backup", True)]
    assert successor(bench) is None
    bench.end_hook()
    assert successor(bench) == A


def test_a_successor_that_fell_silent_during_the_hook_is_not_named() -> None:
    bench = asked()
    bench.run(500)
    bench.end_hook()
    assert successor(bench) is None, "it may hear that when this node answers again"
    bench.read("eni-b")
    assert reasons(bench.all(fx.RoleChanged))[-1] == "handover_failed"
    bench.hear(A)
    assert successor(bench) is None


def test_the_hook_runs_once() -> None:
    bench = asked()
    bench.end_hook()
    bench.hear(A, State.CLAIMING, 2)
    bench.hear(A, State.MASTER, 2)
    assert reasons(bench.all(fx.RoleChanged))[-1] == "handover_done"
    assert hooks(bench) == [("backup", True)]


def test_a_successor_that_does_not_come_leaves_it_as_it_was() -> None:
    bench = asked()
    bench.end_hook()
    bench.run(1_200, A)
    assert bench.state() is State.RELEASING
    assert bench.all(fx.Arm) == [], "it may be the successor's by now"
    bench.read("eni-b")
    assert reasons(bench.all(fx.RoleChanged))[-1] == "handover_failed"
    assert hooks(bench) == [("backup", True), ("master", False)]
    assert bench.group.guest.carries == [VIP]
    assert [effect.resource for effect in bench.all(fx.Arm)] == [VIP]


@pytest.mark.parametrize(("early", "state"), [(1, State.RELEASING), (0, State.MASTER)])
def test_so_does_a_hook_that_does_not_end(early: int, state: State) -> None:
    bench = asked()
    bench.run(2 * HOOK_MS + HOOK_SLACK_MS - early, A)
    assert bench.state() is state
    assert successor(bench) is None


def test_who_stops_puts_nothing_back_when_the_successor_does_not_come() -> None:
    bench = Bench(policy=STRICT)
    bench.check(CheckState.UP)
    bench.as_master()
    bench.hear(A)
    bench.give(ev.StopAsked(restarting=False))
    bench.end_hook()
    bench.run(1_200, A)
    assert bench.all(fx.Leave)
    assert bench.all(fx.Arm) == []
    assert [hook for hook, _ in hooks(bench)] == ["backup", "stop"]


def test_who_stops_alone_says_nothing_before_its_hook_has_ended() -> None:
    bench = Bench(policy=STRICT)
    bench.check(CheckState.UP)
    bench.as_master()
    bench.give(ev.StopAsked(restarting=False))
    assert bench.state() is State.RELEASING
    assert (bench.group.guest.carries, hooks(bench)) == ([], [("backup", True)])
    bench.hear(A)
    bench.run(500, A)
    assert successor(bench) is None
    assert not bench.all(fx.Leave)
    bench.end_hook()
    assert reasons(bench.all(fx.RoleChanged)) == ["stopping", "stopping"]
    assert [hook for hook, _ in hooks(bench)] == ["backup", "stop"]
    assert bench.all(fx.SendAdverts)[-1].advert.leaving is Leaving.STOPPING
    assert bench.all(fx.Leave)


def test_a_fault_is_told_when_its_hook_has_ended() -> None:
    bench = Bench(policy=STRICT)
    bench.check(CheckState.UP)
    bench.as_master()
    bench.hear(A)
    bench.clear()
    bench.check(CheckState.DOWN)
    assert bench.state() is State.RELEASING
    assert hooks(bench) == [("fault", True)]
    assert bench.group.guest.carries == []
    bench.run(500, A)
    assert bench.state() is State.RELEASING
    bench.end_hook()
    assert bench.state() is State.FAULT
    assert reasons(bench.all(fx.RoleChanged)) == ["check_failed", "check_failed"]
    assert hooks(bench) == [("fault", True)]


@pytest.mark.parametrize(("early", "state"), [(1, State.RELEASING), (0, State.FAULT)])
def test_or_when_it_could_have(early: int, state: State) -> None:
    bench = Bench(policy=STRICT)
    bench.check(CheckState.UP)
    bench.as_master()
    bench.check(CheckState.DOWN)
    bench.run(2 * HOOK_MS + HOOK_SLACK_MS - early)
    assert bench.state() is state


def test_a_fault_on_the_way_out_changes_nothing() -> None:
    bench = asked()
    bench.check(CheckState.DOWN)
    assert bench.state() is State.RELEASING
    bench.end_hook()
    assert successor(bench) == A


@pytest.mark.parametrize(
    ("hook_ms", "waits_ms"),
    [(HOOK_MS, 2 * HOOK_MS + HOOK_SLACK_MS), (20_000, STOP_MS + 20_000)],
    ids=["that-is-late", "that-is-later-than-a-stop-may-take"],
)
def test_a_stop_waits_for_the_hook_as_well(hook_ms: int, waits_ms: int) -> None:
    bench = Bench(policy=replace(STRICT, hook_timeout_ms=hook_ms))
    bench.check(CheckState.UP)
    bench.as_master()
    bench.hear(A)
    bench.give(ev.StopAsked(restarting=False))
    assert hooks(bench)[-1] == ("backup", True)
    bench.run(waits_ms - 1, A)
    assert not bench.all(fx.Leave)
    bench.run(1, A)
    assert bench.all(fx.Leave)
    assert bench.all(fx.SendAdverts)[-1].advert.leaving is Leaving.STOPPING


def test_the_guest_of_the_successor_is_armed_only_when_the_cloud_has_confirmed() -> None:
    bench = Bench(policy=STRICT)
    bench.check(CheckState.UP)
    bench.as_backup()
    bench.hear(A, State.RELEASING, 1, successor=B)
    assert bench.state() is State.CLAIMING
    assert not bench.all(fx.Arm)
    assert len(bench.moves) == 1
    bench.hear(C)
    bench.now += 1
    bench.read("eni-b")
    assert not bench.all(fx.Arm), "a call is under way whose end is not known"
