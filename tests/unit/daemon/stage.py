"""What the tests of the daemon's parts share: a configuration, and real parts around an emulated cloud."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hafailover.cloud.client import Cloud
from hafailover.cloud.credentials import EnvironmentCredentials
from hafailover.config import model
from hafailover.daemon import translate
from hafailover.daemon.directory import Directory
from hafailover.daemon.eipkeeper import EipKeeper
from hafailover.daemon.gateway import Gateway
from hafailover.daemon.parts import Parts
from hafailover.daemon.performer import Performer
from hafailover.election.values import GroupName, Resource, ResourceKind, Sighting
from hafailover.emulator.server import SECRET_ID, SECRET_KEY, Emulator
from hafailover.emulator.world import PAIR, REGION, VIP
from hafailover.guest.network import NullGuest
from hafailover.observe.history import History
from hafailover.observe.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from hafailover.election.events import Event
    from hafailover.election.values import Advert
    from hafailover.guest.network import GuestNetwork
    from hafailover.heartbeat.path import PeerPathStats

FIRST, SECOND = PAIR
OWN = (FIRST.eni_id, SECOND.eni_id)
GROUP = GroupName("vip")
ADDRESS = Resource(ResourceKind.ADDRESS, VIP)
KEYS = {"TENCENTCLOUD_SECRET_ID": SECRET_ID, "TENCENTCLOUD_SECRET_KEY": SECRET_KEY}
NODES = (
    model.Node("web-a", "127.0.0.1", 7694, instance_id=FIRST.instance_id, eni=FIRST.eni_id),
    model.Node("web-b", "127.0.0.2", 7694, instance_id=SECOND.instance_id, eni=SECOND.eni_id, priority=90),
)
NONE = model.Group("vip", addresses=(VIP,), guest="none")
PATIENCE_S = 30.0  # the machine may be busy


def config(folder: Path, *groups: model.Group, **sections: Any) -> model.Config:
    """Return a configuration of two nodes, with one group whose guest is left alone unless others are given."""
    plain = model.Config(
        path=folder / "config.toml",
        digest=b"12345678",
        keys=(bytes(32),),
        cluster=model.Cluster("web", ()),
        nodes=NODES,
        groups=groups or (NONE,),
        state=model.State(folder),
    )
    return replace(plain, **sections)


async def until(done: Callable[[], object]) -> None:
    """Wait for something to be so. Raises TimeoutError."""
    async with asyncio.timeout(PATIENCE_S):
        while not done():  # noqa: ASYNC110 - what is waited for has no event to wait on
            await asyncio.sleep(0.005)


def open_cloud(emulator: Emulator) -> Cloud:
    """Return a client of an emulator that has been started."""
    url = f"http://127.0.0.1:{emulator.api_port}"
    return Cloud(
        model.Cloud(region=REGION, endpoint=url, cvm_endpoint=url, credentials="env"),
        EnvironmentCredentials(KEYS),
        region=REGION,
        observer=lambda _call: None,
        rng=random.Random(1),  # noqa: S311 - jitter is not a secret
    )


@dataclass
class Notebook:
    """A heartbeat path that keeps what it is told to send."""

    name: str = "udp"
    sent: list[Advert] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    seen: tuple[PeerPathStats, ...] = ()

    async def open(self) -> None:
        """Do nothing."""

    def send(self, advert: Advert, now_us: int | None = None) -> None:
        del now_us
        self.sent.append(advert)

    def stats(self) -> tuple[PeerPathStats, ...]:
        return self.seen

    def close(self) -> None:
        """Do nothing."""


class Stage:
    """A performer with all of its parts, and what became of its effects."""

    def __init__(
        self,
        config: model.Config,
        cloud: Cloud,
        guest: GuestNetwork | None = None,
        own: tuple[str, str] = OWN,
    ) -> None:
        self.config = config
        self.posted: list[Event] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.paths = (Notebook("udp"), Notebook("mqtt"))
        self.holder: str | None = None
        disk, metrics = ThreadPoolExecutor(1), Metrics("web", "web-a")
        self.eips = EipKeeper(
            config.state.directory, (VIP,), eni_id=own[0], cloud=cloud, metrics=metrics, disk=disk
        )
        self.parts = Parts(
            me=NODES[0],
            eni_id=own[0],
            paths=self.paths,
            cloud=cloud,
            directory=Directory(own, (FIRST.instance_id, SECOND.instance_id)),
            guest=guest or NullGuest(),
            gateway=Gateway(None),
            metrics=metrics,
            history=History(),
            disk=disk,
            eips=self.eips,
            priority_of=lambda _group: 110,
            holder_of=lambda _group: None if self.holder is None else Sighting(ADDRESS, self.holder),
            master_of=lambda _group: None,
        )
        self.performer = Performer(config, self.parts, self.posted.append, self._spawn)

    @property
    def resources(self) -> tuple[Resource, ...]:
        """What moves by the configuration."""
        return tuple(each for group in self.config.groups for each in translate.resources(group))

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def settle(self) -> None:
        """Wait until all that was begun has ended; what it raised is raised here."""
        async with asyncio.timeout(PATIENCE_S):
            while self.tasks:
                await asyncio.gather(*self.tasks)

    async def event(self, kind: type[Any]) -> Any:
        """Wait for everything to end, and return the one event of this kind that came of it."""
        await self.settle()
        (found,) = [event for event in self.posted if isinstance(event, kind)]
        return found

    def metrics(self) -> str:
        """Return what Prometheus would scrape."""
        return self.parts.metrics.render({}).decode()

    async def close(self) -> None:
        """End what still runs."""
        await self.performer.close()
        for task in tuple(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
