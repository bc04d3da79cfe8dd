"""The way back from a node's own ENI, where that is a secondary one: answers from an address on it leave by it.

By the main table they would leave through the first network card, and the VPC drops there what has the source of
another ENI. So each address that is armed on it has a rule, and the rules lead into a table with the subnet and the
gateway, just as those of an ENI that moves (`plugs`). All else of a node's own ENI is somebody else's, who may have
rules and tables for it too: its link is set up where an address is to be armed on one that is down, and never set
down; its own addresses and the routes in the main table stay; and the number of the table is another one than that
of an ENI that moves, so that what takes those off (`Plugs.unplug_others`) cannot mean it, even after a crash.
"""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hafailover.guest import seen
from hafailover.guest.changes import Changes
from hafailover.guest.difference import addition, canonical
from hafailover.guest.interface import is_own

if TYPE_CHECKING:
    from hafailover.guest.difference import Seen
    from hafailover.guest.interface import Interface
    from hafailover.guest.kernel import Kernel
    from hafailover.guest.network import Link


class Ways:
    """The ways of the armed addresses of one guest. What takes a `route` works by a socket that is lent."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._known: dict[str, tuple[Link, Interface]] = {}

    async def pave(self, route: Any, address: str, link: Link, eni: Interface | None) -> None:  # noqa: ANN401 - pyroute2 is not typed
        """Let what comes from the address leave by the link, which is that of the ENI; None is the primary one.

        Raises the library's refusals, and OSError.
        """
        self._known.pop(address, None)
        if eni is None:
            return
        state = await _look(route, link, eni)
        if state is None:
            raise OSError(errno.ENODEV, "the interface is gone")
        await Changes(self._kernel, route).carry_out(state.index, addition(eni, address, state), [])
        self._known[address] = link, replace(eni, addresses=())

    async def close(self, route: Any, address: str) -> None:  # noqa: ANN401 - pyroute2 is not typed
        """Take off the rules of an address, also those of a dead process, and the routes that no rule needs now."""
        self._known.pop(address, None)
        rules = {rule for rule in await seen.rules(route) if is_own(rule.table)}
        leaving = {rule for rule in rules if rule.source == canonical(address)}
        changes = Changes(self._kernel, route)
        for rule in sorted(leaving):
            await changes.remove_rule(rule)
        idle = {rule.table for rule in leaving} - {rule.table for rule in rules - leaving}
        for one in await seen.routes(route) if idle else ():
            if one.table in idle:
                await changes.remove_route(one)

    async def lost(self) -> frozenset[str]:
        """Return the addresses whose way is not as it was paved. Raises GuestError.

        Without its link, or while somebody has set that down, there is no way to miss; when it is set up again,
        there is.
        """
        known = dict(self._known)
        if not known:
            return frozenset()
        async with self._kernel.lend("read rules and routes") as route:
            states = {(link, eni): await _look(route, link, eni) for link, eni in set(known.values())}
        return frozenset(each for each, (link, eni) in known.items() if _lacks(each, eni, states[link, eni]))


def _lacks(address: str, eni: Interface, state: Seen | None) -> bool:
    return state is not None and state.up and bool(addition(eni, address, state))


async def _look(route: Any, link: Link, eni: Interface) -> Seen | None:  # noqa: ANN401 - pyroute2 is not typed
    found = [message for message in await seen.links(route) if message["index"] == link.index]
    return await seen.of_eni(route, found[0], eni.table) if found else None
