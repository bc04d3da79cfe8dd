"""Every mistake within one value, with the exact words: what was given, what is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hafailover.config import reader, schema
from hafailover.config.findings import MOST, Findings

if TYPE_CHECKING:
    from tests.unit.config.conftest import Told

NAME = "1 to 63 letters, digits, dots, hyphens or underscores, the first a letter or digit"
DURATION = 'a duration such as "200ms", "1.5s" or "2m", from'
COMMAND = "an absolute path, or an array of 1 to 64 strings that begins with one"
PEER = '"IP:PORT" such as "10.0.1.17:7694" or "[fd00::17]:7694"'
VIP = 'an IP address such as "10.0.1.100"'
URL = 'a URL such as "http://127.0.0.1:80/healthz"'
ENDPOINT = 'a host such as "vpc.tencentcloudapi.com", "HOST:PORT" or a URL without a path'
CREDENTIALS = '"role", "role:NAME", "file:/PATH", "credential:NAME" or "env"'
TARGET = '"HOST:PORT" such as "127.0.0.1:5432"'
TABLES = "announced, cloud, cluster, control, group, heartbeat, log, metrics, mqtt, node, state"

# One key in its place, what is given, and the problem that is told of it.
VALUES = [
    ("cluster", "name", '"a b"', f'"a b" is malformed; allowed: {NAME}'),
    ("cluster", "name", '"-a"', f'"-a" is malformed; allowed: {NAME}'),
    ("cluster", "name", f'"{"a" * 64}"', f'"{"a" * 60}..." is malformed; allowed: {NAME}'),
    ("cluster", "name", "7", f"7 is an integer; allowed: {NAME}"),
    ("cluster", "name", "[]", f"an array was given; allowed: {NAME}"),
    ("heartbeat", "interval", "200", f"200 is an integer; allowed: {DURATION} 10ms to 10s"),
    ("heartbeat", "interval", "true", f"true is a boolean; allowed: {DURATION} 10ms to 10s"),
    ("heartbeat", "interval", "0.2", f"0.2 is a float; allowed: {DURATION} 10ms to 10s"),
    ("heartbeat", "interval", "01:02:03", f"01:02:03 is a date or time; allowed: {DURATION} 10ms to 10s"),
    ("heartbeat", "interval", "{}", f"a table was given; allowed: {DURATION} 10ms to 10s"),
    ("heartbeat", "interval", '"soon"', f'"soon" is not a duration; allowed: {DURATION} 10ms to 10s'),
    ("heartbeat", "interval", '"9ms"', f'"9ms" is out of range; allowed: {DURATION} 10ms to 10s'),
    ("heartbeat", "interval", '"11s"', f'"11s" is out of range; allowed: {DURATION} 10ms to 10s'),
    ("heartbeat", "interval", '"10.5ms"', f'"10.5ms" is finer than a millisecond; allowed: {DURATION} 10ms to 10s'),
    ("heartbeat", "dead_interval", '"6m"', f'"6m" is out of range; allowed: {DURATION} 30ms to 5m'),
    ("heartbeat", "restart_grace", '"11m"', f'"11m" is out of range; allowed: {DURATION} 30ms to 10m'),
    ("cloud", "region", '"Guangzhou"', '"Guangzhou" is malformed; allowed: a region such as "ap-guangzhou"'),
    ("cloud", "credentials", '"AKIDsecret"', f"the value (not shown) is not known; allowed: {CREDENTIALS}"),
    ("cloud", "credentials", '"file:here"', f"the value (not shown) is not known; allowed: {CREDENTIALS}"),
    ("cloud", "credentials", '"role:"', f"the value (not shown) is not known; allowed: {CREDENTIALS}"),
    ("cloud", "credentials", "5", f"the value (not shown) is an integer; allowed: {CREDENTIALS}"),
    ("cloud", "endpoint", '"a/b"', f'"a/b" is not a host name; allowed: {ENDPOINT}'),
    ("cloud", "endpoint", '"http://a/b"', f'"http://a/b" has a path; allowed: {ENDPOINT}'),
    ("cloud", "cvm_endpoint", '"a:0"', f'"a:0" has a port outside 1 to 65535; allowed: {ENDPOINT}'),
    (
        "cloud",
        "metadata_url",
        '"metadata"',
        (
            '"metadata" does not begin with http://HOST or https://HOST;'
            ' allowed: a URL without a path, such as "http://metadata.tencentyun.com"'
        ),
    ),
    ("cloud", "timeout", '"50ms"', f'"50ms" is out of range; allowed: {DURATION} 100ms to 1m'),
    ("cloud", "strategy", '"force"', '"force" is not known; allowed: "migrate" or "reassign"'),
    ("cloud", "audit_interval", '"2h"', f'"2h" is out of range; allowed: {DURATION} 1s to 1h'),
    (
        "metrics",
        "listen",
        '":9694"',
        '":9694" does not name an IP address; allowed: "IP:PORT" such as "127.0.0.1:9694" or "[::1]:9694"',
    ),
    (
        "control",
        "socket",
        '"control.sock"',
        '"control.sock" is not absolute; allowed: an absolute path of at most 107 bytes',
    ),
    (
        "control",
        "socket",
        f'"/{"a" * 107}"',
        f'"/{"a" * 59}..." is too long for a socket; allowed: an absolute path of at most 107 bytes',
    ),
    ("control", "group", '"Ops Team"', '"Ops Team" is malformed; allowed: the name of a Unix group'),
    ("state", "directory", '"var"', '"var" is not absolute; allowed: an absolute path'),
    ("state", "directory", r'"/a\u0000b"', r'"/a\x00b" is not a path; allowed: an absolute path'),
    ("log", "level", '"INFO"', '"INFO" is not known; allowed: "debug", "info", "warning" or "error"'),
    ("log", "format", '"text"', '"text" is not known; allowed: "auto", "json" or "console"'),
]

NODE_VALUES = [
    ("address", '"10.0.1.17"', f'"10.0.1.17" has no port; allowed: {PEER}'),
    ("address", '"web-a:7694"', f'"web-a:7694" does not name an IP address; allowed: {PEER}'),
    ("address", '"10.0.1.256:7694"', f'"10.0.1.256:7694" does not name an IP address; allowed: {PEER}'),
    ("address", '"[fd00::g]:7694"', f'"[fd00::g]:7694" does not name an IP address; allowed: {PEER}'),
    ("address", '"0.0.0.0:7694"', f'"0.0.0.0:7694" is not an address that a peer can send to; allowed: {PEER}'),
    (
        "address",
        '"224.0.0.18:7694"',
        f'"224.0.0.18:7694" is not an address that a peer can send to; allowed: {PEER}',
    ),
    ("instance_id", '"ins-123"', '"ins-123" is malformed; allowed: "ins-" and 8 lower-case letters or digits'),
    ("eni", '"eni-AAAAAAAA"', '"eni-AAAAAAAA" is malformed; allowed: "eni-" and 8 lower-case letters or digits'),
    ("interface", '"a/b"', '"a/b" is malformed; allowed: the name of a network interface, 1 to 15 characters'),
    ("interface", '".."', '".." is malformed; allowed: the name of a network interface, 1 to 15 characters'),
    ("priority", "0", "0 is out of range; allowed: an integer from 1 to 255"),
    ("priority", "256", "256 is out of range; allowed: an integer from 1 to 255"),
    ("priority", '"100"', '"100" is a string; allowed: an integer from 1 to 255'),
    ("priority", "true", "true is a boolean; allowed: an integer from 1 to 255"),
    ("role", '"master"', '"master" is not known; allowed: "member" or "witness"'),
]

GROUP_VALUES = [
    ("addresses", '"10.0.1.9"', f'"10.0.1.9" is a string; allowed: an array of 0 to 64, each {VIP}', ""),
    ("addresses", '["10.0.1.9", "10.0.1.999"]', f'"10.0.1.999" is not an IP address; allowed: {VIP}', "[2]"),
    ("addresses", '["127.0.0.1"]', f'"127.0.0.1" is not an address that an ENI can carry; allowed: {VIP}', "[1]"),
    ("addresses", "[5]", f"5 is an integer; allowed: {VIP}", "[1]"),
    ("addresses", '["10.0.1.9", "10.0.1.9"]', '"10.0.1.9" is given twice; allowed: each only once', "[2]"),
    ("preempt", '"yes"', '"yes" is a string; allowed: true or false', ""),
    ("preempt_delay", '"2h"', f'"2h" is out of range; allowed: {DURATION} 0s to 1h', ""),
    ("handover", '"fast"', '"fast" is not known; allowed: "overlap" or "strict"', ""),
    ("on_isolation", '"stop"', '"stop" is not known; allowed: "hold" or "demote"', ""),
    ("isolation_timeout", '"1ms"', f'"1ms" is out of range; allowed: {DURATION} 1s to 1h', ""),
    ("hold_down", '"11m"', f'"11m" is out of range; allowed: {DURATION} 0s to 10m', ""),
    ("guards", '["ping"]', '"ping" is not known; allowed: "vip", "cloud", "mqtt", "gateway" or "quorum"', "[1]"),
    ("guards", '["cloud", "cloud"]', '"cloud" is given twice; allowed: each only once', "[2]"),
    ("fence", '"reboot"', '"reboot" is not known; allowed: "none" or "stop-instance"', ""),
    ("vip_port", "0", "0 is out of range; allowed: an integer from 1 to 65535", ""),
    ("guest", '"ip"', '"ip" is not known; allowed: "netlink" or "none"', ""),
]

CHECK_VALUES = [
    ("http", "interval", '"49ms"', f'"49ms" is out of range; allowed: {DURATION} 50ms to 1h'),
    ("http", "timeout", '"9ms"', f'"9ms" is out of range; allowed: {DURATION} 10ms to 10m'),
    ("http", "rise", "0", "0 is out of range; allowed: an integer from 1 to 100"),
    ("http", "fall", "101", "101 is out of range; allowed: an integer from 1 to 100"),
    ("http", "weight", "254", "254 is out of range; allowed: an integer from -253 to 253"),
    ("http", "url", '"127.0.0.1"', f'"127.0.0.1" does not begin with http://HOST or https://HOST; allowed: {URL}'),
    ("http", "status", "99", "99 is out of range; allowed: an integer from 100 to 599"),
    ("tcp", "address", '"db"', f'"db" has no port; allowed: {TARGET}'),
    ("script", "command", '"true"', f'"true" does not begin with an absolute path; allowed: {COMMAND}'),
    ("script", "command", '["true"]', f"an array does not begin with an absolute path; allowed: {COMMAND}"),
    ("script", "command", "[]", f"an array of 0 arguments was given; allowed: {COMMAND}"),
    (
        "script",
        "command",
        '["/a", 5]',
        f"an array with something else than short strings was given; allowed: {COMMAND}",
    ),
    ("script", "command", "5", f"5 is an integer; allowed: {COMMAND}"),
]


@pytest.mark.parametrize(("table", "key", "value", "message"), VALUES)
def test_a_bad_value_is_told(told: Told, table: str, key: str, value: str, message: str) -> None:
    head = '[cluster]\nkey_file = "/k"\n' if table == "cluster" else f"[{table}]\n"
    place = table if table in {"cluster", "heartbeat", "cloud"} else "rest"
    assert told(**{place: f"{head}{key} = {value}\n"}) == [f"{table}.{key}: {message}"]


@pytest.mark.parametrize(("key", "value", "message"), NODE_VALUES)
def test_a_bad_value_of_a_node_is_told(told: Told, key: str, value: str, message: str) -> None:
    address = "" if key == "address" else 'address = "10.0.1.17:7694"\n'
    nodes = f'[[node]]\nname = "web-a"\n{address}{key} = {value}\n'
    assert told(nodes=nodes) == [f'node "web-a".{key}: {message}']


@pytest.mark.parametrize(("key", "value", "message", "place"), GROUP_VALUES)
def test_a_bad_value_of_a_group_is_told(told: Told, key: str, value: str, message: str, place: str) -> None:
    addresses = "" if key == "addresses" else 'addresses = ["10.0.1.100"]\n'
    group = f'[[group]]\nname = "vip"\n{addresses}{key} = {value}\n'
    assert told(group=group) == [f'group "vip".{key}{place}: {message}']


@pytest.mark.parametrize(("type_", "key", "value", "message"), CHECK_VALUES)
def test_a_bad_value_of_a_check_is_told(told: Told, type_: str, key: str, value: str, message: str) -> None:
    url = 'url = "http://127.0.0.1/"\n' if type_ == "http" and key != "url" else ""
    check = f'[[group.check]]\nname = "c"\ntype = "{type_}"\n{url}{key} = {value}\n'
    assert told(check=check) == [f'group "vip".check "c".{key}: {message}']


def test_a_bad_hook_is_told(told: Told) -> None:
    assert told(notify='[group.notify]\nmaster = "a"\nbackup = true\ntimeout = "1ms"\n') == [
        f'group "vip".notify.master: "a" does not begin with an absolute path; allowed: {COMMAND}',
        f'group "vip".notify.backup: true is a boolean; allowed: {COMMAND}',
        f'group "vip".notify.timeout: "1ms" is out of range; allowed: {DURATION} 100ms to 1h',
    ]


@pytest.mark.parametrize(
    ("parts", "problems"),
    [
        ({"rest": "[mettrics]\n"}, [f'mettrics: unknown key (did you mean "metrics"?); allowed: {TABLES}']),
        ({"rest": '[xyzzy]\n"a b" = 1\n'}, [f"xyzzy: unknown key; allowed: {TABLES}"]),
        (
            {"heartbeat": '[heartbeat]\nintervall = "1s"\n"\\u001b[1m" = 5\n'},
            [
                (
                    'heartbeat.intervall: unknown key (did you mean "interval"?);'
                    " allowed: dead_interval, interval, paths, restart_grace"
                ),
                'heartbeat."\\x1b[1m": unknown key; allowed: dead_interval, interval, paths, restart_grace',
            ],
        ),
        (
            {"check": '[[group.check]]\nname = "c"\ntype = "tcp"\naddress = "a:1"\ntime_out = "1s"\n'},
            [
                (
                    'group "vip".check "c".time_out: unknown key (did you mean "timeout"?); allowed:'
                    " address, command, fall, interface, interval, name, path, pidfile, reverse, rise, status,"
                    " timeout, type, unit, url, weight"
                )
            ],
        ),
        (
            {"notify": '[group.notify]\nnotify_master = "/a"\n'},
            [
                (
                    'group "vip".notify.notify_master: unknown key (did you mean "notify"?);'
                    " allowed: backup, fault, master, notify, promote, stop, timeout"
                )
            ],
        ),
    ],
)
def test_an_unknown_key_is_told_with_the_nearest_one(
    told: Told, parts: dict[str, str], problems: list[str]
) -> None:
    assert told(**parts) == problems


@pytest.mark.parametrize(
    ("parts", "problems"),
    [
        ({"cluster": '[cluster]\nkey_file = "/k"\n'}, [f"cluster.name: missing; needed: {NAME}"]),
        (
            {"cluster": ""},
            [
                f"cluster.name: missing; needed: {NAME}",
                "cluster.key_file: missing; needed: an absolute path (or key_files, an array of them)",
            ],
        ),
        ({"nodes": ""}, ["node: missing; needed: 1 to 16 [[node]] tables"]),
        (
            {"nodes": "node = []", "cluster": "", "rest": '[cluster]\nname = "a"\nkey_file = "/k"'},
            ["node: 0 tables were given; allowed: 1 to 16 [[node]] tables"],
        ),
        ({"group": ""}, ["group: missing; needed: 1 to 500 [[group]] tables"]),
        (
            {"nodes": "[[node]]\n"},
            [f"node[1].name: missing; needed: {NAME}", f"node[1].address: missing; needed: {PEER}"],
        ),
        (
            {"check": "[[group.check]]\n"},
            [
                f'group "vip".check[1].name: missing; needed: {NAME}',
                (
                    'group "vip".check[1].type: missing; needed: '
                    '"http", "tcp", "script", "process", "systemd", "file" or "interface"'
                ),
            ],
        ),
    ],
)
def test_what_is_missing_is_told(told: Told, parts: dict[str, str], problems: list[str]) -> None:
    if parts.get("nodes") == "node = []":
        parts = {"cluster": 'node = []\n[cluster]\nname = "a"\nkey_file = "/k"\n', "nodes": ""}
    assert told(**parts) == problems


@pytest.mark.parametrize(
    ("cluster", "nodes", "problem"),
    [
        ("node = 5", "", "node: 5 is an integer; allowed: 1 to 16 [[node]] tables, each in double brackets"),
        (
            "",
            '[node]\nname = "a"\n',
            "node: a table was given; allowed: 1 to 16 [[node]] tables, each in double brackets",
        ),
        ("node = [7]", "", "node[1]: 7 is an integer; allowed: a [[node]] table"),
        ("log = 5", None, "log: 5 is an integer; allowed: one [log] table"),
    ],
)
def test_a_wrong_kind_of_table_is_told(told: Told, cluster: str, nodes: str | None, problem: str) -> None:
    parts = {"cluster": f'{cluster}\n[cluster]\nname = "a"\nkey_file = "/k"\n'}
    assert told(**parts if nodes is None else {**parts, "nodes": nodes}) == [problem]


def test_too_many_tables_are_told_and_the_first_ones_read(told: Told) -> None:
    nodes = "".join(f'[[node]]\nname = "n{i}"\naddress = "10.0.2.{i}:7694"\n' for i in range(1, 19))
    assert told(nodes=nodes) == ["node: 18 tables were given; allowed: 1 to 16 [[node]] tables"]


def test_too_many_items_are_told(told: Told) -> None:
    addresses = ", ".join(f'"10.0.2.{i}"' for i in range(1, 66))
    group = f'[[group]]\nname = "vip"\naddresses = [{addresses}]\n'
    assert told(group=group) == [
        f'group "vip".addresses: an array of 65 was given; allowed: an array of 0 to 64, each {VIP}'
    ]


def test_a_table_without_a_good_name_of_its_own_is_called_by_its_place(told: Told) -> None:
    group = "[[group]]\nname = 7\n[[group]]\nname = 'a b'\n[[group]]\nname = 'ok'\n[[group]]\nname = 'ok'\n"
    problems = told(group=group)
    assert problems[0] == f"group[1].name: 7 is an integer; allowed: {NAME}"
    assert problems[2] == f'group[2].name: "a b" is malformed; allowed: {NAME}'
    assert problems[4] == 'group "ok".addresses: nothing to move; needed: at least one address or ENI'
    assert problems[5] == 'group[4].name: "ok" is given at group "ok".name too; allowed: each only once'


def test_all_problems_are_told_in_one_run_in_the_order_of_the_file(told: Told) -> None:
    problems = told(
        cluster='[cluster]\nname = ""\nkey_file = "k"\n',
        heartbeat='[heartbeat]\ninterval = "1s"\n',
        group='[[group]]\nname = "vip"\naddresses = ["10.0.1"]\nfense = "none"\n',
        rest='[log]\nlevel = "loud"\n',
    )
    keys = [problem.split(": ")[0] for problem in problems]
    assert keys == [
        "cluster.name",
        "cluster.key_file",
        "heartbeat.dead_interval",
        'group "vip".addresses[1]',
        'group "vip".fense',
        "log.level",
    ]


TOML = st.recursive(
    st.none().map(lambda _: 0) | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.times(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
NAMES = sorted(
    {key.name for table in (schema.NODE, schema.GROUP, schema.CHECK, schema.NOTIFY) for key in table.keys}
)
LIKELY = st.dictionaries(st.sampled_from([*NAMES, "check", "notify"]) | st.text(), TOML, max_size=6)
FILES = st.dictionaries(
    st.sampled_from([child.table.name for child in schema.ROOT.children]),
    LIKELY | st.lists(LIKELY, max_size=3) | TOML,
)


@settings(max_examples=40)  # large values: more say little and take seconds
@given(FILES)
def test_any_toml_is_judged_without_another_exception(raw: dict[str, object]) -> None:
    findings = Findings("f.toml")
    reader.read(schema.ROOT, raw, findings)
    problems = findings.problems()
    assert problems  # no such file has a good [cluster], [[node]] and [[group]]
    assert len(problems) <= MOST + 1
    assert all(str(problem).isprintable() for problem in problems)
