"""The routes and rules that follow a group's addresses: laid when it serves, lifted before the addresses go.

Not before that, though the addresses are armed earlier: a route with such an address as its source would lead the
node's own calls to the cloud out with an address that the VPC has elsewhere, and drops. What is in their way is
looked for earlier, without touching anything (`lacking`), so that a claim that would end in a fault is not begun.
"""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hafailover.config.routing import VirtualRoute
from hafailover.guest import seen
from hafailover.guest.changes import Changes
from hafailover.guest.kernel import explain
from hafailover.guest.virtual import matching, missed, obstacles, on_device, refuse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hafailover.config.model import Group
    from hafailover.config.routing import Virtual
    from hafailover.guest.kernel import Kernel
    from hafailover.guest.network import Link


class Virtuals:
    """The routes and rules of one guest's groups. `expected` tells whether any group has some."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._laid: dict[str, tuple[Group, tuple[Virtual, ...]]] = {}
        self.expected = False

    async def lay(self, group: Group, link: Link) -> None:
        """Have all that follows the group's addresses. Raises GuestError, with what the kernel refuses in it."""
        self._laid.pop(group.name, None)
        wanted = _resolved(group, link)
        async with self._kernel.lend(f"read the routes of group {group.name}") as route:
            standing = await seen.standing(route)
            lacking = obstacles(wanted, standing, ())
            refuse(lacking)
            changes = Changes(self._kernel, route)
            for each in matching(standing.virtual, wanted) - set(wanted):
                await changes.remove_virtual(each)
            for each in lacking:
                await self._add(changes, each)
            self._laid[group.name] = group, wanted

    async def _add(self, changes: Changes, each: Virtual) -> None:
        try:
            await changes.add_virtual(each)
        except self._kernel.refusal as error:
            refuse({each: explain(error.code)})

    async def lift(self, group: Group) -> None:
        """Take off all that follows the group's addresses, also what a dead process has left. Raises GuestError."""
        self._laid.pop(group.name, None)
        async with self._kernel.lend(f"remove the routes of group {group.name}") as route:
            there = (await seen.standing(route)).virtual
            await self._remove(route, matching(there, group.followers))

    async def lift_others(self, keep: Iterable[Group]) -> None:
        """Take off all of ours that follows the addresses of none of these groups. Raises GuestError."""
        meant = [each for group in keep for each in group.followers]
        self.expected = bool(meant)
        async with self._kernel.lend("remove routes of earlier groups") as route:
            there = (await seen.standing(route)).virtual
            await self._remove(route, there - matching(there, meant))

    async def _remove(self, route: Any, leaving: Iterable[Virtual]) -> None:  # noqa: ANN401 - pyroute2 is not typed
        """Remove the rules first: they lead to the routes."""
        for each in sorted(leaving, key=lambda each: isinstance(each, VirtualRoute)):
            await Changes(self._kernel, route).remove_virtual(each)

    async def lacking(self, group: Group, link: Link) -> Mapping[str, str]:
        """Return what of it is not there, each with what is in its way, "" where nothing is. Raises GuestError."""
        wanted = _resolved(group, link)
        async with self._kernel.lend(f"read the routes of group {group.name}") as route:
            standing = await seen.standing(route)
        found = obstacles(wanted, standing, group.addresses)
        return {str(each): obstacle for each, obstacle in found.items()}

    async def lost(self) -> frozenset[str]:
        """Return an address of each group that misses anything of what was laid. Raises GuestError."""
        laid = dict(self._laid)
        if not laid:
            return frozenset()
        async with self._kernel.lend("read routes") as route:
            standing = await seen.standing(route)
        missing = (group for group, wanted in laid.values() if missed(wanted, standing))
        return frozenset(group.addresses[0] for group in missing if group.name in self._laid)


def _resolved(group: Group, link: Link) -> tuple[Virtual, ...]:
    """Return what follows the group's addresses, each route with the name that the kernel gives its interface."""
    return tuple(
        replace(each, device=_name_of(each.device)) if isinstance(each, VirtualRoute) and each.device else each
        for each in on_device(group.followers, link.name)
    )


def _name_of(device: str) -> str:
    """Return an interface's first name: the file may have an alternative one. One that is not there stays."""
    try:
        return socket.if_indextoname(socket.if_nametoindex(device))
    except OSError:
        return device
