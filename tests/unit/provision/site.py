"""A pair in an emulated cloud that lacks something, and the real command beside it."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hafailover.cli import main
from hafailover.emulator.faults import Fault, Kind
from hafailover.emulator.network import Eni, PrivateIp
from hafailover.emulator.server import Emulator, Options
from hafailover.emulator.world import GROUP_ID, PAIR, SUBNET_ID, VPC_ID, build, mac_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    import pytest

    from hafailover.emulator.network import Network

A, B = PAIR
ENI = "eni-cccccccc"
SIX = "fd00::100"
NAME = "hafailover web vip"

CONFIG = """\
[cluster]
name = "web"
key_file = "/nowhere/cluster.key"
[cloud]
region = "ap-guangzhou"
credentials = "env"
endpoint = "{api}"
cvm_endpoint = "{api}"
timeout = "1s"
[[node]]
name = "web-b"
address = "10.0.1.16:7694"
eni = "eni-bbbbbbbb"
priority = 90
[[node]]
name = "web-a"
address = "10.0.1.17:7694"
priority = 100
[[node]]
name = "witness"
address = "10.0.1.15:7694"
priority = 255
role = "witness"
[[group]]
name = "vip"
addresses = [{addresses}]
enis = [{enis}]
"""


def lacking(*, ipv6: bool = False, **changes: Any) -> Network:
    """Return a network in which nobody has the address, with a secondary ENI that nobody has."""
    network = build(addresses=(), ipv6_cidr="fd00::/64" if ipv6 else None)
    first = {
        "name": "spare",
        "vpc_id": VPC_ID,
        "subnet_id": SUBNET_ID,
        "mac": mac_of(ENI),
        "primary": False,
        "ips": (PrivateIp("10.0.1.50", primary=True),),
        "security_groups": (GROUP_ID,),
    }
    return network.with_enis(Eni(id=ENI, **{**first, **changes}))


def listed(words: tuple[str, ...]) -> str:
    return ", ".join(f'"{word}"' for word in words)


@dataclass
class Site:
    """The emulated cloud, the file, and what the command has printed."""

    emulator: Emulator
    file: Path
    capsys: pytest.CaptureFixture[str]

    async def provision(self, *words: str) -> tuple[int, str, str]:
        """Run the command as a shell would; return its exit code and what it has printed."""
        code = await asyncio.to_thread(main, ["provision", "-c", str(self.file), *words])
        out, err = self.capsys.readouterr()
        return code, out, err

    async def as_json(self, *words: str) -> tuple[int, dict[str, Any]]:
        code, out, _err = await self.provision("--json", *words)
        said: dict[str, Any] = json.loads(out)
        return code, said

    def name(self, addresses: tuple[str, ...] = (), enis: tuple[str, ...] = ()) -> None:
        """Let the group of the file name these."""
        api = f"http://127.0.0.1:{self.emulator.api_port}"
        self.file.write_text(CONFIG.format(api=api, addresses=listed(addresses), enis=listed(enis)))

    def befall(self, kind: Kind, action: str, **what: Any) -> None:
        self.emulator.faults.add(Fault(kind, action=action, **what))

    def holder(self, resource: str) -> str | None:
        return self.emulator.model.holder_of(resource, self.emulator.service.now_ms())

    def writes(self) -> list[str]:
        return [call.action for call in self.emulator.service.calls if not call.action.startswith("Describe")]

    def asked(self, action: str) -> int:
        return sum(call.action == action for call in self.emulator.service.calls)

    @staticmethod
    async def until(done: Callable[[], bool]) -> None:
        """Wait for something that another thread or process brings about; a TimeoutError after 20 s."""
        async with asyncio.timeout(20):
            while not done():  # noqa: ASYNC110 - what is waited for has no event to wait on
                await asyncio.sleep(0.005)

    @property
    def network(self) -> Network:
        self.emulator.model.advance(self.emulator.service.now_ms())
        return self.emulator.model.network

    def created(self) -> list[Eni]:
        return [eni for eni in self.network.enis.values() if eni.name == NAME]


@asynccontextmanager
async def opened(folder: Path, capsys: pytest.CaptureFixture[str], network: Network) -> AsyncIterator[Site]:
    emulator = Emulator(network, Options(latency_ms=0, task_ms=20))
    await emulator.start()
    site = Site(emulator, folder / "config.toml", capsys)
    try:
        yield site
    finally:
        await emulator.close()
