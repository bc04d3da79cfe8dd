"""fence = "stop-instance": nothing moves before the old master is known to be off."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.values import FenceResult, Handover, State
from tests.unit.election.bench import APPLIED, GROUP, POLICY, VIP, A, B, Bench, C

FENCED = replace(POLICY, fence=True)
OFF = FenceResult(stopped=True)
REFUSED = FenceResult(stopped=False, code="UnauthorizedOperation")


def bereft() -> Bench:
    """Return a backup whose master has just been silent for too long."""
    bench = Bench(policy=FENCED).as_backup()
    bench.run(400)
    bench.arm()
    assert bench.state() is State.CLAIMING
    return bench


def fences(bench: Bench) -> list[fx.Fence]:
    return bench.all(fx.Fence)


def test_the_old_master_is_off_before_anything_moves() -> None:
    bench = bereft()
    assert [(fence.resource, fence.holder) for fence in fences(bench)] == [(VIP, "eni-a")]
    assert bench.moves == []
    bench.run(30_000)
    assert bench.moves == []
    bench.give(ev.FenceFinished(GROUP, fences(bench)[0].fence_id, OFF))
    bench.run(1)
    bench.read("eni-a")
    assert [(move.expected, move.target) for move in bench.moves] == [("eni-a", "eni-b")]


def test_a_power_off_that_fails_is_asked_for_again_and_others_may_try() -> None:
    bench = bereft()
    assert bench.group.advert().eligible
    for attempt in range(2):
        bench.give(ev.FenceFinished(GROUP, fences(bench)[attempt].fence_id, REFUSED))
        bench.run(10_000)
        assert len(fences(bench)) == attempt + 2
    assert len({fence.fence_id for fence in fences(bench)}) == 3
    assert not bench.group.advert().eligible
    assert bench.moves == []


def test_the_time_that_it_takes_is_told() -> None:
    bench = bereft()
    bench.now += 700
    bench.give(ev.FenceFinished(GROUP, fences(bench)[0].fence_id, OFF))
    if not bench.moves:
        bench.read("eni-a")
    bench.now += 300
    bench.finish(APPLIED)
    bench.read("eni-b")
    (done,) = bench.all(fx.FailoverFinished)
    assert (done.fence_ms, done.cloud_ms) == (700, 300)


def test_who_hands_over_is_left_running() -> None:
    bench = Bench(policy=FENCED).as_backup()
    bench.hear(A, State.RELEASING, 1, successor=B)
    bench.arm()
    assert len(bench.moves) == 1
    assert fences(bench) == []


@pytest.mark.parametrize(("handover", "count"), [(Handover.STRICT, 0), (Handover.OVERLAP, 1)])
def test_so_is_one_at_fault_whose_hook_has_ended(handover: Handover, count: int) -> None:
    bench = Bench(policy=replace(FENCED, handover=handover)).as_backup()
    bench.hear(A, State.FAULT, 1, eligible=False)
    bench.now += 1
    bench.read("eni-a")
    bench.arm()
    assert bench.state() is State.CLAIMING
    assert len(fences(bench)) == count


def test_an_unsure_word_of_fault_spares_nobody() -> None:
    bench = Bench(policy=replace(FENCED, handover=Handover.STRICT)).as_backup()
    bench.run(400)
    bench.hear(A, State.FAULT, 1, eligible=False, confirmed=False)
    assert len(fences(bench)) == 1


def test_nobody_needs_no_fence() -> None:
    bench = Bench(policy=FENCED)
    bench.hear(C)
    bench.read(None)
    bench.run(5_000, C)
    bench.arm()
    assert bench.state() is State.CLAIMING
    assert fences(bench) == []


def test_a_master_that_is_back_is_not_shot() -> None:
    bench = bereft()
    bench.hear(A, State.MASTER, 1)
    assert bench.state() is State.BACKUP
    bench.give(ev.FenceFinished(GROUP, fences(bench)[0].fence_id, OFF))
    assert bench.moves == []
