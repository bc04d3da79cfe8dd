"""The program under test: daemons, one on each host of a lab, with one configuration for all."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
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
dead_interval = "{dead_interval}"
restart_grace = "{restart_grace}"
{more_heartbeat}

[cloud]
region = "ap-guangzhou"
credentials = "{credentials}"
endpoint = "http://{api}:{api_port}"
cvm_endpoint = "http://{api}:{api_port}"
metadata_url = "http://{metadata}"
audit_interval = "{audit_interval}"
strategy = "{strategy}"
{nodes}
{groups}
[metrics]
listen = "{metrics_host}:{metrics_port}"

[log]
level = "debug"
format = "json"
{more}
"""

_NODE = """
[[node]]
name = "{name}"
address = "{address}:{port}"
priority = {priority}
"""
_MEMBER = """instance_id = "{instance}"
eni = "{eni}"
"""
_WITNESS = """role = "witness"
"""

_GROUP = """
[[group]]
name = "{name}"
addresses = {addresses}
enis = {enis}
guards = {guards}
vip_port = {service_port}
guest = "netlink"
{more}

[[group.check]]
name = "service"
type = "tcp"
address = "127.0.0.1:{service_port}"
interval = "{check_interval}"
timeout = "{check_timeout}"
fall = 1
rise = 1
{notify}"""

HOOKS_FILE = "run/hooks"  # in the host's directory; a line for each hook that has run to its end
_HOOK = (
    '{hook} = ["/bin/sh", "-c", "sleep {seconds:g}; echo {hook} $HAFAILOVER_REASON $(date +%s%N) >> /run/hooks"]'
)


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """One group: what it moves. `enis` are ids."""

    name: str = GROUP
    addresses: tuple[str, ...] = (ADDRESS,)
    enis: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PairSettings:
    """What differs between scenarios; the rest is the lab's: heartbeats every 100 ms, dead after 300 ms.

    `more_heartbeat` are lines of that table, `more_group` of each group's, `more` are tables of their own.
    `hooks` are those that leave a line in HOOKS_FILE after so many seconds. `witnesses` are hosts that only
    vote. With `ipv6` the daemons talk over that, for which the fabric must have it (`CloudSettings.ipv6`).
    `own` are the hosts' ENIs that take the addresses. `nodes` are the hosts that the file names; (): all.
    """

    guards: tuple[str, ...] = ("vip", "cloud")
    dead_interval: str = "300ms"
    restart_grace: str = "3s"
    audit_interval: str = "30s"
    check_interval: str = "100ms"
    check_timeout: str = "100ms"
    credentials: str = "role"
    more_heartbeat: str = ""
    more_group: str = ""
    more: str = ""
    hooks: dict[str, float] = field(default_factory=dict)
    witnesses: tuple[str, ...] = ()
    metrics_host: str = "127.0.0.1"
    strategy: str = "migrate"
    groups: tuple[GroupSettings, ...] = (GroupSettings(),)
    ipv6: bool = False
    own: dict[str, str] = field(default_factory=lambda: ENI)
    nodes: tuple[str, ...] = ()


