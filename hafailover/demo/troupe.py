"""The demo's daemons: real `hafailover run` processes on loopback, with their files in a folder of their own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hafailover.control import client
from hafailover.errors import HafailoverError

if TYPE_CHECKING:
    from collections.abc import Callable

    Line = dict[str, Any]

START_S = 15.0
REQUEST_S = 5.0
END_S = 5.0

CONFIG = """\
[cluster]
name = "demo"
key_file = "{folder}/cluster.key"
[heartbeat]
interval = "100ms"
dead_interval = "300ms"
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
listen = "{host}:9694"
[control]
socket = "{folder}/{name}.sock"
[state]
directory = "{folder}/{name}"
"""

NODE = """\
[[node]]
name = "{name}"
address = "{host}:7694"
eni = "{eni}"
instance_id = "{instance}"
priority = {priority}
"""


@dataclass
class Actor:
    """One node: its name, loopback address, ENI, instance, priority, API key; its daemon while that runs."""

    name: str
    host: str
    eni: str
    instance: str
    priority: int
    secret_id: str
    secret_key: str
    socket: Path = field(default_factory=Path)
    process: asyncio.subprocess.Process | None = None

    def status(self) -> Line:
        """Return the daemon's own status. Raises HafailoverError."""
        return client.request(self.socket, {"command": "status"}, REQUEST_S)

    def state(self) -> str:
        """Return the state of the group on this node, or why that is not known."""
        try:
            return str(self.status()["groups"][0]["state"])
        except HafailoverError:
            return "unreachable"


def write_files(folder: Path, actors: tuple[Actor, ...], values: dict[str, object]) -> None:
    """Write the key and each node's configuration, which differ in nothing but this machine's own paths."""
    key = folder / "cluster.key"
    key.write_text(os.urandom(32).hex() + "\n")
    key.chmod(0o600)
    nodes = "".join(NODE.format(**vars(actor)) for actor in actors)
    for actor in actors:
        actor.socket = folder / f"{actor.name}.sock"
        text = CONFIG.format(**values, folder=folder, nodes=nodes, name=actor.name, host=actor.host)
        (folder / f"{actor.name}.toml").write_text(text)


async def start(actor: Actor, folder: Path, hear: Callable[[str, Line], None]) -> asyncio.Task[None]:
    """Start a daemon; `hear` gets every line of its log. Returns the task that reads them."""
    environment = {
        **os.environ,
        "TENCENTCLOUD_SECRET_ID": actor.secret_id,
        "TENCENTCLOUD_SECRET_KEY": actor.secret_key,
    }
    program = (sys.executable, "-m", "hafailover.cli", "run", "-c", str(folder / f"{actor.name}.toml"))
    actor.process = await asyncio.create_subprocess_exec(
        *program, "--node", actor.name, env=environment, stderr=asyncio.subprocess.PIPE
    )
    return asyncio.create_task(_listen(actor, hear))


async def _listen(actor: Actor, hear: Callable[[str, Line], None]) -> None:
    assert actor.process is not None  # noqa: S101 - just started
    assert actor.process.stderr is not None  # noqa: S101 - a pipe was asked for
    async for line in actor.process.stderr:
        try:
            hear(actor.name, json.loads(line))
        except ValueError:
            hear(actor.name, {"event": "output", "text": line.decode(errors="replace").rstrip()})


def freeze(actor: Actor, *, frozen: bool) -> None:
    """Stop a daemon from running at all, as the loss of its host does, or let it go on."""
    if actor.process is not None and actor.process.returncode is None:
        actor.process.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)


async def end(actors: tuple[Actor, ...]) -> None:
    """End all daemons, whatever state they are in."""
    for actor in actors:
        freeze(actor, frozen=False)
        if actor.process is not None and actor.process.returncode is None:
            actor.process.kill()
            await asyncio.wait_for(actor.process.wait(), END_S)
