"""Tells the broker how this node and its groups are, and what happens to them.

Statuses are kept by the broker and replaced where they differ from what it has; they are looked at when something
happened, and every few seconds, since much changes in silence. Events are told once each and wait for a broker that
is away, within the link's bound.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

from hafailover.daemon import clock
from hafailover.observe import bulletin
from hafailover.observe.history import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hafailover.broker.link import Link
    from hafailover.election.effects import Refrained, RoleChanged

LOOKED_AT_EVERY_S: Final = 5.0
GAP_S: Final = 0.1  # before each look: what changes together is told together, and a claim's call goes first


class Announcer:
    """One node's word to the world. `status` returns what `status --json` prints; `root` begins all topics."""

    def __init__(
        self, link: Link, *, root: str, cluster: str, node: str, boot: str, status: Callable[[], Mapping[str, Any]]
    ) -> None:
        self._link = link
        self._root = root
        self._cluster = cluster
        self._node = node
        self._boot = boot
        self._status = status
        self._told: dict[str, Any] = {}
        self._events = 0
        self._changed = asyncio.Event()
        link.when_up(self._begin_anew)

    def _begin_anew(self, _connection: int) -> None:
        """Tell everything again: the broker may have lost it."""
        self._told.clear()
        self._changed.set()

    async def run(self) -> None:
        """Keep the statuses up to date, for ever."""
        while True:
            try:
                async with asyncio.timeout(LOOKED_AT_EVERY_S):
                    await self._changed.wait()
            except TimeoutError:
                pass
            await asyncio.sleep(GAP_S)
            self._changed.clear()
            if self._link.state.connected:
                self._tell_status()

    def _tell_status(self) -> None:
        status = self._status()
        self._keep(f"status/{self._node}", bulletin.of_node(status, self._cluster))
        for group, document in bulletin.of_groups(status, self._cluster).items():
            self._keep(f"status/{self._node}/{group}", document)

    def _keep(self, topic: str, document: dict[str, Any]) -> None:
        if self._told.get(topic) != document:
            self._told[topic] = document
            self._link.keep(f"{self._root}/{topic}", _bytes({**document, "at": timestamp(clock.wall_ms())}))

    def forget(self, group: str) -> None:
        """Have the broker keep nothing more of a group that has gone, here and as far as this node is concerned."""
        topic = f"status/{self._node}/{group}"
        self._told.pop(topic, None)
        self._link.keep(f"{self._root}/{topic}", b"")

    def role(self, effect: RoleChanged) -> None:
        """Tell of a change of state."""
        self._post(bulletin.of_role(effect))

    def refrained(self, effect: Refrained) -> None:
        """Tell that this node hears no master and holds back."""
        self._post(bulletin.of_refrained(effect))

    def failover(self, record: Mapping[str, Any]) -> None:
        """Tell of a claim or hand-over that has ended."""
        self._post(bulletin.of_failover(record))

    def _post(self, document: dict[str, Any]) -> None:
        self._events += 1
        head = {
            "schema": bulletin.SCHEMA,
            "id": f"{self._boot}-{self._events}",
            "at": timestamp(clock.wall_ms()),
            "cluster": self._cluster,
            "node": self._node,
        }
        self._link.post(f"{self._root}/event/{self._node}", _bytes({**head, **document}))
        self._changed.set()


def _bytes(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
