from __future__ import annotations

import pytest

from hafailover.election.holddown import FORGOTTEN_MS, HoldDown


@pytest.mark.parametrize(
    ("losses", "length_ms"),
    [(1, 30_000), (2, 60_000), (3, 120_000), (5, 480_000), (6, 600_000), (7, 600_000), (40, 600_000)],
)
def test_it_doubles_with_each_loss_up_to_ten_minutes(losses: int, length_ms: int) -> None:
    held = HoldDown(30_000, 0)
    for _ in range(losses):
        held.lost(5)
    assert held.until == 5 + length_ms


@pytest.mark.parametrize(("after", "length_ms"), [(FORGOTTEN_MS - 1, 60_000), (FORGOTTEN_MS, 30_000)])
def test_losses_are_forgotten_after_an_hour(after: int, length_ms: int) -> None:
    held = HoldDown(30_000, 0)
    held.lost(7)
    held.lost(7 + after)
    assert held.until == 7 + after + length_ms


def test_at_first_nothing_is_barred() -> None:
    assert (HoldDown(30_000, 9).until, HoldDown(30_000, 9).length_ms) == (9, 30_000)


def test_hearing_a_master_ends_that_of_a_first_loss() -> None:
    held = HoldDown(30_000, 0)
    held.lost(5)
    held.explained(40)
    assert held.until == 40
    held.explained(60)
    assert held.until == 40, "what is over does not begin again"


def test_but_not_that_of_a_second_one() -> None:
    held = HoldDown(30_000, 0)
    held.lost(5)
    held.lost(6)
    held.explained(40)
    assert held.until == 6 + 60_000


def test_a_loss_to_a_node_that_is_heard_counts_and_bars_only_from_the_second_on() -> None:
    held = HoldDown(30_000, 0)
    held.lost_to_heard(5)
    assert (held.until, held.losses) == (0, 1)
    held.lost_to_heard(6)
    assert (held.until, held.losses) == (6 + 60_000, 2)