class Pair:
    """A daemon on each host. `start` makes web-a the master, web-b its backup, and web-c another where it is there.

    `environment` is what each daemon gets beside its keys when it is started.
    """

    def __init__(self, lab: Lab, settings: PairSettings | None = None) -> None:
        self.lab = lab
        self.settings = settings or PairSettings()
        self.environment: dict[str, dict[str, str]] = {name: {} for name in lab.hosts}
        self.config = lab.directory / "config.toml"
        self.config.write_text(self._text(), encoding="utf-8")
        key = secrets.token_hex(32)
        for name in lab.hosts:
            self.write_key(name, key)

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses that the groups move, those on their ENIs included."""
        moving = {eni for group in self.settings.groups for eni in group.enis}
        on_enis = ((*spec.addresses, *spec.ipv6s) for spec in self.lab.settings.enis if spec.eni_id in moving)
        of_groups = (group.addresses for group in self.settings.groups)
        return tuple(address for each in (*of_groups, *on_enis) for address in each)

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes of the file."""
        return self.settings.nodes or tuple(self.lab.hosts)

    def rewrite(self, **settings: Any) -> None:
        """Write another version of the file for all nodes; none has read it yet."""
        self.settings = replace(self.settings, **settings)
        self.config.write_text(self._text(), encoding="utf-8")

    def reload(self, name: str) -> str:
        """Have a daemon read the file again; return what it said. Raises LabError where it has refused."""
        done = self.run(name, "reload")
        if done.returncode != 0:
            raise LabError(f"{name} took nothing in: {done.stdout}{done.stderr}")
        return done.stdout

    def _text(self) -> str:
        nodes = "".join(self._node(order, name) for order, name in enumerate(self.names))
        return _CONFIG.format(
            dead_interval=self.settings.dead_interval,
            restart_grace=self.settings.restart_grace,
            credentials=self.settings.credentials,
            audit_interval=self.settings.audit_interval,
            strategy=self.settings.strategy,
            api=API,
            api_port=API_PORT,
            metadata=METADATA,
            nodes=nodes,
            more_heartbeat=self.settings.more_heartbeat,
            groups="".join(self._group(group) for group in self.settings.groups),
            more=self.settings.more,
            metrics_host=self.settings.metrics_host,
            metrics_port=METRICS_PORT,
        )

    def _group(self, group: GroupSettings) -> str:
        return _GROUP.format(
            name=group.name,
            addresses=json.dumps(group.addresses),
            enis=json.dumps(group.enis),
            guards=json.dumps(self.settings.guards),
            service_port=SERVICE_PORT,
            check_interval=self.settings.check_interval,
            check_timeout=self.settings.check_timeout,
            more=self.settings.more_group,
            notify=self._notify(),
        )

    def _node(self, order: int, name: str) -> str:
        port = self.lab.hosts[name].port
        address = f"[{port.address6}]" if self.settings.ipv6 else port.address
        text = _NODE.format(name=name, address=address, port=HEARTBEAT_PORT, priority=100 - 10 * order)
        if name in self.settings.witnesses:
            return text + _WITNESS
        return text + _MEMBER.format(instance=INSTANCE[name], eni=self.settings.own[name])

    def _notify(self) -> str:
        lines = [_HOOK.format(hook=hook, seconds=seconds) for hook, seconds in self.settings.hooks.items()]
        return "\n".join(["[group.notify]", *lines, ""]) if lines else ""

    def write_key(self, name: str, key: str, file: str = "cluster.key") -> None:
        """Give a host a heartbeat key: 64 hex digits."""
        path = self.lab.hosts[name].directory / "lib/hafailover" / file
        path.touch(mode=0o600)
        path.write_text(key + "\n", encoding="ascii")

    def start(self) -> None:
        """Start all daemons and wait until the first is master and the others could take over."""
        first, *others = self.names
        self.start_daemon(first)
        self.wait_state(first, "MASTER")
        self.lab.wait_carries(first, *self.addresses)
        for name in others:
            self.start_daemon(name)
        for name in others:
            self.wait_state(name, "BACKUP")
        members = [name for name in others if name not in self.settings.witnesses]
        wait_for("the backups could take over", lambda: all(self.group(name)["eligible"] for name in members))
        self.wait_peers_alive()

    def start_daemon(self, name: str) -> Process:
        """Start one daemon; it may not be ready yet."""
        environment = dict(zip(ENV_KEYS, self.lab.cloud.keys_of(name), strict=True))
        environment |= self.environment[name]
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

    def group(self, name: str, group: str = "") -> dict[str, Any]:
        """Return a group's part of a host's status, the first one's unless it is named, or {}."""
        groups: Sequence[dict[str, Any]] = self.status(name).get("groups", ())
        return next((each for each in groups if group in ("", each["name"])), {})

    def wait_state(self, name: str, state: str, timeout_s: float = 10.0, group: str = "") -> float:
        """Wait until a host's daemon says that it is in this state."""
        return wait_for(f"{name} is {state}", lambda: self.state(name, group) == state, timeout_s, pause_s=0.05)

    def state(self, name: str, group: str = "") -> str:
        """Return a group's state on a host, "" while its daemon starts. Raises LabError where that has ended."""
        if not self.daemon(name).running:
            raise LabError(f"the daemon of {name} has ended:\n{self.daemon(name).log.read_text()[-1000:]}")
        return str(self.group(name, group).get("state", ""))

    def wait_peers_alive(self, *, alive: bool = True) -> None:
        """Wait until each daemon says of all others that they are alive (or not)."""
        what = "the daemons hear each other" if alive else "the daemons do not hear each other"
        wait_for(what, lambda: all(set(self.peers_alive(name)) == {alive} for name in self.names), pause_s=0.05)

    def peers_alive(self, name: str) -> list[bool]:
        """Return, for each peer, whether a host's daemon takes it for alive."""
        return [bool(peer["alive"]) for peer in self.status(name).get("peers", ())]

    def metrics(self, name: str) -> dict[str, float]:
        """Return a daemon's metrics: the sample's name with its labels, as the text format writes it."""
        _, text = self.page(name, "/metrics")
        samples = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in samples if name}

    def page(self, name: str, path: str) -> tuple[int, str]:
        """Return the status and the text of a page at a daemon's metrics address."""
        code = (
            "import http.client as h,sys;"
            f"c=h.HTTPConnection('127.0.0.1',{METRICS_PORT},timeout=3);c.request('GET',sys.argv[1]);"
            "r=c.getresponse();sys.stdout.write(str(r.status)+chr(10)+r.read().decode())"
        )
        done = run_program(self.lab.hosts[name], [sys.executable, "-c", code, path], 10.0)
        if done.returncode != 0:
            raise LabError(f"no {path} from {name}: {done.stderr[-300:]}")
        status, _, text = done.stdout.partition("\n")
        return int(status), text

    def log(self, name: str) -> list[dict[str, Any]]:
        """Return what a daemon has logged, without a line that it has not ended yet."""
        path = self.lab.hosts[name].directory / "daemon.log"
        lines = path.read_text(errors="replace").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]

    def said(self, name: str, event: str, **fields: object) -> list[dict[str, Any]]:
        """Return the lines of a daemon's log that tell of such an event, with these fields."""
        wanted = {"event": event, **fields}
        return [entry for entry in self.log(name) if wanted.items() <= entry.items()]

    def wait_said(self, name: str, event: str, timeout_s: float = 10.0, **fields: object) -> dict[str, Any]:
        """Wait until a daemon's log has such a line, and return the first."""
        wait_for(f"{name} says {event} {fields}", lambda: bool(self.said(name, event, **fields)), timeout_s)
        return self.said(name, event, **fields)[0]

    def metric(self, host: str, metric: str, **labels: str) -> float:
        """Return the sum of a metric's samples that have these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(
            value
            for sample, value in self.metrics(host).items()
            if sample.partition("{")[0] == metric and all(each in sample for each in wanted)
        )

    def hooks_run(self, name: str) -> list[str]:
        """Return the hooks that have run to their end on a host: each its name, a blank and the reason."""
        return [line.rpartition(" ")[0] for line in self._hook_lines(name)]

    def hook_ends(self, name: str) -> list[tuple[str, int]]:
        """Return the hooks that have run to their end on a host, and when, on CLOCK_MONOTONIC in nanoseconds."""
        offset_ns = time.time_ns() - time.monotonic_ns()
        return [(line.split()[0], int(line.split()[-1]) - offset_ns) for line in self._hook_lines(name)]

    def _hook_lines(self, name: str) -> list[str]:
        path = self.lab.hosts[name].directory / HOOKS_FILE
        return path.read_text(encoding="ascii").splitlines() if path.exists() else []


def run_program(host: Host, argv: Sequence[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run a program on a host to its end and return what it said."""
    command = inside(host.namespace, argv, host.directory)
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_s, env=ENVIRONMENT)
