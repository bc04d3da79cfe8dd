"""The files and the page of the benchmark of reloads: no namespace, no root."""

from __future__ import annotations

import tomllib
from itertools import pairwise

import pytest

from benchmarks.reloads import NEW, OLD, OTHER, ROTATION, Run, told, variant
from benchmarks.soak import Sample
from tests.lab.fabric import LabError
from tests.lab.prober import ProbeReport

PLAIN = f'[cluster]\nkey_file = "{OLD}"\n[heartbeat]\n' + "\n".join(f"{old} = 1" for old in list(OTHER)[:1])
FULL = "\n[a]\n".join((PLAIN, *list(OTHER)[1:2])) + "\n[b]\n" + "\n".join(list(OTHER)[2:])


def test_two_files_take_turns() -> None:
    even, odd = tomllib.loads(variant(FULL, 2)), tomllib.loads(variant(FULL, 3))
    assert (even["heartbeat"]["interval"], odd["heartbeat"]["interval"]) == ("100ms", "90ms")
    assert (even["b"]["level"], odd["b"]["level"]) == ("debug", "info")
    assert "group" not in even
    assert odd["group"]["check"][0]["name"] == "maintenance"


def test_no_step_of_the_rotation_leaves_a_node_without_the_key_that_another_signs_with() -> None:
    for before, after in pairwise((*ROTATION, ROTATION[0])):
        assert before[0] in after
        assert after[0] in before
        assert before != after
    assert {files[0] for files in ROTATION} == {OLD, NEW}


def test_a_file_that_has_changed_is_noticed() -> None:
    with pytest.raises(LabError, match="the lab's file has no"):
        variant("", 1)


def test_the_page_says_what_was_lost_and_what_has_grown() -> None:
    report = ProbeReport(900, 2, 6.0, 0, 0, 1.0, answered_at_end=True)
    seen = Run(
        [5.0, 7.0], 9.0, 1, {"web-a": Sample(0, 60.0, 13, 2)}, {"web-a": Sample(9, 61.0, 14, 3)}, report=report
    )
    lines = told(seen, 1)
    assert lines[1] == "a reload took 6.0 ms, 7.0 ms at 99 %, 7.0 ms at worst"
    assert lines[2] == "lost probes 2 of 900, API writes 0, role changes 0"
    assert lines[-1] == "| web-a | 60.0, 61.0 | 13, 14 | 2, 3 |"
    assert not seen.clean
    assert not Run().clean
