"""Every rule between values, with the exact words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hafailover.config import relations, schema

if TYPE_CHECKING:
    from tests.unit.config.conftest import Told


def node(name: str, address: str, more: str = "") -> str:
    return f'[[node]]\nname = "{name}"\naddress = "{address}"\n{more}\n'


def group(name: str, addresses: str, more: str = "") -> str:
    return f'[[group]]\nname = "{name}"\naddresses = [{addresses}]\n{more}\n'


def check(name: str, type_: str, more: str) -> str:
    return f'[[group.check]]\nname = "{name}"\ntype = "{type_}"\n{more}\n'


CASES: list[tuple[dict[str, str], list[str]]] = [
    (
        {
            "group": group(
                "a", '"10.0.1.100"', 'guest = "none"\nroutes = ["10.8.0.0/16"]\nrules = ["to 10.8.0.0/16 table 9"]'
            )
        },
        [
            'group "a".routes: not set where the guest is left alone; allowed with guest = "netlink"',
            'group "a".rules: not set where the guest is left alone; allowed with guest = "netlink"',
        ],
    ),
    (
        {"group": group("a", "", 'enis = ["eni-cccccccc"]\nroutes = ["10.8.0.0/16"]')},
        ['group "a".routes: nothing that they could follow; needed: at least one address'],
    ),
    (
        {
            "group": group("a", '"10.0.1.100"', 'routes = ["10.8.0.0/16", "blackhole 10.8.0.0/16 metric 0"]')
            + group("b", '"10.0.1.101"', 'routes = ["10.8.0.0/16 metric 1", "prohibit 10.8.0.0/16"]')
        },
        [
            (
                'group "a".routes[2]: its destination, table and metric are given at group "a".routes[1] too;'
                " allowed: each only once"
            ),
            (
                'group "b".routes[2]: its destination, table and metric are given at group "a".routes[1] too;'
                " allowed: each only once"
            ),
        ],
    ),
    (
        {
            "group": group("a", '"10.0.1.100"', 'rules = ["from 10.0.1.100 table 9"]')
            + group("b", '"10.0.1.101"', 'rules = ["from 10.0.1.100 table 9", "from 10.0.1.100 table 8"]')
        },
        ['group "b".rules[1]: it is given at group "a".rules[1] too; allowed: each only once'],
    ),
    (
        {
            "nodes": node("a", "10.0.0.1:1") + node("w", "10.0.0.2:1", 'role = "witness"'),
            "group": group("g", '"10.0.1.1"', "priorities = { a = 1, b = 2, w = 3 }"),
        },
        [
            'group "g".priorities: "b" is no member of this file; allowed: the members a',
            'group "g".priorities: "w" is no member of this file; allowed: the members a',
        ],
    ),
    (
        {"cluster": '[cluster]\nname = "a"\nkey_file = "/k"\nkey_files = ["/k"]\n'},
        ["cluster.key_files: given beside key_file; allowed: one of the two"],
    ),
    (
        {"cluster": '[cluster]\nname = "a"\nkey_files = []\n'},
        [
            (
                "cluster.key_files: an array of 0 was given; allowed: an array of 1 to 4,"
                ' each an absolute path or "credential:NAME"'
            )
        ],
    ),
    (
        {"heartbeat": '[heartbeat]\ninterval = "100ms"\ndead_interval = "299ms"\n'},
        ["heartbeat.dead_interval: 299ms is too short; allowed: at least 300ms (3 x interval)"],
    ),
    (
        {"heartbeat": '[heartbeat]\ninterval = "500ms"\n'},
        ["heartbeat.dead_interval: 1s (the default) is too short; allowed: at least 1.5s (3 x interval)"],
    ),
    (
        {"heartbeat": '[heartbeat]\ndead_interval = "4s"\nrestart_grace = "3s"\n'},
        ["heartbeat.restart_grace: 3s is too short; allowed: at least 4s (dead_interval)"],
    ),
    (
        {"nodes": node("a", "10.0.0.1:1") + node("a", "10.0.0.2:1")},
        ['node[2].name: "a" is given at node "a".name too; allowed: each only once'],
    ),
    (
        {"nodes": node("a", "10.0.0.1:1") + node("b", "10.0.0.1:1")},
        ['node "b".address: 10.0.0.1 port 1 is given at node "a".address too; allowed: each only once'],
    ),
    (
        {
            "nodes": node("a", "10.0.0.1:1", 'eni = "eni-aaaaaaaa"\ninstance_id = "ins-aaaaaaaa"')
            + node("b", "10.0.0.2:1", 'eni = "eni-aaaaaaaa"\ninstance_id = "ins-aaaaaaaa"')
        },
        [
            'node "b".eni: "eni-aaaaaaaa" is given at node "a".eni too; allowed: each only once',
            'node "b".instance_id: "ins-aaaaaaaa" is given at node "a".instance_id too; allowed: each only once',
        ],
    ),
    (
        {"nodes": node("a", "10.0.0.1:1") + node("b", "[fd00::2]:1")},
        ['node "b".address: IPv6 is not what the first node has; allowed: one for all nodes'],
    ),
    (
        {"nodes": node("a", "10.0.0.1:1", 'role = "witness"')},
        ['node: every node is a witness; allowed: at least one node with role = "member"'],
    ),
    (
        {"group": group("g", '"10.0.1.1"') + group("g", '"10.0.1.2"')},
        ['group[2].name: "g" is given at group "g".name too; allowed: each only once'],
    ),
    (
        {"group": group("g", '"10.0.1.1"') + group("h", '"10.0.1.2", "10.0.1.1"')},
        ['group "h".addresses[2]: "10.0.1.1" is given at group "g".addresses[1] too; allowed: each only once'],
    ),
    (
        {"group": group("g", '"nonsense", "10.0.1.16"')},
        [
            'group "g".addresses[1]: "nonsense" is not an IP address; allowed: an IP address such as "10.0.1.100"',
            'group "g".addresses[2]: "10.0.1.16" is given at node "web-b".address too; allowed: each only once',
        ],
    ),
    (
        {"group": group("g", "")},
        ['group "g".addresses: nothing to move; needed: at least one address or ENI'],
    ),
    (
        {"group": group("g", '"10.0.1.1"', 'enis = ["eni-aaaaaaaa"]')},
        [
            'group "g".enis[1]: "eni-aaaaaaaa" is given at node "web-a".eni too; allowed: each only once',
        ],
    ),
    (
        {"group": group("g", '"10.0.1.1"', 'guards = ["vip"]')},
        ['group "g".vip_port: missing; needed: an integer from 1 to 65535, for the guard "vip" to connect to'],
    ),
    (
        {"group": group("g", '"10.0.1.1"', 'guards = ["cloud", "quorum"]')},
        [
            (
                'group "g".guards: "quorum" can never allow a claim: with 2 nodes there are never more than half'
                ' that have lost the old master; needed: at least 3; one with role = "witness" will do'
            ),
        ],
    ),
    (
        {"check": check("c", "tcp", 'address = "a:1"') + check("c", "tcp", 'address = "a:2"')},
        ['group "vip".check[2].name: "c" is given at group "vip".check "c".name too; allowed: each only once'],
    ),
    (
        {"check": check("c", "tcp", 'address = "a:1"\ninterval = "1s"\ntimeout = "2s"')},
        ['group "vip".check "c".timeout: 2s is too long; allowed: at most 1s (interval)'],
    ),
    (
        {"check": check("c", "tcp", 'address = "a:1"\ninterval = "200ms"')},
        ['group "vip".check "c".timeout: 300ms (the default) is too long; allowed: at most 200ms (interval)'],
    ),
    (
        {"check": check("c", "http", "")},
        [
            'group "vip".check "c".url: missing; needed with type "http": a URL such as "http://127.0.0.1:80/healthz"'
        ],
    ),
    (
        {"check": check("c", "tcp", "")},
        ['group "vip".check "c".address: missing; needed with type "tcp": "HOST:PORT" such as "127.0.0.1:5432"'],
    ),
    (
        {"check": check("c", "script", "")},
        [
            (
                'group "vip".check "c".command: missing; needed with type "script":'
                " an absolute path, or an array of 1 to 64 strings that begins with one"
            )
        ],
    ),
    (
        {"check": check("c", "tcp", 'address = "a:1"\nurl = "http://a/"\nstatus = 200')},
        [
            'group "vip".check "c".url: means nothing to type "tcp"; allowed with it: address',
            'group "vip".check "c".status: means nothing to type "tcp"; allowed with it: address',
        ],
    ),
    (
        {"check": "".join(check(f"c{i}", "tcp", 'address = "a:1"\nweight = 193') for i in range(4))},
        ['group "vip".check: the weights add up to 772; allowed: from -768 to 768'],
    ),
    (
        {"check": "".join(check(f"c{i}", "tcp", 'address = "a:1"\nweight = -193') for i in range(4))},
        ['group "vip".check: the weights add up to -772; allowed: from -768 to 768'],
    ),
]


@pytest.mark.parametrize(("parts", "problems"), CASES)
def test_a_broken_rule_is_told(told: Told, parts: dict[str, str], problems: list[str]) -> None:
    assert sorted(told(**parts)) == sorted(problems)


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"heartbeat": '[heartbeat]\ninterval = "100ms"\ndead_interval = "300ms"\nrestart_grace = "300ms"\n'},
        {"nodes": node("a", "[fd00::1]:1") + node("b", "[fd00::2]:1")},
        {"nodes": node("a", "127.0.0.1:1") + node("b", "127.0.0.1:2")},
        {"check": check("c", "tcp", 'address = "a:1"\ninterval = "1s"\ntimeout = "1s"')},
        {"check": "".join(check(f"c{i}", "tcp", 'address = "a:1"\nweight = -192') for i in range(4))},
        {"group": group("g", '"10.0.1.1"', "vip_port = 443\nguards = []")},
    ],
)
def test_what_just_holds_is_accepted(told: Told, parts: dict[str, str]) -> None:
    assert told(**parts) == []


def test_what_depends_on_a_bad_value_is_not_judged(told: Told) -> None:
    problems = told(
        heartbeat='[heartbeat]\ninterval = "x"\ndead_interval = "y"\nrestart_grace = "1s"\n',
        nodes=node("a", "b", "role = 5"),
        group=group(
            "g", '"10.0.1.1"', 'guards = 5\n[[group.check]]\nname = "c"\ntype = "x"\ninterval = 5\nweight = "a"'
        ),
    )
    assert [problem.split(": ")[0] for problem in problems] == [
        "heartbeat.interval",
        "heartbeat.dead_interval",
        'node "a".address',
        'node "a".role',
        'group "g".guards',
        'group "g".check "c".type',
        'group "g".check "c".interval',
        'group "g".check "c".weight',
    ]


def test_each_key_beyond_reverse_belongs_to_a_type() -> None:
    general = {"name", "type", "interval", "timeout", "rise", "fall", "weight", "reverse"}
    of_a_type = {key for needed, taken in relations.CHECK_KEYS.values() for key in needed + taken}
    assert of_a_type == {key.name for key in schema.CHECK.keys} - general
