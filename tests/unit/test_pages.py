"""The pages for people: what they point to is there, and what the product asks of the cloud is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
VERBS = "Describe|Migrate|Assign|Unassign|Attach|Detach|Associate|Create|Delete"
ACTION = re.compile(rf'"((?:{VERBS})[A-Z]\w+|StopInstances)"')


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    targets = [target for target in LINK.findall(page.read_text()) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tests_that_a_page_names_exist(page: Path) -> None:
    named = TEST.findall(page.read_text())
    lost = [
        (file, name)
        for file, name in named
        if not (ROOT / file).exists() or (name and f"def {name}(" not in (ROOT / file).read_text())
    ]
    assert lost == []


def test_the_page_on_the_cloud_names_a_test_for_every_row() -> None:
    rows = [line for line in (ROOT / "docs/cloud.md").read_text().splitlines() if line.startswith("| ")]
    bare = [row for row in rows if not TEST.search(row) and not row.endswith("| shown by |")]
    assert len(rows) > 30
    assert bare == []


def test_every_action_that_the_product_calls_is_on_the_page() -> None:
    page = (ROOT / "docs/cloud.md").read_text()
    rooms = ("cloud", "doctor", "provision")
    sources = [source for room in rooms for source in (ROOT / "hafailover" / room).glob("*.py")]
    called = {action for source in sources for action in ACTION.findall(source.read_text())}
    assert "MigratePrivateIpAddress" in called
    assert sorted(action for action in called if action not in page) == []
