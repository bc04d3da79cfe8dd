"""What is under a simulated daemon: its guest's network, its disk, its checks, hooks and the ways of its guards."""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING, Any

from hafailover.checks.result import Verdict
from hafailover.daemon import eipkeeper, historyfile, statefile
from hafailover.errors import GuestError
from hafailover.guest.hooks import HookResult
from hafailover.guest.network import Link
from tests.simulation.daemons.loop import OWNER
from tests.simulation.ground import addresses_of_enis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from hafailover.cloud.eips import Binding
    from hafailover.config.model import Group
    from hafailover.election.values import Memory
    from hafailover.guest.interface import Interface
    from tests.simulation.daemons.daemon import Incarnation

ENCODE, DECODE = statefile.encode, statefile.decode


def current() -> Incarnation:
    """Return the process whose code runs."""
    process: Any = OWNER.get()
    assert process is not None
    found: Incarnation = process
    return found


GATEWAY = "10.0.1.1"
LINK_LOOK_S = 0.1


class SimulatedGuest:
    """The guest's network of the host: slow, at times out of order; one operation at a time, as the real one."""

    def __init__(self) -> None:
        self._process = current()
        self._lock = asyncio.Lock()
        self._armed = self._process.wanted
        self._on_change: Callable[[str], None] | None = None
        self._process.guest = self

    async def open(self) -> None:
        """Get ready."""
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Leave all as it is."""
        await asyncio.sleep(0)

    async def find_link(self, *, mac: str | None = None, name: str | None = None) -> Link:
        """Find the interface, which a crippled guest has not. Raises GuestError."""
        await self._take_time()
        if self._process.host.crippled:
            raise GuestError("there is no such interface")
        return Link(2, name or "eth0", mac or "")

    async def arm(self, address: str, link: Link, eni: Interface | None = None) -> None:  # noqa: ARG002 - there is one interface
        """Answer for an address. Raises GuestError."""
        async with self._lock:
            await self._take_time()
            if self._process.host.crippled:
                raise GuestError(f"cannot add {address}")
            self._armed.add(address)
            self._process.host.guest.add(address)
            self._process.town.truth_changed()

    async def disarm(self, address: str) -> None:
        """Answer no more."""
        self._armed.discard(address)
        async with self._lock:
            await self._take_time()
            self._process.host.guest.discard(address)
            self._process.town.truth_changed()

    async def _take_time(self) -> None:
        town = self._process.town
        guest_ms = town.options.guest_ms + town.slow_guests_ms.get(self._process.name, 0)
        if guest_ms:
            await asyncio.sleep(guest_ms / 1000)

    async def plug(self, interface: Interface, *, deadline_s: float) -> None:
        """Have an ENI, waiting for its link. Raises GuestError."""
        eni, town = self._eni_of(interface.mac), self._process.town
        self._armed.add(eni)
        ends_s = asyncio.get_running_loop().time() + deadline_s
        while not town.plugs.there(self._process.host, eni):
            if asyncio.get_running_loop().time() >= ends_s:
                raise GuestError(f"no link of {eni}")
            await asyncio.sleep(LINK_LOOK_S)
        async with self._lock:
            await self._take_time()
            if eni in self._armed and town.plugs.there(self._process.host, eni):
                self._process.host.guest.add(eni)
                town.truth_changed()

    async def unplug(self, mac: str) -> None:
        """Have an ENI no more."""
        await self.disarm(self._eni_of(mac))

    async def unplug_others(self, keep: Iterable[str] = ()) -> None:
        """Do nothing: no earlier daemon with another file has left an ENI here."""

    async def lift_others(self, keep: Iterable[Group]) -> None:
        """Take off no routes and rules: no group of a life has any that follow its addresses."""

    async def plugged(self, macs: Iterable[str]) -> frozenset[str]:
        """Return those of the ENIs that the guest has."""
        return frozenset(mac for mac in macs if self._eni_of(mac) in self._process.host.guest)

    def _eni_of(self, mac: str) -> str:
        enis = self._process.town.cloud.network.enis.values()
        return next(eni.id for eni in enis if eni.mac.lower() == mac)

    async def present(self, addresses: Iterable[str]) -> frozenset[str]:
        """Return those of the addresses that the guest has."""
        return frozenset(addresses) & frozenset(self._process.host.guest)

    async def watch(self, on_change: Callable[[str], None]) -> None:
        """Tell of each address that somebody has taken away."""
        self._on_change = on_change
        await asyncio.Event().wait()

    def vanished(self, resource: str) -> None:
        """Notice that an address or an ENI, which is told by its MAC address, is gone."""
        if self._on_change is not None and resource in self._armed:
            eni = self._process.town.cloud.network.enis.get(resource)
            self._on_change(resource if eni is None else eni.mac.lower())


def second_writers(_link: Link) -> tuple[str, ...]:
    """Find nobody else who sets up network cards."""
    return ()


class Disk:
    """A host's disk: what was written last, and how it does."""

    def __init__(self) -> None:
        self.full = False
        self.hangs_ms = 0


