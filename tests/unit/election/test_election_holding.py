"""The other nodes that hold what a claim would take."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election import holding
from hafailover.election.reasons import Reason
from hafailover.election.values import State
from tests.unit.election.bench import BOTH, A, Bench, C

GUARDED = replace(BOTH, guards=("vip",))


def backup() -> Bench:
    """Return a backup of two addresses, long after all have started."""
    bench = Bench(policy=GUARDED).as_backup()
    bench.run(3_000, A)
    bench.clear()
    return bench


def test_of_a_holder_of_all_that_is_there_and_unable_the_guards_are_asked() -> None:
    bench = backup()
    bench.hear(A, State.BACKUP, 1, eligible=False)
    assert holding.needs_guards(bench.group, bench.now)
    assert len(bench.all(fx.AskGuard)) == 1


@pytest.mark.parametrize("holders", [("eni-a", None), ("eni-a", "eni-b")])
def test_but_not_of_one_that_has_only_a_part(holders: tuple[str | None, str | None]) -> None:
    bench = backup()
    bench.read(*holders)
    bench.hear(A, State.BACKUP, 1, eligible=False)
    assert not holding.needs_guards(bench.group, bench.now)
    assert bench.all(fx.AskGuard) == []


def test_nor_of_one_that_is_drained() -> None:
    bench = backup()
    bench.hear(A, State.BACKUP, 1, eligible=False, drained=True)
    assert not holding.needs_guards(bench.group, bench.now)


def test_one_silent_holder_of_a_part_is_enough() -> None:
    bench = backup()
    bench.hear(C, State.BACKUP, 1)
    bench.run(500, C)
    bench.read("eni-c", "eni-a")
    assert holding.needs_guards(bench.group, bench.now)


def test_what_was_read_before_mastership_changed_tells_of_no_holder() -> None:
    bench = backup()
    bench.group.outdate(bench.now)
    assert holding.voices_of_holders(bench.group, bench.now) == []
    assert not holding.needs_guards(bench.group, bench.now)
    bench.now += 1
    bench.read("eni-a")
    assert [voice and voice.peer.name for voice in holding.voices_of_holders(bench.group, bench.now)] == [A]


@pytest.mark.parametrize(("after", "claims"), [(2_999, False), (3_001, True)])
def test_a_holder_whose_daemon_may_be_another_is_given_restart_grace_from_then(after: int, *, claims: bool) -> None:
    bench = Bench().as_backup()
    bench.run(3_000, A)
    bench.hear(A, State.FAULT, 1, eligible=False, drained=True)
    bench.now += 1
    bench.hear(A, State.MASTER, 1, confirmed=False)
    since = bench.now
    bench.read("eni-a")
    for _ in range(3):
        bench.hear(A, State.MASTER, 1, confirmed=False)
        bench.now += 100
    left_until = holding.left_to_them_until(bench.group, bench.now)
    assert (left_until <= since + after) is claims


@pytest.mark.parametrize(("holder", "waits"), [("eni-a", True), ("eni-c", False), (None, False)])
def test_a_holder_never_heard_whose_kernel_answers_is_given_restart_grace(
    holder: str | None, *, waits: bool
) -> None:
    bench = Bench()
    bench.run(400)
    bench.give(ev.PeerRefused(A))
    since = bench.now
    bench.read(holder)
    left_until = holding.left_to_them_until(bench.group, bench.now)
    assert left_until == (since + bench.node.context.timing.restart_grace_ms if waits else 0)


def test_nobody_is_waited_for_where_nobody_holds_anything() -> None:
    bench = Bench()
    bench.read(None)
    bench.run(400)
    assert bench.group.verdict_reason is Reason.MASTER_ABSENT
    assert holding.left_to_them_until(bench.group, bench.now) == 0
