"""Secondary ENIs on the guest: set up when the cloud attaches them, taken off before it moves them, and watched.

What an ENI is to be like, and why, says `difference`. Everything is compared with what the kernel has, and only
what differs is changed, whoever made it so; all may be done any number of times. What one ENI has in the kernel
is found by the number of its table, so that a restarted daemon, or one with another configuration, takes off what
a dead one has left, also when the ENI has been gone for long: the kernel removes addresses and routes with an
interface, but not the rules.

An interface is found by its MAC address and brought up as soon as it is there. Its name plays no part: on a kernel
before 6.2 udev can no longer give it another one then.
"""

from __future__ import annotations

import asyncio
import errno
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from hafailover.errors import GuestError
from hafailover.guest import notices, seen
from hafailover.guest.changes import Changes
from hafailover.guest.difference import ANY4, ANY6, Route, Rule, Seen, difference
from hafailover.guest.interface import Interface, is_moving, is_own, table_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from hafailover.guest.kernel import Kernel

log = structlog.get_logger()

_ROUNDS: Final = 4  # a change may bring others: an interface that comes up brings its connected routes
_LOOKED_AGAIN_S: Final = 5.0  # for a link whose notification was lost


@dataclass(frozen=True, slots=True)
class _Remains:
    """What the kernel has of one ENI; `index` is None where its interface has gone."""

    index: int | None
    entries: tuple[seen.Entry, ...]
    rules: tuple[Rule, ...]
    routes: tuple[Route, ...]

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses that are, or were, the ENI's."""
        there = (*(entry.address for entry in self.entries), *(rule.source for rule in self.rules))
        return tuple(dict.fromkeys(there))


class Plugs:
    """The secondary ENIs of one guest. `end_flows` ends the connections of addresses, and raises nothing.

    Operations may be called at the same time; they are carried out one after another.
    """

    def __init__(self, kernel: Kernel, end_flows: Callable[[Iterable[str]], Awaitable[None]]) -> None:
        self._kernel = kernel
        self._end_flows = end_flows
        self._asked: dict[str, Interface] = {}  # `plug` is at it
        self._plugged: dict[str, Interface] = {}

    async def plug(self, interface: Interface, deadline_s: float) -> None:
        """Have the ENI as described, as soon as its interface is there. Raises GuestError."""
        self._refuse_a_shared_table(interface)
        self._asked[interface.mac] = interface
        try:
            async with asyncio.timeout(deadline_s):
                await self._plug_when_there(interface)
        except TimeoutError:
            raise GuestError(
                f"cannot set up the interface with the MAC address {interface.mac}: it has not come within"
                f" {deadline_s:g} s; is the ENI attached to this instance?"
            ) from None
        finally:
            if self._asked.get(interface.mac) is interface:
                del self._asked[interface.mac]

    def _refuse_a_shared_table(self, interface: Interface) -> None:
        for mac in (*self._plugged, *self._asked):
            if mac != interface.mac and table_of(mac) == interface.table:
                raise GuestError(f"{interface.mac} and {mac} would share route table {interface.table}")

    async def _plug_when_there(self, interface: Interface) -> None:
        with notices.subscribe(notices.LINKS) as sock:  # before the first look, so that nothing is missed
            while not await self._set_up(interface):
                await notices.wait(sock, _LOOKED_AGAIN_S)

    async def _set_up(self, interface: Interface) -> bool:
        """Make the interface what it is to be; False where it is not there (any more)."""
        async with self._kernel.lend(f"set up {interface.mac}") as route:
            if self._asked.get(interface.mac) is not interface:
                raise GuestError(f"cannot set up {interface.mac}: it was to be taken off, or set up otherwise")
            try:
                there = await self._make_so(route, interface)
            except (self._kernel.refusal, OSError) as error:
                if errno.ENODEV not in (getattr(error, "code", None), getattr(error, "errno", None)):
                    raise
                return False
            if there:
                self._plugged[interface.mac] = interface
            return there

    async def _make_so(self, route: Any, interface: Interface) -> bool:  # noqa: ANN401 - pyroute2 is not typed
        for _ in range(_ROUNDS):
            state = await _look(route, interface.mac)
            if state is None:
                return False
            todo = difference(interface, state)
            if not todo:
                self._say_what_is_left_out(interface, state)
                return True
            present = [entry for entry in await seen.entries(route) if entry.index == state.index]
            await Changes(self._kernel, route).carry_out(state.index, todo, present)
        raise GuestError(f"cannot set up {interface.mac}: it does not stay so, somebody else changes it")

    @staticmethod
    def _say_what_is_left_out(interface: Interface, state: Seen) -> None:
        left_out = [address for address in interface.addresses if ":" in address and not state.ipv6]
        if left_out:
            log.warning("ipv6_is_off", mac=interface.mac, not_set_up=left_out)

    async def unplug(self, mac: str) -> None:
        """Take off everything that the ENI has, and its interface down where that is still there.

        Its connections are ended. Raises GuestError.
        """
        self._forget(table_of(mac))
        await self._take_off(mac, partial(_remains, mac=mac))

    async def unplug_others(self, keep: Iterable[str]) -> None:
        """Unplug all of which the kernel has anything of ours, but for these MAC addresses. Raises GuestError."""
        kept = {table_of(mac) for mac in keep}
        async with self._kernel.lend("read rules and routes") as route:
            tables = {rule.table for rule in await seen.rules(route)}
            tables |= {one.table for one in await seen.routes(route)}
        for table in sorted(filter(is_moving, tables - kept)):
            self._forget(table)
            await self._take_off(f"table {table}", partial(_remains_in, table=table))

    def _forget(self, table: int) -> None:
        for known in (self._asked, self._plugged):
            for mac in [mac for mac in known if table_of(mac) == table]:
                del known[mac]

    async def _take_off(self, what: str, look: Callable[[Any], Awaitable[_Remains]]) -> None:
        async with self._kernel.lend(f"take off {what}") as route:  # all at once: a later `plug` comes after it
            remains = await look(route)
            await self._end_flows(remains.addresses)  # while their resets can still leave
            await self._remove(Changes(self._kernel, route), remains)
        await self._end_flows(remains.addresses)

    @staticmethod
    async def _remove(changes: Changes, remains: _Remains) -> None:
        for entry in remains.entries:
            await changes.remove_address(entry)
        for rule in remains.rules:
            await changes.remove_rule(rule)
        for route in remains.routes:
            await changes.remove_route(route)
        if remains.index is not None:
            await changes.take_down(remains.index)

    async def plugged(self, macs: Iterable[str]) -> frozenset[str]:
        """Return those of the ENIs that are as `plug` was last asked to have them.

        One that an earlier process has plugged is judged by what that has left: whole, or not. Raises GuestError.
        """
        async with self._kernel.lend("read interfaces") as route:
            return frozenset([mac for mac in macs if self._is_whole(mac, await _look(route, mac))])

    def _is_whole(self, mac: str, state: Seen | None) -> bool:
        if state is None:
            return False
        interface = self._plugged.get(mac)
        return not difference(interface, state) if interface else _looks_whole(state, table_of(mac))

    async def lost(self) -> tuple[str, ...]:
        """Return the plugged ENIs that lack anything or have something too much. Raises GuestError."""
        asked = tuple(self._plugged)  # before the kernel is read: what is plugged meanwhile has lost nothing
        if not asked:
            return ()
        whole = await self.plugged(asked)
        return tuple(mac for mac in asked if mac not in whole and mac in self._plugged)


