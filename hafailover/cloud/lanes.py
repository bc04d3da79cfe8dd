"""Which writes may be under way together: the cloud works on an ENI for one request at a time, or so it says.

Whether it really refuses two writes on one ENI at once is not documented: what is mutually exclusive
(`UnsupportedOperation.MutexOperationTaskRunning`) may be the address. So at first writes go side by side. As soon
as the cloud has turned one away that shared an ENI with another of this daemon's, those that share one go one
after the other, for as long as the daemon lives: to find it out again after each loss would cost a request.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

WIDTH = 32  # requests at once; MigratePrivateIpAddress is limited to 50 a second


class Turn:
    """The right of one write to be under way."""

    def __init__(self, lanes: Lanes, enis: Sequence[str]) -> None:
        self._lanes = lanes
        self._enis = enis
        self._met = lanes.works_on(enis)

    def crowded(self) -> bool:
        """Return whether another write on one of these ENIs was under way at its beginning, or is now.

        To be asked by a write that the cloud has turned away: from here on there will be none.
        """
        met = self._met or self._lanes.works_on(self._enis, but=1)
        self._lanes.narrow = self._lanes.narrow or met
        return met


class Lanes:
    """All writes of one daemon. `narrow`: those that share an ENI wait for each other."""

    def __init__(self, width: int = WIDTH) -> None:
        self.narrow = False
        self._width = width
        self._running = 0
        self._on: Counter[str] = Counter()
        self._changed = asyncio.Condition()

    def works_on(self, enis: Sequence[str], *, but: int = 0) -> bool:
        """Return whether more than so many writes that work on one of these ENIs are under way."""
        return any(self._on[eni_id] > but for eni_id in enis)

    @asynccontextmanager
    async def turn(self, enis: Sequence[str]) -> AsyncIterator[Turn]:
        """Wait until one more write, on these ENIs, may be under way, for as long as the caller allows."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._has_room(enis))
            turn = Turn(self, enis)
            self._running += 1
            self._on.update(enis)
        try:
            yield turn
        finally:
            self._running -= 1
            self._on.subtract(enis)
            self._on += Counter()  # only what is above zero
            # The lock is only ever held for a moment, also where the caller is being cancelled.
            await asyncio.shield(asyncio.ensure_future(self._wake()))

    def _has_room(self, enis: Sequence[str]) -> bool:
        return self._running < self._width and not (self.narrow and self.works_on(enis))

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()