def save(_directory: Path, memory: Memory) -> None:
    """Write the state file, through the real encoding. Raises OSError on a full disk."""
    process = current()
    if process.disk.full:
        raise OSError(errno.ENOSPC, "No space left on device")
    host = process.host
    host.older_memory, host.memory = host.memory, DECODE(ENCODE(memory))


def load(_directory: Path) -> tuple[Memory, str]:
    """Read the state file."""
    return DECODE(ENCODE(current().host.memory)), ""


def write(path: Path, text: bytes) -> None:
    """Write the EIPs' file, through the real encoding. Raises OSError on a full disk."""
    assert path.name == eipkeeper.FILE
    process = current()
    if process.disk.full:
        raise OSError(errno.ENOSPC, "No space left on device")
    process.host.note_eips(eipkeeper.decode(text))


def load_eips(_directory: Path) -> tuple[tuple[Binding, ...], str]:
    """Read the EIPs' file."""
    return eipkeeper.decode(eipkeeper.encode(current().host.eips)), ""


def save_history(_directory: Path, records: Sequence[dict[str, Any]]) -> None:
    """Write the history through the real encoding, to nowhere: it decides nothing."""
    historyfile.encode(records)


def load_history(_directory: Path) -> tuple[list[dict[str, Any]], str]:
    """Read no history."""
    return [], ""


class SimulatedProbe:
    """Looks whether the host's service is up."""

    def __init__(self) -> None:
        self._process = current()

    async def run(self, timeout_s: float) -> Verdict:
        """Look, which takes a moment; a service that is down answers nothing."""
        up = self._process.host.service
        await asyncio.sleep(0.002 if up else min(timeout_s, 0.05))
        return Verdict(up, "up" if up else "down")


async def run_hook(hook: str, _argv: object, _env: object, timeout_s: float) -> HookResult:
    """Run a hook, some of which take longer than they may."""
    took_s = current().rng.choice((0.0, 0.05, 2.0, 60.0))
    await asyncio.sleep(min(took_s, timeout_s))
    return HookResult(hook, 0 if took_s <= timeout_s else None, took_s > timeout_s, min(took_s, timeout_s))


async def is_restart(_environment: object) -> bool:
    """Ask systemd, which takes a moment, whether this daemon is to be started again."""
    process = current()
    await asyncio.sleep(0.002)
    return process.restarting


async def echo(_address: str, timeout_s: float) -> bool:
    """Ask whether the gateway answers, which it does wherever the host's card works."""
    process = current()
    dark = process.host.dark > 0
    await asyncio.sleep(timeout_s if dark else 2 * process.town.options.link_ms / 1000)
    return not dark


class Connection:
    """What a guard gets hold of where the service answers."""

    def close(self) -> None:
        """Let go."""


async def connect(address: str, _port: int) -> Connection:
    """Try to reach the service on an address, as the `vip` guard does. Raises OSError; may never return."""
    process = current()
    town = process.town
    await asyncio.sleep(2 * town.options.link_ms / 1000)
    resource = addresses_of_enis(town.options).get(address, address)
    host = town.by_holder.get(town.holder[resource] or "")
    if host is None or not host.powered or host.suspended:
        await asyncio.Event().wait()
    assert host is not None
    if host is not process.host and (process.name, host.member.name) in town.network.walls:
        await asyncio.Event().wait()
    if host is process.host or not town.serves(host, resource):
        raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
    return Connection()
