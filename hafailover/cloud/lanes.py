"""Which writes may be under way together: the cloud works on an ENI for one request at a time, or so it says.

Moves between the same two holders share a lane, so that many addresses need not queue behind one another; a move
that touches one of these ENIs and goes elsewhere waits until the lane is empty. Whether the cloud really refuses
two writes on one ENI at once is not documented: a lane starts wide, and becomes one request wide as soon as
the cloud turns one of its requests away for another of its own.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

WIDTH = 32  # requests at once; MigratePrivateIpAddress is limited to 50 a second


class Lane:
    """The writes between two holders. `width`: how many may be under way at once."""

    def __init__(self, width: int = WIDTH) -> None:
        self.width = width
        self._running = 0
        self._changed = asyncio.Condition()

    @property
    def busy(self) -> bool:
        """Whether a write of this lane is under way."""
        return self._running > 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until one more write may be under way, for as long as the caller allows."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._running < self.width)
            self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            # The lock is only ever held for a moment, also where the caller is being cancelled.
            await asyncio.shield(asyncio.ensure_future(self._wake()))

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class _Open:
    """A lane in use: how many moves are in it, and the task that got hold of its ENIs."""

    def __init__(self, lane: Lane, gate: asyncio.Task[AsyncExitStack]) -> None:
        self.lane = lane
        self.gate = gate
        self.moves = 0


class Lanes:
    """All lanes of one daemon."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._open: dict[tuple[str | None, str], _Open] = {}

    @asynccontextmanager
    async def enter(self, source: str | None, target: str, touched: Sequence[str]) -> AsyncIterator[Lane]:
        """Enter the lane from one holder to another once the ENIs that it works on, `touched`, are free."""
        key = (source, target)
        if key not in self._open:
            self._open[key] = _Open(Lane(), asyncio.ensure_future(self._take(touched)))
        used = self._open[key]
        used.moves += 1
        try:
            await asyncio.shield(used.gate)
            yield used.lane
        finally:
            used.moves -= 1
            if used.moves == 0:
                del self._open[key]
                await _release(used.gate)

    async def _take(self, touched: Sequence[str]) -> AsyncExitStack:
        async with AsyncExitStack() as stack:
            for eni_id in touched:
                await stack.enter_async_context(self._locks.setdefault(eni_id, asyncio.Lock()))
            return stack.pop_all()


async def _release(gate: asyncio.Task[AsyncExitStack]) -> None:
    if gate.done():
        await gate.result().aclose()
    else:
        gate.cancel()  # which lets go of what it had
