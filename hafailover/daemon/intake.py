"""How a running daemon takes in another version of the file, once that is known to be good and to need no restart.

What may refuse comes first, and has changed nothing then: the cloud, which must know where a new node is; the core,
where a group is to go with which something is under way, or a node that is still there; the heartbeats. The rest
happens between two turns of the core, which is told last; what is a group's that goes is put away when the core has
let go of it.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hafailover.daemon import clock, leftovers, translate
from hafailover.election import roster
from hafailover.election.events import Reconfigured
from hafailover.election.values import GroupName, NodeName, State
from hafailover.errors import StartError
from hafailover.observe.log import set_level

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from hafailover.config.model import Config, Group
    from hafailover.daemon.checkers import Checkers
    from hafailover.daemon.observer import Observer
    from hafailover.daemon.parts import Parts
    from hafailover.daemon.performer import Performer
    from hafailover.daemon.places import Places
    from hafailover.daemon.systemd import Notifier
    from hafailover.daemon.wires import Wires
    from hafailover.election.events import Event
    from hafailover.election.node import Node

Json = dict[str, Any]

PLACES_S = 5.0  # for the cloud to say where a new node is; who asked for the reload waits


@dataclass(frozen=True, slots=True)
class Rooms:
    """All that must know the file. `post` queues an event of the core `node`, `spawn` starts a task."""

    node: Node
    parts: Parts
    wires: Wires
    performer: Performer
    observer: Observer
    checkers: Checkers
    systemd: Notifier
    post: Callable[[Event], None]
    spawn: Callable[[Coroutine[object, object, None]], object]


class Intake:
    """Holds where the nodes are, as of the file in force."""

    def __init__(self, rooms: Rooms, places: Places) -> None:
        self._rooms = rooms
        self._places = places
        self._asks_gateway = False

    async def apply(self, old: Config, new: Config) -> Json:
        """Take in a file; return what else there is to answer. Raises StartError, and nothing has changed then."""
        places = await self._ask_for_places(new)
        rooms, names = self._rooms, {group.name for group in new.groups}
        going = [group for group in old.groups if group.name not in names]
        dismissed = [self._parting(group, new) for group in going]
        self._let_go(old, new)
        rooms.wires.configure(new)
        self._places = places
        rooms.parts.directory.configure(places.enis.values(), places.instances.values())
        rooms.parts.eips.configure(new.addresses)
        rooms.performer.configure(new)
        rooms.observer.configure(new)
        rooms.systemd.configure(new.heartbeat.interval_ms)
        rooms.checkers.configure(new.groups)
        self.watch_gateway(new)
        set_level(new.log.level)
        if (directory := leftovers.directory_of(os.environ)) is not None:
            leftovers.renew(directory, new.groups)
        rooms.post(Reconfigured(places.members(new), translate.timing(new), translate.policies(new), new.digest))
        return {"dismissed": dismissed}

    def watch_gateway(self, config: Config) -> None:
        """Begin to ask the gateway now and then, once a group has that guard."""
        if not self._asks_gateway and any("gateway" in group.guards for group in config.groups):
            self._asks_gateway = True
            self._rooms.spawn(self._rooms.parts.gateway.watch())

    async def _ask_for_places(self, config: Config) -> Places:
        try:
            async with asyncio.timeout(PLACES_S):
                return await self._places.of(config)
        except TimeoutError:
            raise StartError(f"the cloud did not say within {PLACES_S:g} s where the new nodes are") from None

    def _let_go(self, old: Config, new: Config) -> None:
        """Raise StartError where a node that the file names no longer cannot go now."""
        core, remaining = self._rooms.node, {node.name for node in new.nodes}
        for name in (node.name for node in old.nodes if node.name not in remaining):
            why = roster.blocks(NodeName(name), core.groups.values(), core.context, clock.now_ms())
            if why is not None:
                raise StartError(f'node "{name}" cannot go now: {why.value}')

    def _parting(self, group: Group, new: Config) -> Json:
        """Say what becomes of a group that the file names no longer; StartError where it cannot go now."""
        core = self._rooms.node.groups.get(GroupName(group.name))
        if core is None:  # it came a moment ago, and the core has not begun with it
            return {"name": group.name, "state": State.INIT.value, "stays": [], "guest": False}
        if roster.unsettled(core, clock.now_ms()):
            raise StartError(
                f'group "{group.name}" cannot go now: a claim or hand-over of it is under way, or its end not known'
            )
        elsewhere = {each for other in new.groups for each in (*other.addresses, *other.enis)}
        stays = [resource.id for resource in roster.staying(core) if resource.id not in elsewhere]
        return {"name": group.name, "state": core.state.value, "stays": stays, "guest": group.guest != "none"}
