"""Many daemons on loopback that hear each other by one broker alone; the cloud is in this process."""

from __future__ import annotations

import asyncio
import contextlib
import grp
import os
import secrets
import signal
import socket
import time
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hafailover.emulator.server import SECRET_ID, SECRET_KEY, Emulator, Options
from hafailover.emulator.world import REGION, NodeSpec, build
from tests import ports
from tests.lab.broker import Broker
from tests.unit.daemon.daemons import Daemon

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = ports.HOST
START_S = 120.0  # all nodes share this machine

_CONFIG = """\
[cluster]
name = "crowd"
key_file = "{folder}/cluster.key"
[heartbeat]
interval = "{interval}"
dead_interval = "{dead_interval}"
paths = ["mqtt"]
[cloud]
region = "{region}"
credentials = "env"
endpoint = "{api}"
cvm_endpoint = "{api}"
[mqtt]
host = "{host}"
port = {port}
tls = false
[metrics]
listen = "{host}:{metrics}"
[control]
socket = "{folder}/{name}.sock"
group = "{group}"
[state]
directory = "{folder}/{name}"
[log]
format = "json"
level = "warning"
"""
_NODE = """\
[[node]]
name = "{name}"
address = "{host}:{port}"
instance_id = "{instance}"
eni = "{eni}"
priority = {priority}
"""
_GROUP = """\
[[group]]
name = "g{number}"
addresses = ["{address}"]
guards = ["mqtt"]
guest = "none"
hold_down = "0s"
"""


class _Member(Daemon):
    """A daemon that goes before whatever else this machine does: ten of them stand for ten machines."""

    @property
    def command(self) -> tuple[str, ...]:
        return ("nice", "-n", "-15", *super().command)


