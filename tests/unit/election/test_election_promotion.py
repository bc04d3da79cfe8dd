from __future__ import annotations

from dataclasses import replace

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.promotion import REFUSED_MS
from hafailover.election.reasons import Reason
from hafailover.election.release import HOOK_SLACK_MS
from hafailover.election.values import GuardVerdict, State
from tests.unit.election.bench import GROUP, POLICY, A, B, Bench, C, reasons

ASKING = replace(POLICY, promote=True, hook_timeout_ms=1_000)


def bench_that_asks(**changes: object) -> Bench:
    """Make a backup whose master has just been silent for the dead interval."""
    bench = Bench(policy=replace(ASKING, **changes)).as_backup()  # type: ignore[arg-type]
    bench.run(400)
    return bench


def answer(bench: Bench, *, ok: bool) -> None:
    asked = questions(bench)[-1].run_id
    assert asked is not None
    bench.give(ev.HookFinished(GROUP, asked + 1, not ok))
    bench.give(ev.HookFinished(GROUP, asked, ok))


def questions(bench: Bench) -> list[fx.RunHook]:
    return [hook for hook in bench.all(fx.RunHook) if hook.hook == "promote"]


def test_the_hook_is_asked_once_before_the_claim_and_nothing_moves_before_it_answers() -> None:
    bench = bench_that_asks()
    bench.run(900)
    (asked,) = questions(bench)
    assert (asked.reason, asked.run_id is None) == (Reason.MASTER_DEAD, False)
    assert (bench.state(), bench.group.verdict_reason) == (State.BACKUP, Reason.PROMOTE_PENDING)
    assert not bench.all(fx.Move)
    assert bench.group.advert().eligible
    answer(bench, ok=True)
    assert reasons(bench.all(fx.RoleChanged)) == ["master_dead"]


def test_a_no_keeps_the_node_out_of_the_running_and_is_asked_again_later() -> None:
    bench = bench_that_asks()
    answer(bench, ok=False)
    assert (bench.group.verdict_reason, bench.group.advert().eligible) == (Reason.PROMOTE_REFUSED, False)
    assert [told.reason for told in bench.all(fx.Refrained)] == [Reason.PROMOTE_REFUSED]
    bench.run(REFUSED_MS - 1)
    assert len(questions(bench)) == 1
    bench.run(1)
    assert len(questions(bench)) == 2
    assert bench.group.advert().eligible
    answer(bench, ok=True)
    assert bench.state() is State.CLAIMING


def test_no_answer_is_a_no() -> None:
    bench = bench_that_asks()
    bench.run(2 * 1_000 + HOOK_SLACK_MS - 2)
    assert bench.group.promotion.refused_until == 0
    bench.run(1)
    assert bench.group.promotion.refused_until == bench.now + REFUSED_MS
    assert bench.all(fx.Refrained) == []
    bench.run(1)
    assert [told.reason for told in bench.all(fx.Refrained)] == [Reason.PROMOTE_REFUSED]


def test_an_answer_that_comes_after_the_master_is_back_is_good_for_nothing() -> None:
    bench = bench_that_asks()
    bench.hear(A, State.MASTER, 1)
    assert bench.group.verdict_reason is Reason.MASTER_ALIVE
    bench.run(400)
    assert len(questions(bench)) == 1, "the first one still runs"
    answer(bench, ok=True)
    assert (bench.state(), len(questions(bench))) == (State.BACKUP, 2)
    answer(bench, ok=True)
    assert bench.state() is State.CLAIMING


def test_a_guard_that_is_asked_again_meanwhile_costs_the_answer_nothing() -> None:
    bench = Bench(policy=replace(ASKING, guards=("vip",))).as_backup()
    bench.run(250)
    for _ in range(4):
        asked = bench.all(fx.AskGuard)[-1]
        bench.give(ev.GuardAnswered(GROUP, "vip", asked.round_id, GuardVerdict.ALLOW))
        bench.run(400)
    assert len(questions(bench)) == 1
    answer(bench, ok=True)
    if bench.state() is State.BACKUP:
        asked = bench.all(fx.AskGuard)[-1]
        bench.give(ev.GuardAnswered(GROUP, "vip", asked.round_id, GuardVerdict.ALLOW))
    assert bench.state() is State.CLAIMING


def test_what_is_offered_or_held_already_is_taken_without_a_question() -> None:
    bench = Bench(policy=ASKING).as_backup()
    bench.hear(A, State.RELEASING, 1, successor=B)
    assert (bench.state(), questions(bench)) == (State.CLAIMING, [])
    held = Bench(policy=ASKING).as_backup()
    held.hear(A, State.BACKUP, 1)
    held.read("eni-b")
    assert held.state() is not State.BACKUP
    assert not questions(held)


def test_who_is_outranked_asks_nothing() -> None:
    bench = Bench(me=C, policy=ASKING)
    bench.read("eni-a")
    bench.hear(A, State.MASTER, 1, hears=(C,))
    bench.hear(B, eligible=True, priority=90, hears=(C,))
    bench.run(400, A, B)
    bench.read("eni-a")
    bench.run(450, B)
    assert not questions(bench)
