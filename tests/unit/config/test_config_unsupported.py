"""Each row of the list is refused with words that say what is allowed now; each row goes with its feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hafailover.config import schema, unsupported

if TYPE_CHECKING:
    from tests.unit.config.conftest import Told

WORDS = "not supported by this version yet; allowed now:"
GROUP = '[[group]]\nname = "vip"\naddresses = ["10.0.1.100"]\n'

REFUSED: list[tuple[dict[str, str], str]] = [
    ({"rest": '[mqtt]\nhost = "a"\n'}, f"mqtt: {WORDS} no [mqtt] table; heartbeats travel by UDP only"),
    (
        {
            "nodes": '[[node]]\nname = "a"\naddress = "10.0.0.1:1"\n'
            '[[node]]\nname = "b"\naddress = "10.0.0.2:1"\nrole = "witness"\n'
        },
        f'node "b".role: "witness" is {WORDS} "member"',
    ),
    (
        {"group": '[[group]]\nname = "vip"\naddresses = ["fd00::100"]\n'},
        f'group "vip".addresses[1]: "fd00::100" is {WORDS} IPv4 addresses',
    ),
    (
        {"group": GROUP + 'enis = ["eni-cccccccc"]\n'},
        f'group "vip".enis[1]: "eni-cccccccc" is {WORDS} an empty array',
    ),
    ({"group": GROUP + 'handover = "strict"\n'}, f'group "vip".handover: "strict" is {WORDS} "overlap"'),
    ({"group": GROUP + 'guards = ["mqtt"]\n'}, f'group "vip".guards[1]: "mqtt" is {WORDS} "vip" and "cloud"'),
    ({"group": GROUP + 'guards = ["gateway"]\n'}, f'group "vip".guards[1]: "gateway" is {WORDS} "vip" and "cloud"'),
    ({"group": GROUP + 'guards = ["quorum"]\n'}, f'group "vip".guards[1]: "quorum" is {WORDS} "vip" and "cloud"'),
    ({"group": GROUP + 'fence = "stop-instance"\n'}, f'group "vip".fence: "stop-instance" is {WORDS} "none"'),
    (
        {"check": '[[group.check]]\nname = "c"\ntype = "process"\n'},
        f'group "vip".check "c".type: "process" is {WORDS} "http", "tcp" or "script"',
    ),
    (
        {"check": '[[group.check]]\nname = "c"\ntype = "systemd"\nunit = "nginx.service"\n'},
        f'group "vip".check "c".type: "systemd" is {WORDS} "http", "tcp" or "script"',
    ),
    (
        {"check": '[[group.check]]\nname = "c"\ntype = "file"\npath = "/run/ready"\n'},
        f'group "vip".check "c".type: "file" is {WORDS} "http", "tcp" or "script"',
    ),
    (
        {"check": '[[group.check]]\nname = "c"\ntype = "interface"\ninterface = "eth0"\n'},
        f'group "vip".check "c".type: "interface" is {WORDS} "http", "tcp" or "script"',
    ),
    (
        {"notify": '[group.notify]\npromote = "/a"\n'},
        f'group "vip".notify.promote: "/a" is {WORDS} the hooks master, backup, fault and stop',
    ),
    (
        {"notify": '[group.notify]\npromote = ["/a"]\n'},
        f'group "vip".notify.promote: this is {WORDS} the hooks master, backup, fault and stop',
    ),
]


@pytest.mark.parametrize(("parts", "problem"), REFUSED)
def test_what_is_to_come_is_refused(told: Told, parts: dict[str, str], problem: str) -> None:
    assert told(**parts) == [problem]


def test_what_there_is_already_is_accepted(told: Told) -> None:
    group = (
        GROUP
        + 'enis = []\nhandover = "overlap"\non_isolation = "demote"\n'
        + 'guards = ["vip", "cloud"]\nvip_port = 1\nfence = "none"\n'
    )
    assert told(group=group) == []


def test_each_row_names_a_key_and_is_shown_here() -> None:
    tables = {table.name: table for table in (schema.NODE, schema.GROUP, schema.CHECK, schema.NOTIFY)}
    for row in unsupported.ROWS:
        if row.table:
            assert row.key in {key.name for key in tables[row.table].keys}
        assert any(problem.endswith(row.now) for _, problem in REFUSED)
