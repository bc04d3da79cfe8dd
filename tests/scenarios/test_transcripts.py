"""Every transcript is carried out and must say what it says."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from tests.scenarios.language import transcribe

TRANSCRIPTS = sorted(Path(__file__).parent.glob("*.txt"))


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(path: Path, request: pytest.FixtureRequest) -> None:
    written = path.read_text()
    told, unmet = transcribe(written)
    if request.config.getoption("--rewrite-scenarios"):
        path.write_text(told)
    else:
        difference = difflib.unified_diff(written.splitlines(), told.splitlines(), "written", "now", lineterm="")
        assert written == told, "\n".join(difference)
    assert not unmet, f"{path.name} promises more than is true: {unmet}"


def test_that_there_are_transcripts() -> None:
    assert len(TRANSCRIPTS) >= 20


def test_that_an_unmet_expectation_is_noticed() -> None:
    _, unmet = transcribe("nodes a:100 b:90\nstart\nrun 2s\nexpect master b\nexpect moves == 0\n")
    assert unmet == ["master a"]
