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


@pytest.mark.parametrize(
    "keys",
    [
        'type = "process"',
        'type = "systemd"\nunit = "a"',
        'type = "file"\npath = "/a"',
        'type = "interface"\ninterface = "a"',
    ],
)
def test_every_type_of_check_is_accepted(told: Told, keys: str) -> None:
    assert told(check=f'[[group.check]]\nname = "c"\n{keys}\nreverse = true\n') == []


def test_each_row_names_a_key_and_is_shown_here() -> None:
    tables = {table.name: table for table in (schema.NODE, schema.GROUP, schema.CHECK, schema.NOTIFY)}
    for row in unsupported.ROWS:
        if row.table:
            assert row.key in {key.name for key in tables[row.table].keys}
        assert any(problem.endswith(row.now) for _, problem in REFUSED)
