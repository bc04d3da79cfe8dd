"""Gathers everything and puts the report together: all that can be done at once is, and nothing waits for ever."""

from __future__ import annotations

import asyncio
import random
import socket
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from hafailover.cloud.client import Cloud
from hafailover.cloud.credentials import credential_source
from hafailover.cloud.metadata import Metadata
from hafailover.config import advice
from hafailover.config.identity import find_self, is_witness
from hafailover.control import client
from hafailover.doctor import access, clouds, machine, peers
from hafailover.doctor.findings import Finding, Report, Seen, in_order, joined, judged, unknown, warning
from hafailover.doctor.guest import guest
from hafailover.doctor.listening import listen
from hafailover.errors import ConfigError, ControlError, CredentialsError, MetadataError, UnreachableError

if TYPE_CHECKING:
    from pathlib import Path

    from hafailover.cloud.api import ApiCall
    from hafailover.cloud.credentials import CredentialSource
    from hafailover.config.model import Config, Node

STATUS_TIMEOUT_S = 5.0
AGAIN_S = 1.0  # between two looks at what the daemon has thrown away
BUSY = ("CLAIMING", "RELEASING")

Answer = dict[str, Any] | UnreachableError | ControlError


class Doctor:
    """One examination. `socket_path` is the daemon's control socket. Raises ConfigError where no node fits."""

    def __init__(self, config: Config, node_option: str | None, socket_path: Path) -> None:
        self._config = config
        self._node_option = node_option
        self._socket = socket_path
        self._offset_s: float | None = None

    async def examine(self) -> Report:
        """Look at everything and return the report."""
        hostname = socket.gethostname()
        roles = {node.name: node.role for node in self._config.nodes}
        async with AsyncExitStack() as stack:
            service = Metadata(self._config.cloud.metadata_url)
            stack.push_async_callback(service.close)
            witness = is_witness(roles, node_option=self._node_option, hostname=hostname)
            said = access.Metadata() if witness else await _ask_metadata(service)
            me = self._find_self(hostname, said.instance_id)
            status = await _status(self._socket)
            heard = asyncio.create_task(self._peers(me, status))
            parts = [Seen(tuple(self._advice()))]
            try:
                if me.role == "member":
                    parts.append(await self._member(me, service, said, status, stack))
                parts.append(await heard)
            finally:
                heard.cancel()
        seen = joined(parts)
        return Report(
            file=str(self._config.path),
            digest=self._config.digest.hex(),
            cluster=self._config.cluster.name,
            node=me.name,
            findings=in_order(seen.findings),
            notes=seen.notes,
            proven=seen.proven,
        )

    def _find_self(self, hostname: str, instance_id: str | None) -> Node:
        """Find this node as the daemon does; one whose instance is another one is found too, and reported."""
        try:
            return find_self(
                self._config, node_option=self._node_option, hostname=hostname, instance_id=instance_id
            )
        except ConfigError:
            return find_self(self._config, node_option=self._node_option, hostname=hostname, instance_id=None)

    def _advice(self) -> list[Finding]:
        return [warning("check", each.key, each.message) for each in advice.warnings(self._config)]

    async def _member(
        self,
        me: Node,
        service: Metadata,
        said: access.Metadata,
        status: Answer,
        stack: AsyncExitStack,
    ) -> Seen:
        """Look at what a witness has no part in: metadata, keys, the cloud, and this machine's network."""
        settings = self._config.cloud
        told = access.metadata(settings, me, said)
        region = settings.region or said.region
        credentials = credential_source(settings, service)
        held = await _keys(credentials, attended=settings.credentials.startswith("role"))
        if told.findings and held.error:
            return told  # they come from the service that does not answer
        locked = judged(access.keys(held), "there are keys")
        if held.error or region is None or any(each.name == "metadata-region" for each in told.findings):
            return joined((told, locked))  # the cloud would say the same in other words
        cloud = Cloud(settings, credentials, region=region, observer=self._observe, rng=random.SystemRandom())
        stack.push_async_callback(cloud.close)
        asked = await clouds.ask(cloud, self._config, me, said.instance_id)
        dated = Seen(tuple(access.clock(self._offset_s)))
        here = await self._machine(me, asked, status)
        return joined((told, locked, asked.seen, dated, here))

    def _observe(self, call: ApiCall) -> None:
        if call.clock_offset_s is not None:
            self._offset_s = call.clock_offset_s

    async def _machine(self, me: Node, asked: clouds.Surveyed, status: Answer) -> Seen:
        if asked.ground is None or all(group.guest == "none" for group in self._config.groups):
            return Seen()
        own = asked.ground.eni(me)
        pid = None
        if isinstance(status, dict):
            pid = await asyncio.to_thread(machine.listener_pid, self._socket)
        seen = await machine.look(
            self._config.groups,
            interface=me.interface,
            mac=None if own is None else own.mac,
            daemon_pid=pid,
            secondary=[eni.mac for eni in asked.ground.enis_for(me) if not eni.primary],
            to_come=bool(asked.ground.moving),
        )
        groups = status.get("groups") or () if isinstance(status, dict) else ()
        busy = {str(group.get("name")) for group in groups if group.get("state") in BUSY}
        proven = f"this machine could take the addresses, on {seen.interface}"
        return judged(guest(asked.ground, me, seen, busy), proven)

    async def _peers(self, me: Node, status: Answer) -> Seen:
        """Have the daemon say whom it hears, or listen in its place."""
        digest = self._config.digest.hex()
        if isinstance(status, ControlError):
            return Seen((unknown("daemon-unreadable", me.name, str(status)),))
        if isinstance(status, UnreachableError):
            absent = Seen((warning("daemon-absent", me.name, str(status)),))
            others = [node.name for node in self._config.nodes if node is not me]
            said = await listen(self._config, me)
            return joined((absent, peers.by_listening(said, others, me.name, digest)))
        later = status
        if not peers.is_calm(status):
            await asyncio.sleep(max(AGAIN_S, 3 * self._config.heartbeat.interval_ms / 1000))
            again = await _status(self._socket)
            later = again if isinstance(again, dict) else status
        return peers.by_status(status, later, me.name, digest)


async def _ask_metadata(service: Metadata) -> access.Metadata:
    try:
        return access.Metadata(await service.instance_id(), await service.region())
    except MetadataError as error:
        return access.Metadata(error=str(error))


async def _keys(source: CredentialSource, *, attended: bool) -> access.Keys:
    try:
        credential = await source.current()
    except CredentialsError as error:
        return access.Keys(error=str(error))
    return access.Keys(source.expires_in_s, unattended=bool(credential.token) and not attended)


async def _status(path: Path) -> Answer:
    """Return what the daemon says; UnreachableError where there is certainly none, else ControlError."""
    try:
        return await asyncio.to_thread(client.request, path, {"command": "status"}, STATUS_TIMEOUT_S)
    except ControlError as error:
        return error
    except UnreachableError as error:  # also of one that hangs, or that this user may not ask
        absent = await asyncio.to_thread(machine.nobody_listens, path)
        return error if absent else ControlError(str(error))
