"""The daemon's life: everything is made, opened in the right order, kept running, and closed again.

It is crash-only in one respect: a task that fails for a reason nobody foresaw ends the process, and systemd starts
it again; since a restart costs neither a lost packet nor an API write, that is safer than going on half.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import structlog

import hafailover
from hafailover.cloud.client import Cloud
from hafailover.cloud.credentials import NoCredentials, credential_source
from hafailover.cloud.metadata import Metadata
from hafailover.control.server import ControlServer
from hafailover.daemon import clock, historyfile, leftovers, statefile, systemd, translate, whoami
from hafailover.daemon.announced import Sources, Watcher
from hafailover.daemon.checkers import Checkers
from hafailover.daemon.directory import Directory
from hafailover.daemon.eipkeeper import EipKeeper
from hafailover.daemon.gateway import Gateway
from hafailover.daemon.intake import Intake, Rooms
from hafailover.daemon.observer import Observer
from hafailover.daemon.operator import Operator
from hafailover.daemon.parts import Parts
from hafailover.daemon.performer import HOOK_DRAIN_S, Performer
from hafailover.daemon.places import Places
from hafailover.daemon.reload import Reloader
from hafailover.daemon.runner import Inbox, Runner
from hafailover.daemon.wires import Wires
from hafailover.election.events import AddressVanished, StopAsked
from hafailover.election.node import STOP_MS, Node
from hafailover.election.values import GroupName, Resource, ResourceKind
from hafailover.errors import MetadataError, StartError
from hafailover.guest.netlink import Guest
from hafailover.guest.network import NullGuest
from hafailover.http1 import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Executor

    from hafailover.cloud.credentials import CredentialSource
    from hafailover.config import model
    from hafailover.election.values import Member, Memory, NodeName, Sighting
    from hafailover.guest.network import GuestNetwork
    from hafailover.observe.sink import Sink

LAST_STEPS_S = 10.0  # of a stop, besides the hand-over and the hooks: what is left may wait for a slow disk

log = structlog.get_logger()


class Daemon:
    """One daemon. `run` lasts until it has left; it raises ConfigError or StartError where it cannot start."""

    def __init__(self, config: model.Config, node_option: str | None, sink: Sink) -> None:
        self._config = config
        self._node_option = node_option
        self._sink = sink
        self._systemd = systemd.notifier(os.environ, config.heartbeat.interval_ms)
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Future[None] | None = None
        self._closing: list[Callable[[], Coroutine[object, object, object] | None]] = []

    async def run(self) -> None:
        """Live."""
        self._failed = asyncio.get_running_loop().create_future()
        try:
            runner = await self._start()
            await self._until_left(runner)
        finally:
            await self._close()

    async def _until_left(self, runner: Runner) -> None:
        turning = asyncio.ensure_future(runner.run())
        assert self._failed is not None  # noqa: S101 - set by run
        await asyncio.wait((turning, self._failed), return_when=asyncio.FIRST_COMPLETED)
        if not turning.done():
            turning.cancel()
        for ended in (self._failed, turning):
            if ended.done() and not ended.cancelled():
                ended.result()

    # -- starting ----------------------------------------------------------------------------------------------

    async def _start(self) -> Runner:
        metadata = Metadata(self._config.cloud.metadata_url)
        self._closing.append(metadata.close)
        me, instance_id = await whoami.find_me(self._config, self._node_option, metadata)
        if me.role == "witness":
            self._config = translate.for_witness(self._config)
        memory, complaint = statefile.load(self._config.state.directory)
        if complaint:
            log.error("state_unreadable", error=complaint)
        failovers, complaint = historyfile.load(self._config.state.directory)
        if complaint:
            log.warning("history_unreadable", error=complaint)
        guest = await self._open_guest()
        credentials = self._credentials(me, metadata)
        self._spawn(credentials.run())
        observer = Observer(self._config, me, credentials, self._sink)
        observer.history.restore(failovers)
        cloud = await self._open_cloud(metadata, credentials, observer)
        observer.announced = Watcher(self._config, Sources(cloud, metadata, me.instance_id or instance_id))
        places = await Places(me, instance_id, cloud).of(self._config)
        node = self._make_node(me, places.members(self._config), memory)
        return await self._assemble(me, node, places, guest, cloud, observer)

    async def _open_guest(self) -> GuestNetwork:
        wanted = any(group.guest == "netlink" for group in self._config.groups)
        guest: GuestNetwork = Guest() if wanted else NullGuest()
        await guest.open()
        self._closing.append(guest.close)
        await leftovers.lift(guest, self._config.groups)
        directory = leftovers.directory_of(os.environ)
        if directory is not None:
            own = (node.eni for node in self._config.nodes)
            await leftovers.note(directory, self._config.groups, guest, own)
        return guest

    def _credentials(self, me: model.Node, metadata: Metadata) -> CredentialSource:
        return NoCredentials() if me.role == "witness" else credential_source(self._config.cloud, metadata)

    async def _open_cloud(self, metadata: Metadata, credentials: CredentialSource, observer: Observer) -> Cloud:
        region = self._config.cloud.region
        try:
            region = region or await metadata.region()
        except MetadataError as error:
            message = f"the metadata service does not say in which region this is ({error}); set cloud.region"
            raise StartError(message) from None
        settings = self._config.cloud
        cloud = Cloud(settings, credentials, region=region, observer=observer.api_call, rng=random.SystemRandom())
        self._closing.append(cloud.close)
        return cloud

    def _make_node(self, me: model.Node, members: tuple[Member, ...], memory: Memory) -> Node:
        return Node(
            next(member for member in members if member.name == me.name),
            members,
            translate.timing(self._config),
            translate.policies(self._config),
            config_digest=self._config.digest,
            memory=memory,
            rng=random.SystemRandom(),
            now=clock.now_ms(),
        )

    async def _assemble(
        self,
        me: model.Node,
        node: Node,
        places: Places,
        guest: GuestNetwork,
        cloud: Cloud,
        observer: Observer,
    ) -> Runner:
        config = self._config
        inbox = Inbox()
        disk = ThreadPoolExecutor(1, "state")  # one save at a time: an older one must not end up on top
        wires = Wires(config, me, inbox.post)
        parts = Parts(
            me=me,
            eni_id=node.context.me.eni_id,
            paths=wires.paths,
            cloud=cloud,
            directory=Directory(places.enis.values(), places.instances.values()),
            guest=guest,
            gateway=Gateway(me.interface),
            metrics=observer.metrics,
            history=observer.history,
            disk=disk,
            eips=self._make_eip_keeper(node, cloud, observer, disk),
            priority_of=lambda group: node.groups[GroupName(group)].priority,
            holder_of=lambda group: _holder(node, group),
            master_of=lambda group: _master(node, group),
            mqtt=wires.mqtt,
            announcer=wires.announcer(observer.status),
        )
        performer = Performer(config, parts, inbox.post, self._spawn)
        runner = Runner(node, inbox, performer, partial(self._turned, node, observer))
        observer.attach(node, runner, parts.paths, wires.state, performer.laid)
        self._spawn(observer.look_ahead(parts))
        checkers = Checkers(self._spawn, inbox.post, observer.checked)

        rooms = Rooms(node, parts, wires, performer, observer, checkers, self._systemd, inbox.post, self._spawn)
        intake = Intake(rooms, places)
        reloader = Reloader(config, me.name, self._node_option, intake.apply, observer.reloaded)
        watcher = observer.announced
        assert watcher is not None  # noqa: S101 - made before
        operator = Operator(
            inbox.post, performer, observer.status, observer.history, reloader.reload, watcher.overrule
        )
        watcher.attach(observer.status, operator, disk)
        observer.history.drain_reason = watcher.drain_reason
        self._closing.append(performer.close)
        await self._open_doors(wires, operator, observer)
        if parts.announcer is not None:
            self._spawn(parts.announcer.run())
        checkers.configure(config.groups)
        intake.watch_gateway(config)
        self._watch(node, parts, inbox, reloader)
        self._spawn(watcher.run())
        log.info("started", node=me.name, version=hafailover.__version__, config=config.digest.hex())
        return runner

    def _make_eip_keeper(self, node: Node, cloud: Cloud, observer: Observer, disk: Executor) -> EipKeeper:
        keeper = EipKeeper(
            self._config.state.directory,
            self._config.addresses,
            eni_id=node.context.me.eni_id,
            cloud=cloud,
            metrics=observer.metrics,
            disk=disk,
        )
        self._spawn(keeper.run())
        return keeper

    async def _open_doors(self, wires: Wires, operator: Operator, observer: Observer) -> None:
        """Open the control socket first: it is what tells a second daemon that it is one too many."""
        config = self._config
        control = ControlServer(config.control.socket, config.control.group, operator.handle)
        await control.start()
        self._closing.append(control.close)
        self._closing.append(wires.close)
        await wires.open(self._spawn)
        web = Server(observer.web.handle)
        try:
            await web.start(config.metrics.host, config.metrics.port)
        except OSError as error:
            where = f"{config.metrics.host}:{config.metrics.port}"
            why = (
                os.strerror(error.errno) if error.errno else str(error)
            )  # asyncio puts the address in strerror too
            raise StartError(f"metrics address {where}: {why}") from None
        self._closing.append(web.close)

    def _watch(self, node: Node, parts: Parts, inbox: Inbox, reloader: Reloader) -> None:
        """Start everything that turns what it sees into events."""
        self._spawn(parts.guest.watch(lambda address: self._vanished(node, parts.directory, inbox, address)))
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, inbox.post, StopAsked(restarting=False))
        loop.add_signal_handler(signal.SIGTERM, lambda: self._spawn(self._stop(node, inbox)))
        loop.add_signal_handler(signal.SIGHUP, lambda: self._spawn(self._reload(reloader)))

    @staticmethod
    def _vanished(node: Node, directory: Directory, inbox: Inbox, address: str) -> None:
        """Tell the core of an address, or of an ENI by its MAC address, that the guest has lost."""
        eni = directory.eni_of_mac(address)
        resource = Resource(ResourceKind.ADDRESS, address) if eni is None else Resource(ResourceKind.ENI, eni)
        log.warning("removed_by_others", resource=resource.id)
        for group in node.groups.values():
            if resource in group.policy.resources:
                inbox.post(AddressVanished(group.name, resource))

    # -- running and ending ------------------------------------------------------------------------------------

    def _turned(self, node: Node, observer: Observer, late_ms: int) -> None:
        observer.turned(late_ms)
        self._systemd.turned(node)

    async def _stop(self, node: Node, inbox: Inbox) -> None:
        """End as systemd means it: leave the guest as it is before a restart, hand over before a stop."""
        hooks_ms = max(group.quieting_ms for group in node.groups.values())
        self._systemd.stopping((STOP_MS + hooks_ms) / 1000 + HOOK_DRAIN_S + LAST_STEPS_S)
        restarting = await systemd.is_restart(os.environ)
        log.info("stop_asked", restarting=restarting)
        inbox.post(StopAsked(restarting=restarting))

    async def _reload(self, reloader: Reloader) -> None:
        """Reload because of a signal: nobody waits for the answer, which is in the log."""
        self._systemd.reloading()
        try:
            await reloader.reload()
        finally:
            self._systemd.reloaded()

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or task.exception() is None:
            return
        error = task.exception()
        if self._failed is not None and not self._failed.done() and error is not None:
            self._failed.set_exception(error)

    async def _close(self) -> None:
        for close in reversed(self._closing):
            ending = close()
            if ending is not None:
                await ending
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _holder(node: Node, group: str) -> Sighting | None:
    """Return what was last read of a group's first resource; None too for a group that has gone meanwhile."""
    known = node.groups.get(GroupName(group))
    resources = () if known is None else known.policy.resources
    return node.context.holders.sighting(resources[0]) if resources else None


def _master(node: Node, group: str) -> NodeName | None:
    """Return the node that a claim would accuse: the last master, else who holds the group's first resource."""
    known = node.groups.get(GroupName(group))
    last = None if known is None else known.last_master
    seen = _holder(node, group)
    if last is not None or seen is None:
        return last
    members = (peer.member for peer in node.context.peers)
    return next((each.name for each in members if each.holder_id(seen.resource) == seen.holder), None)
