"""The fabric's side of a move: the router's route for an address, replaced when the cloud applies a move."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from pyroute2 import AsyncIPRoute

from tests.lab.fabric import DRAIN_S

_SCOPE_LINK = 253  # RT_SCOPE_LINK, linux/rtnetlink.h


@dataclass(frozen=True, slots=True)
class RouterPort:
    """The router's side of a host: its interface, and the table for what is still on its way from there."""

    link: str
    drain_table: int


@dataclass(slots=True)
class Routes:
    """Applies holder changes in their order, each within about a millisecond.

    `ports` maps the id of a holder to its port; any other holder, or none, means the interface `void`.
    `applied` tells of each: address, holder, when the cloud applied it and when the route was in place (ns).
    """

    ports: dict[str, RouterPort]
    void: str
    applied: list[tuple[str, str, int, int]] = field(default_factory=list)
    _queue: asyncio.Queue[tuple[str, str, int]] = field(default_factory=asyncio.Queue)
    _draining: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def holder_changed(self, address: str, holder: str | None) -> None:
        """Tell of a change; does not block."""
        self._queue.put_nowait((address, holder or "", time.monotonic_ns()))

    async def run(self, ready: asyncio.Event) -> None:
        """Apply changes for ever; `ready` is set once the interfaces are known."""
        async with AsyncIPRoute() as kernel:
            links = {self.void, *(port.link for port in self.ports.values())}
            indexes = {link: await self._index(kernel, link) for link in links}
            ready.set()
            before = ""
            while True:
                address, holder, at_ns = await self._queue.get()
                port = self.ports.get(holder)
                index = indexes[port.link if port else self.void]
                await kernel.route("replace", dst=f"{address}/32", oif=index, scope=_SCOPE_LINK)
                self.applied.append((address, holder, at_ns, time.monotonic_ns()))
                if before in self.ports:
                    self._draining[before] = asyncio.create_task(self._drained(kernel, address, before))
                if port:
                    await self._accept(kernel, address, holder, index)
                before = holder

    async def _accept(self, kernel: Any, address: str, holder: str, index: int) -> None:
        """Let the address be a source on this port for as long as its own table says so."""
        draining = self._draining.pop(holder, None)
        if draining is not None:
            draining.cancel()
        table = self.ports[holder].drain_table
        await kernel.route("replace", dst=f"{address}/32", oif=index, scope=_SCOPE_LINK, table=table)

    async def _drained(self, kernel: Any, address: str, holder: str) -> None:
        await asyncio.sleep(DRAIN_S)
        table = self.ports[holder].drain_table
        await kernel.route("del", dst=f"{address}/32", scope=_SCOPE_LINK, table=table)

    @staticmethod
    async def _index(kernel: Any, name: str) -> int:  # pyroute2 has no types
        return int((await kernel.link_lookup(ifname=name))[0])
