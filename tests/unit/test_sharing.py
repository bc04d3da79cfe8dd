from __future__ import annotations

from pathlib import Path

import pytest

from tests.sharing import TOGETHER, scope

ROOT = Path(__file__).parents[2]
DEAR = ("(pair: SystemPair)", "(checked: SystemPair)", "(seen: Seen", "Demo(", '"hafailover.cli", "demo"')


def test_a_test_goes_by_itself_where_nothing_is_shared() -> None:
    assert scope("tests/unit/test_process.py::test_a[1]") == "tests/unit/test_process.py::test_a[1]"


def test_those_of_the_machines_go_together() -> None:
    files = [f"tests/system/test_system_{name}.py::test_a" for name in ("checks", "service", "setup")]
    assert len({scope(each) for each in files}) == 1


@pytest.mark.parametrize("part", ["lab", "system", "unit/demo"])
def test_no_file_that_shares_something_dear_is_forgotten(part: str) -> None:
    files = (ROOT / "tests" / part).glob("test_*.py")
    dear = {str(path.relative_to(ROOT)) for path in files if any(each in path.read_text() for each in DEAR)}
    assert dear == {name for name in TOGETHER if name.startswith(f"tests/{part}/")}
    assert dear