async def _look(route: Any, mac: str) -> Seen | None:  # noqa: ANN401 - pyroute2 is not typed
    found = seen.with_mac(await seen.links(route), mac)
    if len(found) > 1:
        names = ", ".join(seen.link_of(message).name for message in found)
        raise GuestError(f"more than one interface with the MAC address {mac}: {names}")
    return await seen.of_eni(route, found[0], table_of(mac)) if found else None


def _looks_whole(state: Seen, table: int) -> bool:
    sources = {rule.source for rule in state.rules if rule.table == table}
    ways = {route.destination for route in state.routes if route.table == table}
    needed = {ANY6 if ":" in source else ANY4 for source in sources}
    return state.up and bool(sources) and sources <= state.addresses and needed <= ways


async def _remains(route: Any, mac: str) -> _Remains:  # noqa: ANN401 - pyroute2 is not typed
    """Return what the kernel has of an ENI whose MAC address is known: its whole interface is meant."""
    found = seen.with_mac(await seen.links(route), mac)
    return await _remains_of(route, table_of(mac), found[0]["index"] if found else None)


async def _remains_in(route: Any, table: int) -> _Remains:  # noqa: ANN401 - pyroute2 is not typed
    """Return what the kernel has by a table; an interface is meant only where something of ours is on it too.

    One that has a table of a node's own ENI is such a one by now: its link and addresses stay.
    """
    fitting = {m["index"] for m in await seen.links(route) if seen.mac_of(m) and table_of(seen.mac_of(m)) == table}
    sources = {rule.source for rule in await seen.rules(route) if rule.table == table}
    all_routes = await seen.routes(route)
    marked = {one.index for one in all_routes if one.table == table}
    marked |= {entry.index for entry in await seen.entries(route) if entry.address in sources}
    marked -= {one.index for one in all_routes if is_own(one.table)}
    return await _remains_of(route, table, min(fitting & marked, default=None))


async def _remains_of(route: Any, table: int, index: int | None) -> _Remains:  # noqa: ANN401 - pyroute2 is not typed
    return _Remains(
        index,
        tuple(e for e in await seen.entries(route) if e.index == index and not e.address.startswith("fe80:")),
        tuple(sorted(rule for rule in await seen.rules(route) if rule.table == table)),
        tuple(sorted(one for one in await seen.routes(route) if one.table == table)),
    )
