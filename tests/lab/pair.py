"""The program under test: two daemons, one on each host of a lab, with one configuration for both."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hafailover.control import client
from hafailover.errors import ControlError, UnreachableError
from tests.lab.cloud import API_PORT
from tests.lab.fabric import API, HEARTBEAT_PORT, METADATA, LabError
from tests.lab.lab import ADDRESS, ENI, INSTANCE, SERVICE_PORT
from tests.lab.processes import ENVIRONMENT, inside, wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.lab.lab import Host, Lab
    from tests.lab.processes import Process

PROGRAM = (sys.executable, "-m", "hafailover.cli")
GROUP = "vip"
METRICS_PORT = 9694
ENV_KEYS = ("TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY")

_CONFIG = """
[cluster]
name = "lab"
key_file = "/var/lib/hafailover/cluster.key"

[heartbeat]
interval = "100ms"
dead_interval = "300ms"
restart_grace = "{restart_grace}"

[cloud]
region = "ap-guangzhou"
credentials = "{credentials}"
endpoint = "http://{api}:{api_port}"
cvm_endpoint = "http://{api}:{api_port}"
metadata_url = "http://{metadata}"
audit_interval = "{audit_interval}"
{nodes}
[[group]]
name = "{group}"
addresses = ["{address}"]
guards = {guards}
vip_port = {service_port}
guest = "netlink"
{more_group}

[[group.check]]
name = "service"
type = "tcp"
address = "127.0.0.1:{service_port}"
interval = "{check_interval}"
timeout = "100ms"
fall = 1
rise = 1

[metrics]
listen = "127.0.0.1:{metrics_port}"

[log]
level = "debug"
format = "json"
"""

_NODE = """
[[node]]
name = "{name}"
address = "{address}:{port}"
instance_id = "{instance}"
eni = "{eni}"
priority = {priority}
"""


@dataclass(frozen=True, slots=True)
class PairSettings:
    """What differs between scenarios; the rest is the lab's: heartbeats every 100 ms, dead after 300 ms."""

    guards: tuple[str, ...] = ("vip", "cloud")
    restart_grace: str = "3s"
    audit_interval: str = "30s"
    check_interval: str = "100ms"
    credentials: str = "role"
    more_group: str = ""


