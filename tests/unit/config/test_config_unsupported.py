"""Each row of the list is refused with words that say what is allowed now; each row goes with its feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hafailover.config import schema, unsupported
from tests.unit.config.conftest import PARTS

if TYPE_CHECKING:
    from tests.unit.config.conftest import Told

WORDS = "not supported by this version yet; allowed now:"
GROUP = '[[group]]\nname = "vip"\naddresses = ["10.0.1.100", "fd00::100"]\n'

REFUSED: list[tuple[dict[str, str], str]] = [
    ({"rest": '[mqtt]\nhost = "a"\n'}, f"mqtt: {WORDS} no [mqtt] table; heartbeats travel by UDP only"),
    (
        {"group": GROUP + 'guards = ["mqtt"]\n'},
        f'group "vip".guards[1]: "mqtt" is {WORDS} "vip", "cloud", "gateway" and "quorum"',
    ),
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
]


@pytest.mark.parametrize(("parts", "problem"), REFUSED)
def test_what_is_to_come_is_refused(told: Told, parts: dict[str, str], problem: str) -> None:
    assert told(**parts) == [problem]


@pytest.mark.parametrize(("handover", "fence"), [("overlap", "none"), ("strict", "stop-instance")])
def test_what_there_is_already_is_accepted(told: Told, handover: str, fence: str) -> None:
    group = (
        GROUP
        + f'enis = ["eni-cccccccc"]\nhandover = "{handover}"\non_isolation = "demote"\n'
        + f'guards = ["vip", "cloud", "gateway", "quorum"]\nvip_port = 1\nfence = "{fence}"\n'
    )
    witness = '[[node]]\nname = "w"\naddress = "10.0.1.9:7694"\nrole = "witness"\n'
    assert told(group=group, nodes=PARTS["nodes"] + witness) == []


def test_each_row_names_a_key_and_is_shown_here() -> None:
    tables = {table.name: table for table in (schema.NODE, schema.GROUP, schema.CHECK, schema.NOTIFY)}
    for row in unsupported.ROWS:
        if row.table:
            assert row.key in {key.name for key in tables[row.table].keys}
        assert any(problem.endswith(row.now) for _, problem in REFUSED)
