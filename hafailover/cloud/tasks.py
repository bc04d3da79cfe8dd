"""How accepted writes end: DescribeVpcTaskResult, asked as seldom as it may be.

The task query allows 20 requests a second for all users of a key together. So all waiting writes share a pace; and
once one of them has ended well, one reading of the holders tells of all the others at once.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hafailover.cloud.outcome import TASK_FAILED, Remedy, classify
from hafailover.cloud.replies import TaskStatus
from hafailover.election.values import MoveResult, Outcome, Refusal
from hafailover.errors import CloudError

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable, Sequence

    from hafailover.cloud.plan import Call

FIRST_POLL_S = 0.1
QUICK_S = 1.0  # for so long asked at that pace, for the second half of a move may wait for it; then more seldom
LAST_POLL_S = 1.0
PACE_S = 0.08
TASK_LAG_S = 5.0  # how long a task may be unknown after its acceptance
_POLL_GROWTH = 1.6
_POLL_JITTER = 0.2

APPLIED = MoveResult(Outcome.APPLIED)


class TaskWatch:
    """The writes of one daemon whose end is not known yet.

    `ask` makes the query for one task. `arrived` says, by one reading, which of some calls the holders show as
    done. Both raise CloudError.
    """

    def __init__(
        self,
        ask: Callable[[str], Awaitable[TaskStatus]],
        arrived: Callable[[Sequence[Call]], Awaitable[Sequence[Call]]],
        rng: random.Random,
    ) -> None:
        self._ask = ask
        self._arrived = arrived
        self._rng = rng
        self._waiting: dict[str, tuple[Call, asyncio.Future[MoveResult]]] = {}
        self._pace = asyncio.Lock()
        self._look: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """End the reading that may be under way."""
        if self._look is not None:
            self._look.cancel()
            await asyncio.gather(self._look, return_exceptions=True)

    async def end_of(self, call: Call, task_id: str) -> MoveResult:
        """Wait for the end of an accepted write; the caller bounds it."""
        ended: asyncio.Future[MoveResult] = asyncio.get_running_loop().create_future()
        self._waiting[task_id] = call, ended
        try:
            return await self._poll(task_id, ended)
        finally:
            self._waiting.pop(task_id, None)

    async def _poll(self, task_id: str, ended: asyncio.Future[MoveResult]) -> MoveResult:
        clock = asyncio.get_running_loop().time
        began_s = clock()
        delay_s = FIRST_POLL_S
        while not await self._seen_within(ended, delay_s):
            if clock() - began_s > QUICK_S:
                delay_s = min(delay_s * _POLL_GROWTH, LAST_POLL_S)
            try:
                status = await self._ask(task_id)
            except CloudError as error:
                if _futile(error.code, lag_over=clock() - began_s > TASK_LAG_S):
                    return MoveResult(Outcome.UNKNOWN, error.code)
                continue
            if status is TaskStatus.SUCCESS:
                self._look_for_others(ended)
                return APPLIED
            if status is TaskStatus.FAILED:
                return MoveResult(Outcome.REFUSED, TASK_FAILED, Refusal.CONFLICT)
        return ended.result()

    async def _seen_within(self, ended: asyncio.Future[MoveResult], delay_s: float) -> bool:
        """Wait for the next turn to ask; return whether a reading has told the end before that."""
        jitter = self._rng.uniform(1 - _POLL_JITTER, 1 + _POLL_JITTER)
        await asyncio.wait((ended,), timeout=delay_s * jitter)
        if len(self._waiting) > 1 and not ended.done():
            async with self._pace:
                await asyncio.wait((ended,), timeout=PACE_S)
        return ended.done()

    def _look_for_others(self, mine: asyncio.Future[MoveResult]) -> None:
        others = [call for call, ended in self._waiting.values() if ended is not mine and call.target]
        if others and (self._look is None or self._look.done()):
            self._look = asyncio.ensure_future(self._read(others))

    async def _read(self, calls: Sequence[Call]) -> None:
        try:
            arrived = await self._arrived(calls)
        except CloudError:
            return  # their own queries go on
        for call, ended in tuple(self._waiting.values()):
            if call in arrived and not ended.done():
                ended.set_result(APPLIED)


def _futile(code: str, *, lag_over: bool) -> bool:
    """Whether asking again for a task's end cannot help; reading the holder is the better question then."""
    kind = classify(code, "DescribeVpcTaskResult")
    if kind.refusal is Refusal.PERMISSION:
        return kind.remedy is not Remedy.REFRESH_CREDENTIALS
    return lag_over and (kind.refusal is not None or code == "ResourceNotFound")
