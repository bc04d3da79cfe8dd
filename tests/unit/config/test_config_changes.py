from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from hafailover.config import model, schema
from hafailover.config.changes import LIVE, changes
from hafailover.config.routing import route

CHECK = model.Check("nginx", "tcp", address=("127.0.0.1", 80))
GROUP = model.Group("vip", addresses=("10.0.1.100",), checks=(CHECK,))
NODES = (model.Node("web-a", "10.0.1.17", 7694), model.Node("web-b", "10.0.1.16", 7694, eni="eni-bbbbbbbb"))
OLD = model.Config(
    path=Path("/etc/hafailover/config.toml"),
    digest=b"12345678",
    keys=(bytes(32),),
    cluster=model.Cluster("web", (Path("/key"),)),
    nodes=NODES,
    groups=(GROUP,),
)


def with_group(**changed: Any) -> model.Config:
    return replace(OLD, groups=(replace(GROUP, **changed),))


def with_node(order: int, **changed: Any) -> model.Config:
    nodes = list(NODES)
    nodes[order] = replace(NODES[order], **changed)
    return replace(OLD, nodes=tuple(nodes))


def told(new: model.Config) -> list[tuple[str, bool]]:
    return [(change.key, change.live) for change in changes(OLD, new, "web-a")]


def test_the_same_file_changes_nothing() -> None:
    assert told(replace(OLD, digest=b"87654321", path=Path("/elsewhere"))) == []


@pytest.mark.parametrize(
    ("new", "key"),
    [
        (replace(OLD, log=model.Log(level="debug")), "log.level"),
        (replace(OLD, heartbeat=model.Heartbeat(interval_ms=100)), "heartbeat.interval"),
        (replace(OLD, cloud=model.Cloud(audit_interval_ms=60_000)), "cloud.audit_interval"),
        (replace(OLD, keys=(bytes(32), b"k" * 32)), "cluster: the content of its key files"),
        (replace(OLD, cluster=model.Cluster("web", (Path("/a"), Path("/b")))), "cluster.key_files"),
        (with_node(0, priority=80), 'node "web-a".priority'),
        (with_node(1, host="10.0.1.18", port=7000), 'node "web-b".address'),
        (with_group(guards=("vip",)), 'group "vip".guards'),
        (with_group(preempt=True), 'group "vip".preempt'),
        (with_group(priorities=(("web-b", 200),)), 'group "vip".priorities'),
        (with_group(hold_down_ms=1), 'group "vip".hold_down'),
        (with_group(notify=model.Notify(master=("/bin/true",))), 'group "vip".notify.master'),
        (with_group(checks=()), 'group "vip".check "nginx" removed'),
        (with_group(checks=(CHECK, replace(CHECK, name="two"))), 'group "vip".check "two" added'),
        (with_group(checks=(replace(CHECK, fall=5),)), 'group "vip".check "nginx".fall'),
        (replace(OLD, groups=(GROUP, replace(GROUP, name="db"))), 'group "db" added'),
        (replace(OLD, groups=()), 'group "vip" removed'),
        (replace(OLD, nodes=NODES[:1]), 'node "web-b" removed'),
        (replace(OLD, nodes=(model.Node("web-c", "10.0.1.15", 7694), *NODES)), 'node "web-c" added'),
    ],
)
def test_what_a_running_daemon_takes_in(new: model.Config, key: str) -> None:
    assert told(new) == [(key, True)]


@pytest.mark.parametrize(
    ("new", "key"),
    [
        (replace(OLD, cluster=model.Cluster("other", (Path("/key"),))), "cluster.name"),
        (replace(OLD, log=model.Log(format="json")), "log.format"),
        (replace(OLD, metrics=model.Metrics(port=9)), "metrics.listen"),
        (replace(OLD, control=model.Control(group="x")), "control.group"),
        (replace(OLD, state=model.State(Path("/x"))), "state.directory"),
        (replace(OLD, mqtt=model.Mqtt("broker")), "[mqtt] added"),
        (replace(OLD, cloud=model.Cloud(timeout_ms=1_000)), "cloud.timeout"),
        (replace(OLD, nodes=NODES[1:]), 'node "web-a" removed'),
        (replace(OLD, nodes=NODES[::-1]), "the order of the nodes"),
        (with_node(0, host="10.0.1.18"), 'node "web-a".address'),
        (with_node(1, eni="eni-x"), 'node "web-b".eni'),
        (with_group(addresses=("10.0.1.101",)), 'group "vip".addresses'),
        (with_group(guest="none"), 'group "vip".guest'),
        (with_group(routes=(route("10.8.0.0/16"),)), 'group "vip".routes'),
        (with_group(fence="stop-instance"), 'group "vip".fence'),
    ],
)
def test_what_needs_a_restart_is_named(new: model.Config, key: str) -> None:
    assert told(new) == [(key, False)]


def test_the_first_group_on_the_guest_needs_a_restart_and_a_renamed_one_does_not() -> None:
    alone = replace(OLD, groups=(replace(GROUP, guest="none"),))
    second = replace(alone, groups=(*alone.groups, replace(GROUP, name="db", addresses=("10.0.1.101",))))
    said = {change.key: change.live for change in changes(alone, second, "web-a")}
    assert said == {'group "db" added': True, 'group "db".guest, the first that is not "none"': False}
    assert told(with_group(name="web")) == [('group "vip" removed', True), ('group "web" added', True)]


def test_everything_that_is_different_is_told() -> None:
    new = replace(with_group(preempt=True, guest="none"), log=model.Log(level="debug"))
    assert told(new) == [("log.level", True), ('group "vip".preempt', True), ('group "vip".guest', False)]


def test_every_live_key_is_one_of_the_schema() -> None:
    tables = {table.name: table for table in vars(schema).values() if isinstance(table, schema.Table)}
    tables["peer"] = tables["node"]
    for name, keys in LIVE.items():
        known = {key.name for key in tables[name].keys}
        assert keys - {"*"} <= known, name


def test_every_field_of_the_file_is_compared() -> None:
    compared = {
        "cluster",
        "heartbeat",
        "cloud",
        "announced",
        "mqtt",
        "metrics",
        "control",
        "state",
        "log",
        "keys",
        "nodes",
        "groups",
    }
    assert {each.name for each in fields(model.Config)} - compared == {"path", "digest"}


def test_another_address_of_a_node_whose_eni_was_found_by_it_needs_a_restart() -> None:
    unnamed = replace(OLD, nodes=(NODES[0], replace(NODES[1], eni=None)))
    moved = replace(unnamed, nodes=(NODES[0], replace(NODES[1], eni=None, host="10.0.1.18")))
    assert [(change.key, change.live) for change in changes(unnamed, moved, "web-a")] == [
        ('node "web-b".address', False)
    ]