class Pair:
    """Two daemons. `start` makes web-a the master and web-b its backup."""

    def __init__(self, lab: Lab, settings: PairSettings | None = None) -> None:
        self.lab = lab
        self.settings = settings or PairSettings()
        self.config = lab.directory / "config.toml"
        self.config.write_text(self._text(), encoding="utf-8")
        key = secrets.token_hex(32)
        for name in lab.hosts:
            self.write_key(name, key)

    def _text(self) -> str:
        nodes = "".join(
            _NODE.format(
                name=name,
                address=host.port.address,
                port=HEARTBEAT_PORT,
                instance=INSTANCE[name],
                eni=ENI[name],
                priority=100 - 10 * order,
            )
            for order, (name, host) in enumerate(self.lab.hosts.items())
        )
        return _CONFIG.format(
            restart_grace=self.settings.restart_grace,
            credentials=self.settings.credentials,
            audit_interval=self.settings.audit_interval,
            check_interval=self.settings.check_interval,
            api=API,
            api_port=API_PORT,
            metadata=METADATA,
            nodes=nodes,
            group=GROUP,
            address=ADDRESS,
            guards=json.dumps(list(self.settings.guards)),
            service_port=SERVICE_PORT,
            more_group=self.settings.more_group,
            metrics_port=METRICS_PORT,
        )

    def write_key(self, name: str, key: str) -> None:
        """Give a host a heartbeat key: 64 hex digits."""
        path = self.lab.hosts[name].directory / "lib/hafailover/cluster.key"
        path.touch(mode=0o600)
        path.write_text(key + "\n", encoding="ascii")

    def start(self) -> None:
        """Start both daemons and wait until the first is master and the second is its backup."""
        self.start_daemon("web-a")
        self.wait_state("web-a", "MASTER")
        self.lab.wait_carries("web-a")
        self.start_daemon("web-b")
        self.wait_state("web-b", "BACKUP")
        self.wait_peers_alive()

    def start_daemon(self, name: str) -> Process:
        """Start one daemon; it may not be ready yet."""
        environment = dict(zip(ENV_KEYS, self.lab.cloud.keys_of(name), strict=True))
        return self.lab.hosts[name].start("daemon", self.command("run", name), environment)

    def command(self, command: str, name: str) -> list[str]:
        """Return the command line of `run` or another command that takes the configuration."""
        return [*PROGRAM, command, "-c", str(self.config), "--node", name]

    def daemon(self, name: str) -> Process:
        """Return a host's daemon."""
        return self.lab.hosts[name].processes["daemon"]

    def kill_daemon(self, name: str) -> None:
        """End a daemon with SIGKILL."""
        self.lab.hosts[name].kill("daemon")

    def run(self, name: str, *arguments: str, timeout_s: float = 15.0) -> subprocess.CompletedProcess[str]:
        """Run the command line on a host and return what it said."""
        return run_program(self.lab.hosts[name], [*PROGRAM, *arguments], timeout_s)

    def ask(self, name: str, command: str, **fields: object) -> dict[str, Any]:
        """Send a request to a host's daemon; {} while no daemon answers."""
        path = self.lab.hosts[name].directory / "run/hafailover/control.sock"
        try:
            return client.request(path, {"command": command, **fields}, 5.0)
        except (UnreachableError, ControlError):
            return {}

    def status(self, name: str) -> dict[str, Any]:
        """Return what a host's daemon says of itself, or {} while it does not answer."""
        return self.ask(name, "status")

    def group(self, name: str) -> dict[str, Any]:
        """Return the group's part of a host's status, or {}."""
        groups: Sequence[dict[str, Any]] = self.status(name).get("groups", ())
        return groups[0] if groups else {}

    def wait_state(self, name: str, state: str, timeout_s: float = 10.0) -> float:
        """Wait until a host's daemon says that it is in this state."""
        return wait_for(f"{name} is {state}", lambda: self.state(name) == state, timeout_s, pause_s=0.05)

    def state(self, name: str) -> str:
        """Return the group's state on a host, "" while its daemon starts. Raises LabError where that has ended."""
        if not self.daemon(name).running:
            raise LabError(f"the daemon of {name} has ended:\n{self.daemon(name).log.read_text()[-1000:]}")
        return str(self.group(name).get("state", ""))

    def wait_peers_alive(self, *, alive: bool = True) -> None:
        """Wait until each daemon says of the other that it is alive (or not)."""
        what = "the daemons hear each other" if alive else "the daemons do not hear each other"
        wait_for(what, lambda: all(self.peers_alive(name) == [alive] for name in self.lab.hosts), pause_s=0.05)

    def peers_alive(self, name: str) -> list[bool]:
        """Return, for each peer, whether a host's daemon takes it for alive."""
        return [bool(peer["alive"]) for peer in self.status(name).get("peers", ())]

    def metrics(self, name: str) -> dict[str, float]:
        """Return a daemon's metrics: the sample's name with its labels, as the text format writes it."""
        code = (
            "import sys,urllib.request as u;"
            f"sys.stdout.write(u.urlopen('http://127.0.0.1:{METRICS_PORT}/metrics',timeout=3).read().decode())"
        )
        done = run_program(self.lab.hosts[name], [sys.executable, "-c", code], 10.0)
        if done.returncode != 0:
            raise LabError(f"no metrics from {name}: {done.stderr[-300:]}")
        samples = (line.rpartition(" ") for line in done.stdout.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in samples if name}

    def log(self, name: str) -> list[dict[str, Any]]:
        """Return what a daemon has logged."""
        path = self.lab.hosts[name].directory / "daemon.log"
        return [json.loads(line) for line in path.read_text(errors="replace").splitlines() if line[:1] == "{"]


def run_program(host: Host, argv: Sequence[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run a program on a host to its end and return what it said."""
    command = inside(host.namespace, argv, host.directory)
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_s, env=ENVIRONMENT)
