"""A pair in an emulated cloud, of which the standby is examined; a daemon is played by what it would say."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hafailover.config import loader
from hafailover.control.server import ControlServer
from hafailover.doctor.examine import Doctor
from hafailover.election.values import Advert, GroupName, Leaving, NodeName
from hafailover.emulator.network import Eni, PrivateIp
from hafailover.emulator.server import Emulator, Options
from hafailover.emulator.world import GROUP_ID, PAIR, SUBNET_ID, VPC_ID, build, mac_of
from hafailover.heartbeat.udp import UdpPath
from tests import ports

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hafailover.config.model import Config
    from hafailover.doctor.findings import Report
    from hafailover.emulator.network import Network

HOST = ports.HOST
A, B = PAIR
ENI = "eni-cccccccc"  # a secondary one, on the first node

CONFIG = """\
[cluster]
name = "web"
key_file = "{folder}/cluster.key"
[heartbeat]
interval = "50ms"
dead_interval = "1s"
[cloud]
region = "ap-guangzhou"
credentials = "env"
endpoint = "{api}"
cvm_endpoint = "{api}"
metadata_url = "{metadata}"
timeout = "2s"
[[node]]
name = "web-a"
address = "127.0.0.1:{port_a}"
eni = "eni-aaaaaaaa"
instance_id = "ins-aaaaaaaa"
priority = 100
[[node]]
name = "web-b"
address = "127.0.0.1:{port_b}"
eni = "eni-bbbbbbbb"
instance_id = "ins-bbbbbbbb"
priority = 90
[[group]]
name = "vip"
addresses = ["10.0.1.100"]
guest = "none"
[[group.check]]
name = "web"
type = "tcp"
address = "127.0.0.1:80"
[control]
socket = "{folder}/control.sock"
group = "hafailover"
[state]
directory = "{folder}"
"""


def free_port() -> int:
    return ports.free(socket.SOCK_DGRAM)


def healthy(config: Config) -> dict[str, Any]:
    """Return what the standby's daemon says, as far as it is looked at."""
    path = {"up": True, "last_seen_s": 0.01}
    peer = {"node": "web-a", "alive": True, "hears_us": True, "config_match": True, "paths": {"udp": path}}
    return {
        "node": "web-b",
        "config_digest": config.digest.hex(),
        "rejected": {"udp": {}},
        "peers": [peer],
        "groups": [{"name": group.name, "state": "BACKUP"} for group in config.groups],
    }


def with_secondary(network: Network, **changes: Any) -> Network:
    """Return the network with a secondary ENI on the first node."""
    eni = Eni(
        id=ENI,
        name="moving",
        vpc_id=VPC_ID,
        subnet_id=SUBNET_ID,
        mac=mac_of(ENI),
        primary=False,
        ips=(PrivateIp("10.0.1.50", primary=True),),
        instance_id=A.instance_id,
        device_index=1,
        security_groups=(GROUP_ID,),
    )
    return network.with_enis(replace(eni, **changes))


@dataclass
class Clinic:
    """What a test may plant its fault in before `examine`.

    `told` is what the daemon says, first and when it is asked again; where it is nothing, none runs. `peer` is the
    configuration that the other node's heartbeats are sent by, None where it sends none. `clock_s` is how far the
    cloud's clock is ahead, `instance_id` what the metadata service takes this machine for.
    """

    folder: Path
    network: Network = field(default_factory=build)
    text: str = CONFIG
    amend: Callable[[Config], Config] = lambda config: config
    told: Callable[[Config], list[dict[str, Any]]] = lambda config: [healthy(config)]
    emulate: Callable[[Emulator], None] = lambda _emulator: None
    clock_s: float = 0.0
    instance_id: str = B.instance_id
    peer: Callable[[Config], Config] | None = None
    ports: tuple[int, int] = field(default_factory=lambda: (free_port(), free_port()))
    endpoint: str = ""
    environment: Callable[[str, str], None] = lambda _name, _value: None
    emulator: Emulator | None = None
    open: list[socket.socket] = field(default_factory=list)

    def unchanged(self) -> bool:
        """Return whether the cloud is as it was before, with no task begun."""
        assert self.emulator is not None
        return self.emulator.model.network == self.network and not self.emulator.model.history

    async def examine(self, name: str = "web-b") -> Report:
        """Examine the standby, or another node."""
        async with contextlib.AsyncExitStack() as stack:
            emulator = await self._emulator(stack)
            config = self._config(emulator, name)
            said = self.told(config)
            if said:
                server = ControlServer(config.control.socket, "", self._teller(said))
                await server.start()
                stack.push_async_callback(server.close)
            if self.peer is not None:
                await self._speak(stack, self.peer(config))
            self.emulate(emulator)
            return await Doctor(config, name, config.control.socket).examine()

    async def _emulator(self, stack: contextlib.AsyncExitStack) -> Emulator:
        options = Options(
            latency_ms=0,
            task_ms=0,
            sources={HOST: self.instance_id},
            unix_s=lambda: time.time() + self.clock_s,
        )
        self.emulator = Emulator(self.network, options)
        await self.emulator.start()
        stack.push_async_callback(self.emulator.close)
        return self.emulator

    def _config(self, emulator: Emulator, name: str) -> Config:
        key = self.folder / "cluster.key"
        key.write_text(secrets.token_hex(32) + "\n")
        key.chmod(0o600)
        file = self.folder / "config.toml"
        file.write_text(
            self.text.format(
                folder=self.folder,
                api=self.endpoint or f"http://{HOST}:{emulator.api_port}",
                metadata=f"http://{HOST}:{emulator.metadata_port}",
                port_a=self.ports[0],
                port_b=self.ports[1],
            )
        )
        return self.amend(loader.load(file, name))

    @staticmethod
    def _teller(said: list[dict[str, Any]]) -> Any:
        async def tell(*_request: object) -> dict[str, Any]:
            return said.pop(0) if len(said) > 1 else said[0]

        return tell

    async def _speak(self, stack: contextlib.AsyncExitStack, config: Config) -> None:
        """Send the other node's heartbeats."""
        path = UdpPath(
            me=NodeName("web-a"),
            cluster=config.cluster.name,
            address=(HOST, self.ports[0]),
            peers={NodeName("web-b"): (HOST, self.ports[1])},
            groups=[GroupName("vip")],
            keys=config.keys,
            deliver=lambda _event: None,
            clock_us=lambda: time.monotonic_ns() // 1000,
            boot_id=os.urandom(8),
            silent_after_us=500_000,
        )
        await path.open()
        stack.callback(path.close)
        advert = Advert(NodeName("web-a"), config.digest, 1_000, Leaving.NO, drained=False, hears=(), groups=())
        task = asyncio.create_task(_repeat(path, advert))
        stack.callback(task.cancel)


async def _repeat(path: UdpPath, advert: Advert) -> None:
    while True:
        path.send(advert)
        await asyncio.sleep(0.05)
