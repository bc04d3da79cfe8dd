"""docs/doctor.md against the catalogue, both ways."""

from __future__ import annotations

import re
from pathlib import Path

from hafailover.doctor.catalogue import CATALOGUE
from hafailover.doctor.findings import Level
from hafailover.doctor.readiness import ADDRESSES, ENIS, GUEST, PLACES, QUOTA, ROUTES
from tests.unit.doctor.test_doctor_faults import FAULTS
from tests.unit.doctor.test_doctor_guest import FAULTS as GUEST_FAULTS

PAGE = (Path(__file__).resolve().parents[3] / "docs/doctor.md").read_text(encoding="utf-8")


def rows() -> dict[str, list[str]]:
    """Return the cells beside each finding's name: levels, meaning, why, mend."""
    table = PAGE.partition("## Every finding")[2]
    lines = [line for line in table.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    assert len({row[0] for row in cells}) == len(cells), "a name stands there twice"
    return {row[0].strip("`"): row[1:] for row in cells}


def test_every_finding_is_on_the_page_in_the_same_words() -> None:
    assert {name: row[2:] for name, row in rows().items()} == {
        name: [entry.why, entry.mend] for name, entry in CATALOGUE.items()
    }


def test_every_row_says_its_levels_and_when_it_is_found() -> None:
    levels = {level.value for level in Level}
    for name, (said, meaning, *_) in rows().items():
        assert set(said.split(", ")) <= levels, name
        assert meaning.endswith("."), name


def test_every_finding_is_planted_in_some_test() -> None:
    planted = {name for table in (FAULTS, GUEST_FAULTS) for _, names in table.values() for name in names}
    elsewhere = {"daemon-unreadable", "probe-accepted", "guest-capability", "guest-unreadable"}  # test_doctor_rules
    assert planted | elsewhere == set(CATALOGUE)


def test_what_the_daemon_repeats_is_on_the_page() -> None:
    section = PAGE.partition("## What the daemon repeats")[2].partition("## ")[0]
    named = set(re.findall(r"`([a-z-]+)`", section)) & set(CATALOGUE)
    assert named == {*PLACES, *ADDRESSES, *ENIS, *QUOTA, *GUEST, *ROUTES}