class Crowd:
    """So many nodes and groups. Use as an asynchronous context manager; then everybody hears everybody.

    All groups begin on the first node; `spread` deals them out.
    """

    def __init__(
        self, folder: Path, nodes: int = 10, groups: int = 20, *, interval: str = "100ms", dead: str = "1s"
    ) -> None:
        self._folder = folder
        self._heartbeat = {"interval": interval, "dead_interval": dead}
        self.specs = [
            NodeSpec(
                f"node-{number}",
                f"ins-0000000{number:x}",
                f"eni-0000000{number:x}",
                f"10.0.1.{10 + number}",
                32,
                64,
            )
            for number in range(nodes)
        ]
        self.addresses = {f"g{number}": f"10.0.1.{100 + number}" for number in range(groups)}
        network = build(tuple(self.specs), tuple(self.addresses.values()))
        self.cloud = Emulator(network, Options(latency_ms=50, task_ms=200))
        self.broker = Broker(folder, host=HOST, port=ports.free(socket.SOCK_STREAM))
        self.daemons: dict[str, Daemon] = {}
        self.lost: set[str] = set()
        self.moves = 0

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            await self.cloud.start()
            stack.push_async_callback(self.cloud.close)
            await asyncio.to_thread(self.broker.start)
            stack.callback(self.broker.kill)
            self._write()
            stack.push_async_callback(self._end)
            for daemon in self.daemons.values():
                await daemon.start()
                await asyncio.sleep(0.5)  # each takes a second of CPU
            await self.until("everybody hears everybody", self._all_heard)
            self.cloud.model.listeners.append(self._count)
            self._exit = stack.pop_all()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._exit.aclose()

    async def _end(self) -> None:
        await asyncio.gather(*(daemon.end() for daemon in self.daemons.values()))

    def _count(self, _change: object) -> None:
        self.moves += 1

    def _write(self) -> None:
        key = self._folder / "cluster.key"
        key.write_text(secrets.token_hex(32) + "\n")
        key.chmod(0o600)
        udp, tcp = ([ports.free(kind) for _ in self.specs] for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM))
        keys = {"TENCENTCLOUD_SECRET_ID": SECRET_ID, "TENCENTCLOUD_SECRET_KEY": SECRET_KEY}
        nodes = [
            _NODE.format(
                name=spec.name,
                host=HOST,
                port=port,
                instance=spec.instance_id,
                eni=spec.eni_id,
                priority=100 - order,
            )
            for order, (spec, port) in enumerate(zip(self.specs, udp, strict=True))
        ]
        groups = [_GROUP.format(number=name[1:], address=address) for name, address in self.addresses.items()]
        for spec, port, metrics in zip(self.specs, udp, tcp, strict=True):
            daemon = self.daemons[spec.name] = _Member(spec.name, port, metrics, self._folder, keys)
            values = {
                **self._heartbeat,
                "folder": self._folder,
                "region": REGION,
                "api": f"http://{HOST}:{self.cloud.api_port}",
                "host": HOST,
                "port": self.broker.port,
                "metrics": metrics,
                "name": spec.name,
                "group": grp.getgrgid(os.getgid()).gr_name,
            }
            daemon.config.write_text("".join((_CONFIG.format(**values), *nodes, *groups)))

    # -- looking ---------------------------------------------------------------------------------------------

    async def until(self, what: str, met: Callable[[], Any], timeout_s: float = START_S) -> float:
        """Wait until it is so, and return the seconds that it took; `met` may be a coroutine function."""
        began_s = time.monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    found = met()
                    if await found if asyncio.iscoroutine(found) else found:
                        return time.monotonic() - began_s
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise TimeoutError(f"not within {timeout_s:g} s: {what}") from None

    async def _all_heard(self) -> bool:
        await asyncio.sleep(0.2)
        for daemon in self._there():
            try:
                status = await daemon.ask("status")
            except Exception:  # noqa: BLE001 - it has not begun to listen
                return False
            if not all(peer["alive"] for peer in status["peers"]):
                return False
            if any(group["state"] == "INIT" or not group["master"] for group in status["groups"]):
                return False
        return True

    def holder(self, group: str) -> str | None:
        """Return the node that has a group's address according to the cloud."""
        eni = self.cloud.model.network.holder_of(self.addresses[group])
        return next((spec.name for spec in self.specs if spec.eni_id == eni), None)

    def held_by(self, nodes: list[str]) -> list[str]:
        """Return the groups that these nodes have."""
        return [group for group in self.addresses if self.holder(group) in nodes]

    async def said(self) -> list[dict[str, Any]]:
        """Return the statuses of the daemons that run."""
        return [await daemon.ask("status") for daemon in self._there()]

    async def claims(self, groups: list[str]) -> dict[str, dict[str, Any]]:
        """Return the newest claim of each group that was not handed over, from the daemons' histories."""
        records = [each for daemon in self._there() for each in (await daemon.ask("history"))["failovers"]]
        won = [each for each in records if each["result"] == "done" and each["reason"] != "handed_over"]
        return {each["group"]: each for each in sorted(won, key=itemgetter("at")) if each["group"] in groups}

    def _there(self) -> list[Daemon]:
        return [daemon for name, daemon in self.daemons.items() if name not in self.lost and self.runs(daemon)]

    @staticmethod
    def runs(daemon: Daemon) -> bool:
        """Whether a daemon runs."""
        return daemon.process is not None and daemon.process.returncode is None

    # -- doing -----------------------------------------------------------------------------------------------

    async def spread(self) -> None:
        """Deal the groups out to all nodes, each in turn."""
        await self.until("the groups are dealt out", self._dealt_out)
        await self.until("every master is known", self._all_heard)
        self.moves = 0

    async def _dealt_out(self) -> bool:
        """Have each group handed over that is not where it belongs; who has just lost it may have to wait."""
        names = list(self.daemons)
        targets = {group: names[number % len(names)] for number, group in enumerate(self.addresses)}
        for group, target in targets.items():
            source = self.holder(group)
            if source is not None and source != target:
                await self.daemons[source].ask("failover", group=group, to=target, wait=True)
        return all(self.holder(group) == target for group, target in targets.items())

    def kill(self, names: list[str]) -> None:
        """End daemons at once: their kernel closes the connections, and the broker publishes their wills."""
        for name in names:
            self.daemons[name].signal(signal.SIGKILL)

    def lose(self, names: list[str]) -> None:
        """Have nothing come from these nodes any more, as from lost hosts: their connections hang, nobody is told.

        What the kernel goes on doing for a stopped process, to acknowledge what it is sent, tells no other node.
        """
        self.lost.update(names)
        for name in names:
            self.daemons[name].signal(signal.SIGSTOP)

    async def bring_back(self, names: list[str]) -> None:
        """Have nodes that were killed or lost take part again, and deal the groups out anew."""
        for name in names:
            if name in self.lost:
                self.daemons[name].signal(signal.SIGCONT)
            else:
                await self.daemons[name].start()
        self.lost.difference_update(names)
        await self.until("everybody hears everybody again", self._all_heard)
        await self.spread()

    def cpu_s(self) -> dict[str, float]:
        """Return the seconds that each daemon and the broker have used."""
        pids = {name: daemon.process.pid for name, daemon in self.daemons.items() if daemon.process is not None}
        if self.broker.process is not None:
            pids["mosquitto"] = self.broker.process.pid
        return {name: _cpu_s(pid) for name, pid in pids.items() if Path(f"/proc/{pid}").exists()}

    def rss_mib(self) -> dict[str, float]:
        """Return the resident memory of each daemon."""
        found = {}
        for name, daemon in self.daemons.items():
            if self.runs(daemon) and daemon.process is not None:
                text = Path(f"/proc/{daemon.process.pid}/status").read_text()
                found[name] = int(text.partition("VmRSS:")[2].split()[0]) / 1024
        return found


def _cpu_s(pid: int) -> float:
    total = 0.0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # it has ended
            total += int((thread / "schedstat").read_text().split()[0]) / 1e9
    return total
