"""What a configuration file says, as values: durations are integers in milliseconds, defaults are filled in.

A field's default here is that of the file's key. The ranges are in `schema`; what holds between keys is in
`relations`. A `Config` that exists is valid: the loader makes none otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hafailover.election.values import Handover

if TYPE_CHECKING:
    from hafailover.config.routing import Virtual, VirtualRoute, VirtualRule

CheckType = Literal["http", "tcp", "script", "process", "systemd", "file", "interface"]
AnnouncedSource = Literal["spot", "repair"]
HeartbeatPath = Literal["udp", "mqtt"]
Guard = Literal["vip", "cloud", "mqtt", "gateway", "quorum"]


@dataclass(frozen=True, slots=True)
class Cluster:
    """`[cluster]`: 1 to 4 key files; the first key signs, all of them verify."""

    name: str
    key_files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """`[heartbeat]`: dead_interval_ms is at least 3 times interval_ms, restart_grace_ms at least that.

    Without `paths` in the file, a table `[mqtt]` adds "mqtt" to them.
    """

    interval_ms: int = 200
    dead_interval_ms: int = 1_000
    restart_grace_ms: int = 3_000
    paths: tuple[HeartbeatPath, ...] = ("udp",)


@dataclass(frozen=True, slots=True)
class Cloud:
    """`[cloud]`: region None means that the metadata service tells it.

    `credentials` is "role", "role:NAME", "file:/absolute/path" or "env". An endpoint is HOST, HOST:PORT or a
    http(s) URL without a path; `metadata_url` is such a URL.
    """

    region: str | None = None
    credentials: str = "role"
    endpoint: str = "vpc.tencentcloudapi.com"
    cvm_endpoint: str = "cvm.tencentcloudapi.com"
    metadata_url: str = "http://metadata.tencentyun.com"
    timeout_ms: int = 3_000
    strategy: Literal["migrate", "reassign"] = "migrate"
    audit_interval_ms: int = 30_000


@dataclass(frozen=True, slots=True)
class Node:
    """`[[node]]`: `host` is an IP address without brackets; None means that metadata or the cloud tells."""

    name: str
    host: str
    port: int
    instance_id: str | None = None
    eni: str | None = None
    interface: str | None = None
    priority: int = 100
    role: Literal["member", "witness"] = "member"


@dataclass(frozen=True, slots=True)
class Check:
    """`[[group.check]]`: which of the fields after `weight` say something depends on `type`.

    script: command; tcp: address; http: url and status; process: pidfile, else the process called `name`;
    systemd: unit; file: path; interface: interface. `reverse`: it passes where it else says no.
    """

    name: str
    type: CheckType
    interval_ms: int = 500
    timeout_ms: int = 300
    rise: int = 2
    fall: int = 2
    weight: int = 0
    reverse: bool = False
    command: tuple[str, ...] = ()
    address: tuple[str, int] | None = None
    url: str = ""
    status: int = 200
    pidfile: Path | None = None
    unit: str = ""
    path: Path | None = None
    interface: str = ""


@dataclass(frozen=True, slots=True)
class Notify:
    """`[group.notify]`: each hook is an argument vector that begins with an absolute path; empty: none.

    `notify` is run after each of the others but `promote`, with four more arguments, as keepalived's is.
    """

    promote: tuple[str, ...] = ()
    master: tuple[str, ...] = ()
    backup: tuple[str, ...] = ()
    fault: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    notify: tuple[str, ...] = ()
    timeout_ms: int = 30_000


@dataclass(frozen=True, slots=True)
class Group:
    """`[[group]]`: what moves together.

    Without `guards` in the file, a `vip_port` adds "vip" to them, and MQTT as the only heartbeat path "mqtt".
    """

    name: str
    addresses: tuple[str, ...] = ()
    enis: tuple[str, ...] = ()
    routes: tuple[VirtualRoute, ...] = ()
    rules: tuple[VirtualRule, ...] = ()
    priorities: tuple[tuple[str, int], ...] = ()  # by node, where it is another one than the node's
    preempt: bool = False
    preempt_delay_ms: int = 30_000
    startup_delay_ms: int = 0
    handover: Handover = Handover.OVERLAP
    on_isolation: Literal["hold", "demote"] = "hold"
    isolation_timeout_ms: int = 30_000
    hold_down_ms: int = 30_000
    guards: tuple[Guard, ...] = ("cloud",)
    fence: Literal["none", "stop-instance"] = "none"
    vip_port: int | None = None
    guest: Literal["netlink", "none"] = "netlink"
    checks: tuple[Check, ...] = ()
    notify: Notify = field(default_factory=Notify)

    @property
    def followers(self) -> tuple[Virtual, ...]:
        """What the guest is to have for as long as it answers for the addresses, in the order of making it."""
        return (*self.routes, *self.rules)

    def priority_of(self, node: Node) -> int:
        """Return a node's rank for this group."""
        return dict(self.priorities).get(node.name, node.priority)


@dataclass(frozen=True, slots=True)
class Mqtt:
    """`[mqtt]`: the broker of the second heartbeat path, of the guard "mqtt" and of events.

    In `username`, "{node}" stands for the name of the node. `ca_file` None: what the system trusts.
    """

    host: str
    port: int = 8883
    tls: bool = True
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    username: str = ""
    password_file: Path | None = None
    topic: str = "hafailover"


@dataclass(frozen=True, slots=True)
class Announced:
    """`[announced]`: whose announcements are heeded, and how long before an event the node is drained."""

    sources: tuple[AnnouncedSource, ...] = ()
    drain_before_ms: int = 600_000


@dataclass(frozen=True, slots=True)
class Metrics:
    """`[metrics]`: where the HTTP server listens; `host` is an IP address without brackets."""

    host: str = "127.0.0.1"
    port: int = 9694


@dataclass(frozen=True, slots=True)
class Control:
    """`[control]`: the command line's socket, and the Unix group whose members may change things."""

    socket: Path = Path("/run/hafailover/control.sock")
    group: str = "hafailover"


@dataclass(frozen=True, slots=True)
class State:
    """`[state]`: the directory of what is remembered across restarts."""

    directory: Path = Path("/var/lib/hafailover")


@dataclass(frozen=True, slots=True)
class Log:
    """`[log]`: auto is console on a terminal, else json."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole file. `digest` is 8 bytes, equal where files mean the same; `keys` are 32 bytes each."""

    path: Path
    digest: bytes
    keys: tuple[bytes, ...] = field(repr=False)
    cluster: Cluster
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    cloud: Cloud = field(default_factory=Cloud)
    nodes: tuple[Node, ...]
    groups: tuple[Group, ...]
    announced: Announced = field(default_factory=Announced)
    mqtt: Mqtt | None = None
    metrics: Metrics = field(default_factory=Metrics)
    control: Control = field(default_factory=Control)
    state: State = field(default_factory=State)
    log: Log = field(default_factory=Log)

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses of all groups."""
        return tuple(address for group in self.groups for address in group.addresses)

    @property
    def enis(self) -> tuple[str, ...]:
        """The ids of all ENIs that move."""
        return tuple(eni for group in self.groups for eni in group.enis)
