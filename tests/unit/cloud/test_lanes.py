"""Whose turn it is to write to the cloud."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from hafailover.cloud.lanes import Lanes

A, B, C, D = "eni-aaaaaaaa", "eni-bbbbbbbb", "eni-cccccccc", "eni-dddddddd"


async def gets_a_turn(lanes: Lanes, *enis: str) -> bool:
    """Return whether a write on these ENIs may leave now."""
    try:
        async with asyncio.timeout(0.05), lanes.turn(enis):
            return True
    except TimeoutError:
        return False


async def test_writes_go_side_by_side_until_one_was_turned_away() -> None:
    lanes = Lanes()
    async with lanes.turn((A, B)), lanes.turn((A, C)) as second:
        assert second.crowded()
        assert lanes.narrow
        assert not await gets_a_turn(lanes, A, D)
        assert await gets_a_turn(lanes, D)
    assert await gets_a_turn(lanes, A, D)


async def test_the_first_of_two_may_be_the_one_that_is_turned_away() -> None:
    lanes = Lanes()
    async with lanes.turn((A, B)) as first, lanes.turn((A, C)):
        assert first.crowded()


async def test_what_was_turned_away_may_have_met_a_write_that_has_ended_since() -> None:
    lanes = Lanes()
    async with AsyncExitStack() as stack:
        async with lanes.turn((A, B)):
            second = await stack.enter_async_context(lanes.turn((A, C)))
        assert second.crowded()


async def test_a_write_that_met_none_of_this_daemon_met_somebody_elses() -> None:
    lanes = Lanes()
    async with lanes.turn((A, B)) as turn, lanes.turn((C, D)):
        assert not turn.crowded()
    assert not lanes.narrow


async def test_no_more_are_under_way_than_there_is_room_for() -> None:
    lanes = Lanes(width=2)
    async with lanes.turn((A,)):
        async with lanes.turn((B,)):
            assert not await gets_a_turn(lanes, C)
        assert await gets_a_turn(lanes, C)


@pytest.mark.parametrize("given_up", [False, True], ids=["waits", "is given up"])
async def test_who_waits_has_the_next_turn_and_who_gives_up_has_none(*, given_up: bool) -> None:
    lanes, served = Lanes(), asyncio.Event()
    lanes.narrow = True

    async def wait() -> None:
        async with lanes.turn((A,)):
            served.set()

    async with lanes.turn((A, B)):
        waiting = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        if given_up:
            waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert served.is_set() is not given_up
    assert await gets_a_turn(lanes, A)
