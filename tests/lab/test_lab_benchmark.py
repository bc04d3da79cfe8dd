"""The safety benchmark's own arithmetic, and that a run that fails ends nothing: no namespace, no root."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from benchmarks import safety
from benchmarks.failover import Run, double_answer_ms
from benchmarks.faults import BY_NAME, FAULTS
from benchmarks.safety import Failed, Task
from tests.lab.fabric import LabError

if TYPE_CHECKING:
    from benchmarks.events import Event

MS = 1_000_000
KILLED = "host killed"
RUN = Run(
    system="hafailover",
    event=KILLED,
    outage_s=0.9,
    lost=450,
    moves=1,
    writes=1,
    carriers=("web-b",),
    prober_late_ms=1.0,
    double_ms=0.0,
    both_ms=0.0,
    answered=True,
)


def test_one_switch_for_each_move_is_no_double_answer() -> None:
    switches = [(0, "a"), (99 * MS, "b"), (501 * MS, "a")]
    assert double_answer_ms(switches, [100 * MS, 500 * MS]) == 0


def test_answers_to_and_fro_within_a_move_are_one() -> None:
    switches = [(0, "a"), (100 * MS, "b"), (110 * MS, "a"), (135 * MS, "b"), (700 * MS, "a")]
    assert double_answer_ms(switches, [100 * MS, 700 * MS]) == 35
    assert double_answer_ms([(0, "a"), (10 * MS, "b"), (40 * MS, "a")], []) == 30


def test_percentiles_are_values_that_occurred() -> None:
    values = [float(value) for value in range(20, 0, -1)]
    assert [safety.percentile(values, percent) for percent in (50, 95, 100)] == [10.0, 19.0, 20.0]
    assert safety.percentile([7.0], 50) == 7.0


def _run_with(monkeypatch: pytest.MonkeyPatch, ending: Exception | Run) -> Run | Failed:
    def run_once(_system: str, _fault: Event, _offset_s: float) -> Run:
        if isinstance(ending, Run):
            return ending
        raise ending

    monkeypatch.setattr(safety, "run_once", run_once)
    return safety.perform(Task(KILLED, "hafailover", 0.0))


@pytest.mark.parametrize("error", [LabError("no namespace"), OSError("no memory"), KeyError("daemon")])
def test_run_that_fails_is_a_result(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    result = _run_with(monkeypatch, error)
    assert isinstance(result, Failed)
    assert type(error).__name__ in result.why
    text = safety.table(FAULTS, [RUN, result])
    assert "| host killed | hafailover | 2 | 1 | 0 | 0.90 / 0.90 / 0.90 |" in text
    assert text.splitlines()[-1].endswith("| NO |")


def test_run_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_once(_system: str, _fault: Event, _offset_s: float) -> Run:
        time.sleep(30)
        return RUN

    monkeypatch.setattr(safety, "run_once", run_once)
    monkeypatch.setattr(safety, "HUNG_S", 0.2 - Task(KILLED, "hafailover", 0.0).should_take_s)
    result = safety.perform(Task(KILLED, "hafailover", 0.0))
    assert isinstance(result, Failed)
    assert "hung" in result.why


def test_run_that_would_begin_after_the_bound_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safety, "perform", lambda _task: RUN)
    late = safety.perform_until(time.monotonic() - 1, Task(KILLED, "hafailover", 0.0))
    assert isinstance(late, Failed)
    assert safety.perform_until(time.monotonic() + 60, Task(KILLED, "hafailover", 0.0)) is RUN


@pytest.mark.parametrize("bad", [replace(RUN, moves=2), replace(RUN, moves=0), replace(RUN, answered=False)])
def test_what_is_promised_is_not_kept_by_one_bad_run(bad: Run) -> None:
    assert safety.kept(BY_NAME[KILLED], [RUN, RUN], [])
    assert not safety.kept(BY_NAME[KILLED], [RUN, bad], [])
    assert not safety.kept(BY_NAME[KILLED], [], [])


def test_twenty_runs_of_everything_take_less_than_twenty_minutes() -> None:
    counts = {"hafailover": (20, 5), "keepalived": (10, 5)}
    tasks = safety.tasks_for(FAULTS, counts, seed=1)
    phases = safety.phases_of(tasks, 4)
    assert sum(len(phase.tasks) for phase in phases) == len(tasks) == 5 * 20 + 5 * 10 + 3 * 5 + 2 * 5
    assert sum(phase.last_s for phase in phases) / safety.SPARE < 20 * 60
