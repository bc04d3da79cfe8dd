"""The fabric's side of a move: the router's route for an address, replaced when the cloud applies a move."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from pyroute2 import AsyncIPRoute

_SCOPE_LINK = 253  # RT_SCOPE_LINK, linux/rtnetlink.h


@dataclass(slots=True)
class Routes:
    """Applies holder changes in their order, each within about a millisecond.

    `links` maps the id of a holder to the router's interface towards it; any other holder, or none, means
    `void`. `applied` tells of each: address, holder, when the cloud applied it and when the route was in
    place (ns).
    """

    links: dict[str, str]
    void: str
    applied: list[tuple[str, str, int, int]] = field(default_factory=list)
    _queue: asyncio.Queue[tuple[str, str, int]] = field(default_factory=asyncio.Queue)

    def holder_changed(self, address: str, holder: str | None) -> None:
        """Tell of a change; does not block."""
        self._queue.put_nowait((address, holder or "", time.monotonic_ns()))

    async def run(self, ready: asyncio.Event) -> None:
        """Apply changes for ever; `ready` is set once the interfaces are known."""
        async with AsyncIPRoute() as kernel:
            indexes = {name: await self._index(kernel, name) for name in {*self.links.values(), self.void}}
            ready.set()
            while True:
                address, holder, at_ns = await self._queue.get()
                link = indexes[self.links.get(holder, self.void)]
                await kernel.route("replace", dst=f"{address}/32", oif=link, scope=_SCOPE_LINK)
                self.applied.append((address, holder, at_ns, time.monotonic_ns()))

    @staticmethod
    async def _index(kernel: Any, name: str) -> int:  # pyroute2 has no types
        return int((await kernel.link_lookup(ifname=name))[0])
