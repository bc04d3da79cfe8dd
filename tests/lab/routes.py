"""The fabric's side of a move: what the cloud has applied becomes so in the router, and in the hosts' hardware.

An address is a route of the router, replaced when the cloud applies a move. A secondary ENI is a veth pair: it is
made when the cloud attaches it (which takes 2 ms; to take one from one namespace to another takes ten times that),
and its other end then is on the host, down and without anything but its MAC address, as a hot-plugged network card
is. It is removed a moment after the cloud has taken it away, when nothing leads there any more. The router knows
the MAC address of what an ENI carries without asking, as a VPC does.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyroute2 import AsyncIPRoute

from hafailover.guest.interface import GATEWAY6
from tests.lab.fabric import DRAIN_S, LabError, Slot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SCOPE_LINK = 253  # RT_SCOPE_LINK, linux/rtnetlink.h
PULLED_S = 0.1  # after this an ENI that the cloud has taken away is gone from the host
BATCH_S = 5.0


@dataclass(frozen=True, slots=True)
class RouterPort:
    """The router's side of a host: its interface, and the table for what is still on its way from there."""

    link: str
    drain_table: int


def _prefix(address: str) -> str:
    return f"{address}/128" if ":" in address else f"{address}/32"


@dataclass(slots=True)
class Routes:
    """Applies holder changes in their order, each within a few milliseconds.

    `ports` maps the id of a primary ENI to its port, `slots` that of a secondary one and of an instance to what it
    is made of there; an address that is on neither, or on an ENI that nobody has, goes to the interface `void`.
    `applied` tells of each: resource, holder, when the cloud applied it and when it was so (ns).
    """

    ports: dict[str, RouterPort]
    void: str
    slots: dict[tuple[str, str], Slot] = field(default_factory=dict)
    ipv6: bool = False
    applied: list[tuple[str, str, int, int]] = field(default_factory=list)
    _queue: asyncio.Queue[tuple[str, str, int]] = field(default_factory=asyncio.Queue)
    _holders: dict[str, str] = field(default_factory=dict)  # of each address and each secondary ENI
    _indexes: dict[str, int] = field(default_factory=dict)
    _draining: dict[tuple[str, str], asyncio.Task[None]] = field(default_factory=dict)
    _pulling: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def holder_changed(self, resource: str, holder: str | None) -> None:
        """Tell of a change; does not block. That of an EIP is only noted: nothing here has public addresses."""
        if resource.startswith("eip-"):
            self.applied.append((resource, holder or "", time.monotonic_ns(), time.monotonic_ns()))
            return
        self._queue.put_nowait((resource, holder or "", time.monotonic_ns()))

    async def run(self, ready: asyncio.Event) -> None:
        """Apply changes for ever; `ready` is set once the interfaces are known."""
        async with AsyncIPRoute() as kernel:
            for link in {self.void, *(port.link for port in self.ports.values())}:
                self._indexes[link] = await self._index(kernel, link)
            ready.set()
            enis = {eni for eni, _ in self.slots}
            while True:
                resource, holder, at_ns = await self._queue.get()
                before = self._holders.get(resource, "")
                self._holders[resource] = holder
                if resource in enis:
                    await self._plug(kernel, resource, before, holder)
                else:
                    await self._move(kernel, resource, before, holder)
                self.applied.append((resource, holder, at_ns, time.monotonic_ns()))
                self._queue.task_done()

    async def settled(self) -> None:
        """Wait until all is applied that was told of."""
        await self._queue.join()

    def _port(self, holder: str) -> RouterPort | None:
        slot = self.slots.get((holder, self._holders.get(holder, "")))
        return self.ports.get(holder) or (RouterPort(slot.link, slot.drain_table) if slot else None)

    # -- addresses ---------------------------------------------------------------------------------------------

    async def _move(self, kernel: Any, address: str, before: str, holder: str) -> None:
        port = self._port(holder)
        if holder not in self.ports and port:
            await _ip(self._neighbour(holder, address, port.link))
        await self._route(kernel, "replace", address, port.link if port else self.void)
        if before in self.ports:
            self._draining[address, before] = asyncio.create_task(self._drained(kernel, address, before))
        if holder in self.ports:
            await self._accept(kernel, address, holder)

    async def _accept(self, kernel: Any, address: str, holder: str) -> None:
        """Let the address be a source on this port for as long as its own table says so."""
        draining = self._draining.pop((address, holder), None)
        if draining is not None:
            draining.cancel()
        port = self.ports[holder]
        await self._route(kernel, "replace", address, port.link, table=port.drain_table)

    async def _drained(self, kernel: Any, address: str, holder: str) -> None:
        await asyncio.sleep(DRAIN_S)
        port = self.ports[holder]
        await self._route(kernel, "del", address, port.link, table=port.drain_table)

    async def _route(self, kernel: Any, verb: str, address: str, link: str, **table: int) -> None:
        scope = {} if ":" in address else {"scope": _SCOPE_LINK}
        await kernel.route(verb, dst=_prefix(address), oif=self._indexes[link], **scope, **table)

    # -- secondary ENIs ----------------------------------------------------------------------------------------

    async def _plug(self, kernel: Any, eni: str, before: str, instance: str) -> None:
        """Have an ENI on a host, with what leads there, and on the one before no more."""
        addresses = [address for address, holder in self._holders.items() if holder == eni]
        slot, old = self.slots.get((eni, instance)), self.slots.get((eni, before))
        if slot is None:
            await _ip([f"route replace {_prefix(address)} dev {self.void}" for address in addresses])
        else:
            if pulling := self._pulling.get(slot.link):
                await pulling
            await _ip(self._plugging(slot, eni, addresses))
            self._indexes[slot.link] = await self._index(kernel, slot.link)
        if old is not None:
            self._pulling[old.link] = asyncio.create_task(self._pull(old.link))

    def _plugging(self, slot: Slot, eni: str, addresses: Iterable[str]) -> Iterator[str]:
        end = f"peer name {slot.guest_link} address {slot.mac} netns {slot.namespace}"
        yield f"link add {slot.link} type veth {end}"
        if self.ipv6:
            yield f"addr add {GATEWAY6}/64 dev {slot.link} nodad"
        yield f"link set {slot.link} up"
        yield f"ntable change name arp_cache dev {slot.link} proxy_delay 0"
        for address in addresses:
            yield from self._neighbour(eni, address, slot.link)
            yield f"route replace {_prefix(address)} dev {slot.link}"

    def _neighbour(self, eni: str, address: str, link: str) -> Iterator[str]:
        mac = next(slot.mac for (name, _), slot in self.slots.items() if name == eni)
        yield f"neigh replace {address} lladdr {mac} dev {link} nud permanent"

    async def _pull(self, link: str) -> None:
        await asyncio.sleep(PULLED_S)
        await _ip([f"link del {link}"])
        self._pulling.pop(link, None)

    @staticmethod
    async def _index(kernel: Any, name: str) -> int:  # pyroute2 has no types
        return int((await kernel.link_lookup(ifname=name))[0])


async def _ip(lines: Iterable[str]) -> None:
    """Carry out commands of `ip` in one go. Raises LabError."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("ip", "-batch", "-", stdin=pipe, stderr=pipe)
    _, complaint = await asyncio.wait_for(process.communicate("\n".join((*lines, "")).encode()), BATCH_S)
    if process.returncode:
        raise LabError(f"ip -batch: {complaint.decode()}")
