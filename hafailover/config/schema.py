"""The tables and keys of the file: what kind of value each key takes, and which model field it fills.

The defaults are those of the model's fields; docs/configuration.md shows both and a test compares them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hafailover.config import kinds, model
from hafailover.config.kinds import Kind, Many, choice, duration_between, integer
from hafailover.election.values import Handover

MOST_NODES = 16
MOST_GROUPS = 500
MOST_CHECKS = 32
MOST_ADDRESSES = 64
MOST_ENIS = 16
MOST_ROUTES = 64
MOST_KEYS = 4


@dataclass(frozen=True, slots=True)
class Key:
    """A key and the model fields that its value fills: one, or one for each element of the value."""

    name: str
    kind: Kind | Many
    fields: tuple[str, ...] = ()
    required: bool = False

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the model's fields."""
        return self.fields or (self.name,)


@dataclass(frozen=True, slots=True)
class Child:
    """A table within a table: one [table] where `at_most` is None, else that many [[tables]].

    An absent [table] is read like an empty one, unless it is optional.
    """

    table: Table
    field: str
    at_most: int | None = None
    at_least: int = 0
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the file and the dataclass that it becomes."""

    name: str
    model: type[Any]
    keys: tuple[Key, ...] = ()
    children: tuple[Child, ...] = ()


CLUSTER = Table(
    "cluster",
    model.Cluster,
    (
        Key("name", kinds.NAME, required=True),
        Key("key_file", kinds.KEY_FILE, ("key_files",)),
        Key("key_files", Many(kinds.SECRET, MOST_KEYS, 1)),
    ),
)
HEARTBEAT = Table(
    "heartbeat",
    model.Heartbeat,
    (
        Key("interval", duration_between("10ms", "10s"), ("interval_ms",)),
        Key("dead_interval", duration_between("30ms", "5m"), ("dead_interval_ms",)),
        Key("restart_grace", duration_between("30ms", "10m"), ("restart_grace_ms",)),
        Key("paths", Many(choice("udp", "mqtt"), 2, 1)),
    ),
)
CLOUD = Table(
    "cloud",
    model.Cloud,
    (
        Key("region", kinds.REGION),
        Key("credentials", kinds.CREDENTIALS),
        Key("endpoint", kinds.ENDPOINT),
        Key("cvm_endpoint", kinds.ENDPOINT),
        Key("metadata_url", kinds.BASE_URL),
        Key("timeout", duration_between("100ms", "1m"), ("timeout_ms",)),
        Key("strategy", choice("migrate", "reassign")),
        Key("audit_interval", duration_between("1s", "1h"), ("audit_interval_ms",)),
    ),
)
NODE = Table(
    "node",
    model.Node,
    (
        Key("name", kinds.NAME, required=True),
        Key("address", kinds.PEER, ("host", "port"), required=True),
        Key("instance_id", kinds.INSTANCE_ID),
        Key("eni", kinds.ENI_ID),
        Key("interface", kinds.INTERFACE),
        Key("priority", kinds.PRIORITY),
        Key("role", choice("member", "witness")),
    ),
)
CHECK = Table(
    "check",
    model.Check,
    (
        Key("name", kinds.NAME, required=True),
        Key("type", choice("http", "tcp", "script", "process", "systemd", "file", "interface"), required=True),
        Key("interval", duration_between("50ms", "1h"), ("interval_ms",)),
        Key("timeout", duration_between("10ms", "10m"), ("timeout_ms",)),
        Key("rise", integer(1, 100)),
        Key("fall", integer(1, 100)),
        Key("weight", integer(-253, 253)),
        Key("reverse", kinds.FLAG),
        Key("command", kinds.COMMAND),
        Key("address", kinds.TARGET),
        Key("url", kinds.URL),
        Key("status", integer(100, 599)),
        Key("pidfile", kinds.PATH),
        Key("unit", kinds.UNIT),
        Key("path", kinds.PATH),
        Key("interface", kinds.INTERFACE),
    ),
)
NOTIFY = Table(
    "notify",
    model.Notify,
    (
        *(Key(hook, kinds.COMMAND) for hook in ("promote", "master", "backup", "fault", "stop", "notify")),
        Key("timeout", duration_between("100ms", "1h"), ("timeout_ms",)),
    ),
)
GROUP = Table(
    "group",
    model.Group,
    (
        Key("name", kinds.NAME, required=True),
        Key("addresses", Many(kinds.VIP, MOST_ADDRESSES)),
        Key("enis", Many(kinds.ENI_ID, MOST_ENIS)),
        Key("routes", Many(kinds.ROUTE, MOST_ROUTES)),
        Key("rules", Many(kinds.RULE, MOST_ROUTES)),
        Key("priorities", kinds.PRIORITIES),
        Key("preempt", kinds.FLAG),
        Key("preempt_delay", duration_between("0s", "1h"), ("preempt_delay_ms",)),
        Key("startup_delay", duration_between("0s", "1h"), ("startup_delay_ms",)),
        Key("handover", choice("overlap", "strict", enum=Handover)),
        Key("on_isolation", choice("hold", "demote")),
        Key("isolation_timeout", duration_between("1s", "1h"), ("isolation_timeout_ms",)),
        Key("hold_down", duration_between("0s", "10m"), ("hold_down_ms",)),
        Key("guards", Many(choice("vip", "cloud", "mqtt", "gateway", "quorum"), 5)),
        Key("fence", choice("none", "stop-instance")),
        Key("vip_port", kinds.PORT),
        Key("guest", choice("netlink", "none")),
    ),
    (Child(CHECK, "checks", MOST_CHECKS), Child(NOTIFY, "notify")),
)
ANNOUNCED = Table(
    "announced",
    model.Announced,
    (
        Key("sources", Many(choice("spot", "repair"), 2)),
        Key("drain_before", duration_between("1m", "24h"), ("drain_before_ms",)),
    ),
)
MQTT = Table(
    "mqtt",
    model.Mqtt,
    (
        Key("host", kinds.HOST, required=True),
        Key("port", kinds.PORT),
        Key("tls", kinds.FLAG),
        *(Key(name, kinds.SECRET) for name in ("ca_file", "cert_file", "key_file")),
        Key("username", kinds.USERNAME),
        Key("password_file", kinds.SECRET),
        Key("topic", kinds.TOPIC),
    ),
)
METRICS = Table("metrics", model.Metrics, (Key("listen", kinds.LISTEN, ("host", "port")),))
CONTROL = Table("control", model.Control, (Key("socket", kinds.SOCKET_PATH), Key("group", kinds.UNIX_GROUP)))
STATE = Table("state", model.State, (Key("directory", kinds.PATH),))
LOG = Table(
    "log",
    model.Log,
    (
        Key("level", choice("debug", "info", "warning", "error")),
        Key("format", choice("auto", "json", "console")),
    ),
)
ROOT = Table(
    "",
    model.Config,
    (),
    (
        Child(CLUSTER, "cluster"),
        Child(HEARTBEAT, "heartbeat"),
        Child(CLOUD, "cloud"),
        Child(NODE, "nodes", MOST_NODES, 1),
        Child(GROUP, "groups", MOST_GROUPS, 1),
        Child(ANNOUNCED, "announced"),
        Child(MQTT, "mqtt", optional=True),
        Child(METRICS, "metrics"),
        Child(CONTROL, "control"),
        Child(STATE, "state"),
        Child(LOG, "log"),
    ),
)
