"""Real `hafailover run` processes on loopback, for which the test's own loop plays the cloud."""

from __future__ import annotations

import asyncio
import grp
import json
import os
import secrets
import signal
import socket
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hafailover.control import client
from hafailover.emulator.world import PAIR, REGION, VIP
from hafailover.errors import HafailoverError
from tests import ports
from tests.unit.daemon.stage import KEYS, PATIENCE_S

if TYPE_CHECKING:
    from pathlib import Path

HOST = ports.HOST
PROGRAM = (sys.executable, "-m", "hafailover.cli")

# Patient, since the machine may be busy; what the tests measure is what happens, not when.
CONFIG = """\
[cluster]
name = "pair"
key_file = "{folder}/cluster.key"
[heartbeat]
interval = "100ms"
dead_interval = "3s"
restart_grace = "30s"
[cloud]
region = "{region}"
credentials = "env"
endpoint = "{api}"
cvm_endpoint = "{api}"
metadata_url = "{metadata}"
{nodes}
[[group]]
name = "vip"
addresses = ["{vip}"]
guards = ["cloud"]
guest = "none"
[metrics]
listen = "{host}:{metrics}"
[control]
socket = "{folder}/{name}.sock"
group = "{group}"
[state]
directory = "{folder}/{name}"
[log]
format = "json"
"""

NODE = """\
[[node]]
name = "{name}"
address = "{host}:{port}"
{eni}
priority = {priority}
"""


def _heed_ctrl_c() -> None:
    """Take back that a test which runs in the background of a shell inherits SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass
class Ended:
    """A process that has ended, and what it said."""

    code: int
    out: str
    err: str


@dataclass
class Daemon:
    """One node: its ports, its files, and its daemon while that runs."""

    name: str
    port: int
    metrics_port: int
    folder: Path
    keys: dict[str, str] = field(default_factory=lambda: dict(KEYS))
    process: asyncio.subprocess.Process | None = None
    log: list[dict[str, Any]] = field(default_factory=list)
    _listener: asyncio.Task[None] | None = None

    @property
    def socket(self) -> Path:
        return self.folder / f"{self.name}.sock"

    @property
    def config(self) -> Path:
        return self.folder / f"{self.name}.toml"

    @property
    def command(self) -> tuple[str, ...]:
        return (*PROGRAM, "run", "-c", str(self.config), "--node", self.name)

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *self.command,
            env={**os.environ, **self.keys},
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=_heed_ctrl_c,
        )
        self._listener = asyncio.ensure_future(self._listen(self.process.stderr))

    async def _listen(self, stream: asyncio.StreamReader | None) -> None:
        assert stream is not None
        async for line in stream:
            self.log.append(json.loads(line))  # whatever is no event, a traceback for one, fails the test here

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def ended(self) -> int:
        assert self.process is not None
        assert self._listener is not None
        code = await asyncio.wait_for(self.process.wait(), PATIENCE_S)
        await asyncio.wait_for(self._listener, PATIENCE_S)
        return code

    async def end(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.ended()

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.log if line["event"] == name]

    async def ask(self, command: str, **fields: object) -> dict[str, Any]:
        return await asyncio.to_thread(client.request, self.socket, {"command": command, **fields}, PATIENCE_S)

    async def group(self) -> dict[str, Any]:
        """Return what it says of the group, or {} while no daemon answers."""
        try:
            status = await self.ask("status")
        except HafailoverError:
            return {}
        group: dict[str, Any] = status["groups"][0]
        return group

    async def until(self, state: str, **others: object) -> dict[str, Any]:
        """Wait until it says that it is in this state, and the rest."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                group = await self.group()
                if group.get("state") == state and others.items() <= group.items():
                    return group
                await asyncio.sleep(0.02)

    async def get(self, path: str) -> tuple[int, str]:
        """Return the HTTP status and body of a page."""
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_connection(HOST, self.metrics_port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            text = (await reader.read()).decode()
            writer.close()
            await writer.wait_closed()
        head, _, body = text.partition("\r\n\r\n")
        return int(head.split(" ")[1]), body


def make(folder: Path, *, api: str = "http://127.0.0.1:1", metadata: str = "", enis: bool = True) -> list[Daemon]:
    """Write the key and the files of two nodes on free ports; without `enis` the files name none."""
    key = folder / "cluster.key"
    key.write_text(secrets.token_hex(32) + "\n")
    key.chmod(0o600)
    made = [
        Daemon(spec.name, ports.free(socket.SOCK_DGRAM), ports.free(socket.SOCK_STREAM), folder) for spec in PAIR
    ]
    nodes = "".join(
        NODE.format(
            name=spec.name,
            host=HOST,
            port=daemon.port,
            eni=f'eni = "{spec.eni_id}"' if enis else f'instance_id = "{spec.instance_id}"',
            priority=100 - order,
        )
        for order, (spec, daemon) in enumerate(zip(PAIR, made, strict=True))
    )
    values = {
        "folder": folder,
        "region": REGION,
        "api": api,
        "metadata": metadata or api,
        "nodes": nodes,
        "vip": VIP,
        "host": HOST,
        "group": grp.getgrgid(os.getgid()).gr_name,
    }
    for daemon in made:
        daemon.config.write_text(CONFIG.format(**values, name=daemon.name, metrics=daemon.metrics_port))
    return made


def add_witness(pair: list[Daemon], replaced: dict[str, str]) -> Daemon:
    """Add a witness to the files of a pair, and replace texts in them; it has no keys."""
    port, metrics = ports.free(socket.SOCK_DGRAM), ports.free(socket.SOCK_STREAM)
    first = pair[0]
    witness = Daemon("judge", port, metrics, first.folder, keys={})
    node = NODE.format(name=witness.name, host=HOST, port=port, eni='role = "witness"', priority=255)
    template = first.config.read_text()
    own = template.replace(f"/{first.name}", f"/{witness.name}").replace(str(first.metrics_port), str(metrics))
    witness.config.write_text(own)
    for daemon in (*pair, witness):
        text = daemon.config.read_text().replace("[[group]]", node + "[[group]]")
        for old, new in replaced.items():
            assert old in text
            text = text.replace(old, new)
        daemon.config.write_text(text)
    return witness


async def run(*words: str, env: dict[str, str] | None = None) -> Ended:
    """Run `hafailover` with these words to its end."""
    process = await asyncio.create_subprocess_exec(
        *PROGRAM,
        *words,
        env={**os.environ, **KEYS, **(env or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(2 * PATIENCE_S):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())
