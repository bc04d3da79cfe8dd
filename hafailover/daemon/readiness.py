"""Looks ahead every five minutes: would a failover to this node work? By doctor's rules, at one read each time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from hafailover.daemon import clock
from hafailover.doctor import readiness
from hafailover.doctor.clouds import limits_of
from hafailover.doctor.ground import Ground
from hafailover.doctor.guest import Guest
from hafailover.doctor.machine import lacking
from hafailover.election.values import NodeName, State
from hafailover.errors import GuestError
from hafailover.guest.network import require_capability

if TYPE_CHECKING:
    from hafailover.config.model import Config
    from hafailover.daemon.parts import Parts
    from hafailover.doctor.readiness import Readiness
    from hafailover.election.node import Node

EVERY_S = 300.0
FIRST_S = 5.0  # between two looks whether the cloud was read at all
RESTING = (State.BACKUP, State.FAULT)

log = structlog.get_logger()


class Lookout:
    """Holds what was seen last. `node` is the core, which knows each node's ENI and what the groups are doing."""

    def __init__(self, config: Config, parts: Parts, node: Node) -> None:
        self.config = config
        self._parts = parts
        self._node = node
        self._seen: Readiness | None = None
        self._seen_at_ms = 0

    async def run(self) -> None:
        """Look until cancelled; a witness takes nothing over and has nothing to look at."""
        if self._parts.me.role == "witness":
            return
        while True:
            if self._parts.directory.enis:
                await self.look()
            await asyncio.sleep(FIRST_S if self._seen is None else EVERY_S)

    async def look(self) -> None:
        """Look once."""
        own = self._own_enis()
        enis = {eni.id: eni for eni in self._parts.directory.enis}
        ground = Ground(self.config, own, enis)
        limits = await limits_of(self._parts.cloud, ground.instance(self._parts.me))
        seen = await self._guest(ground)
        busy = {str(group.name) for group in self._node.groups.values() if group.state not in RESTING}
        self._note(readiness.examine(ground, self._parts.me, limits, seen, busy))

    def _own_enis(self) -> dict[str, str]:
        found = {node.name: self._node.context.member(NodeName(node.name)) for node in self.config.nodes}
        return {name: member.eni_id for name, member in found.items() if member is not None}

    async def _guest(self, ground: Ground) -> Guest | None:
        """Look at this machine, None where no group is put on it."""
        if all(group.guest == "none" for group in self.config.groups):
            return None
        guest, me = self._parts.guest, self._parts.me
        try:
            require_capability()
        except (GuestError, OSError):
            return Guest(capable=False)
        try:
            present = await guest.present(ground.addresses)
        except GuestError as error:
            return Guest(capable=True, error=str(error))
        try:
            link = await guest.find_link(mac=self._parts.directory.mac(self._parts.eni_id), name=me.interface)
            routes = await lacking(guest, self.config.groups, link)
        except GuestError as error:
            return Guest(capable=True, link_error=str(error), present=present)
        return Guest(capable=True, interface=link.name, present=present, lacking=routes)

    def _note(self, seen: Readiness) -> None:
        """Keep what was seen, and log what was not there before."""
        known = () if self._seen is None else self._seen.findings
        for finding in seen.findings:
            if finding not in known:
                log.warning("not_ready", finding=finding.name, about=finding.about, what=finding.what)
        self._seen, self._seen_at_ms = seen, clock.now_ms()

    def as_json(self) -> dict[str, Any]:
        """Return what the status says of it."""
        if self._seen is None:
            return {"age_s": None, "checks": {}, "findings": []}
        return {"age_s": (clock.now_ms() - self._seen_at_ms) / 1000, **self._seen.as_json()}
