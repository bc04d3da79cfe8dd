"""Another version of the file, as the core takes it in."""

from __future__ import annotations

from dataclasses import replace

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.peers import Liveness
from hafailover.election.reasons import Reason
from hafailover.election.values import Advert, CheckState, GroupAdvert, Leaving, Policy, State, Timing
from tests.unit.election.bench import DIGEST, GROUP, MEMBERS, POLICY, TIMING, A, B, Bench, C

NEW = b"87654321"
FAST = Timing(interval_ms=20, dead_interval_ms=60, restart_grace_ms=600, audit_interval_ms=30_000)
SLOW = Timing(interval_ms=200, dead_interval_ms=1_000, restart_grace_ms=9_000, audit_interval_ms=30_000)


def reconfigure(
    bench: Bench, policy: Policy = POLICY, timing: Timing = TIMING, priority: int = 90
) -> tuple[fx.Effect, ...]:
    members = tuple(replace(each, priority=priority) if each.name == B else each for each in MEMBERS)
    return bench.give(ev.Reconfigured(members, timing, (policy,), NEW))


def tell(bench: Bench, digest: bytes, dead_ms: int = 400, *, confirmed: bool = True) -> None:
    """Have the master `a` speak, with the file of this digest and dead interval."""
    said = GroupAdvert(GROUP, State.MASTER, 1, 100, eligible=False)
    advert = Advert(A, digest, dead_ms, Leaving.NO, drained=False, hears=(B,), groups=(said,))
    bench.give(ev.AdvertReceived(advert, "udp", confirmed=confirmed))


def test_a_master_stays_master_and_says_at_once_what_is_new() -> None:
    bench = Bench().as_master()
    told = reconfigure(bench, priority=50)
    assert bench.state() is State.MASTER
    (sent,) = [each.advert for each in told if isinstance(each, fx.SendAdverts)]
    assert (sent.config_digest, sent.groups[0].priority) == (NEW, 50)
    assert not [each for each in told if isinstance(each, fx.RoleChanged | fx.StopAnswering | fx.Move)]


def test_of_a_check_that_stays_the_last_word_stands_and_a_new_one_takes_nothing_from_a_master() -> None:
    checked = replace(POLICY, checks=(("web", 0),))
    bench = Bench(policy=checked)
    bench.check(CheckState.UP)
    bench.as_master()
    reconfigure(bench, replace(POLICY, checks=(("web", 0), ("more", 0))))
    assert dict(bench.group.tracking.states) == {"web": CheckState.UP, "more": CheckState.PENDING}
    assert bench.state() is State.MASTER


def test_a_fault_ends_with_the_check_that_saw_it() -> None:
    bench = Bench(policy=replace(POLICY, checks=(("web", 0),))).as_backup()
    bench.check(CheckState.DOWN)
    assert bench.state() is State.FAULT
    reconfigure(bench)
    assert bench.state() is State.BACKUP


def test_a_mastership_ends_where_the_file_now_says_so() -> None:
    bench = Bench(policy=replace(POLICY, checks=(("web", -5),))).as_master()
    bench.check(CheckState.DOWN)
    assert bench.state() is State.MASTER
    reconfigure(bench, replace(POLICY, checks=(("web", 0),)))
    assert (bench.state(), bench.group.reason) == (State.FAULT, Reason.CHECK_FAILED)


def test_a_better_peer_takes_over_once_preemption_is_switched_on() -> None:
    bench = Bench().as_master()
    bench.hear(C, eligible=True, priority=95)
    assert bench.state() is State.MASTER
    reconfigure(bench, replace(POLICY, preempt=True))
    assert (bench.state(), bench.group.reason) == (State.RELEASING, Reason.PREEMPTED)


def test_a_hold_down_that_is_configured_otherwise_holds_for_the_next_loss() -> None:
    bench = Bench().as_backup()
    reconfigure(bench, replace(POLICY, hold_down_ms=7))
    bench.group.hold_down.lost(bench.now)
    assert bench.group.hold_down.until == bench.now + 7


def test_a_peer_that_has_not_reloaded_yet_is_not_missed_sooner() -> None:
    bench = Bench().as_backup()
    tell(bench, DIGEST)
    reconfigure(bench, timing=FAST)
    bench.run(390)
    assert bench.state() is State.BACKUP
    tell(bench, NEW, dead_ms=60)
    bench.run(50)
    assert bench.state() is State.BACKUP
    bench.run(10)
    assert bench.state() is State.CLAIMING


def test_nor_is_one_that_has_and_asks_for_longer() -> None:
    bench = Bench().as_backup()
    tell(bench, NEW, dead_ms=1_000)
    bench.run(490)
    peer = bench.node.context.peers.get(A)
    assert peer is not None
    assert peer.liveness(bench.now) is Liveness.ALIVE
    bench.run(500)
    assert bench.state() is State.BACKUP
    bench.run(10)
    assert bench.state() is State.CLAIMING


def test_what_may_be_a_recording_asks_for_nothing() -> None:
    bench = Bench().as_backup()
    tell(bench, DIGEST)
    tell(bench, NEW, dead_ms=300_000, confirmed=False)
    bench.run(400)
    assert bench.state() is State.CLAIMING


def test_patience_that_is_made_longer_is_longer_at_once() -> None:
    bench = Bench().as_backup()
    tell(bench, DIGEST)
    reconfigure(bench, timing=SLOW)
    bench.run(990)
    assert bench.state() is State.BACKUP
    bench.run(10)
    assert bench.state() is State.CLAIMING


def spoken(bench: Bench, for_ms: int) -> int:
    """Return how often the node speaks in that time, where nothing is new."""
    bench.clear()
    bench.run(for_ms)
    return len(bench.all(fx.SendAdverts))


def test_who_is_to_speak_less_often_goes_on_as_before_until_the_peers_know() -> None:
    bench = Bench().as_master()
    bench.run(1_000)
    (sent,) = [each.advert for each in reconfigure(bench, timing=SLOW) if isinstance(each, fx.SendAdverts)]
    assert sent.dead_interval_ms == 1_000
    assert spoken(bench, 800) == 8, "every 100 ms, for two dead intervals of 400"
    assert spoken(bench, 2_000) == 10
    reconfigure(bench, timing=TIMING)
    assert spoken(bench, 2_000) == 20, "who is to speak more often does so at once"


def test_nor_does_a_second_reload_make_it_speak_less_often_sooner() -> None:
    bench = Bench().as_master()
    bench.run(1_000)
    reconfigure(bench, timing=SLOW)
    bench.run(300)
    reconfigure(bench, timing=replace(SLOW, interval_ms=300))
    assert spoken(bench, 2_000) == 20, "the first file's pace, for two dead intervals of the second"
