"""The page of figures: a part that fails is reported, and the others go on."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks import figures

if TYPE_CHECKING:
    import pytest

FINE = figures.Part("fine", "What goes well", "this", (), 30, (), 30)
WRONG = replace(FINE, name="wrong", title="What does not", module="tests.no_such_module")
ENDLESS = replace(FINE, name="endless", module="tests.simulation.run", quick=("--hours", "10000"), quick_s=1)


def page(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *parts: figures.Part
) -> tuple[int, str]:
    monkeypatch.setattr(figures, "PARTS", parts)
    monkeypatch.setattr(sys, "argv", ["figures", "--quick"])
    code = figures.main()
    return code, capsys.readouterr().out


def test_a_page_of_what_went_well(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = page(monkeypatch, capsys, FINE)
    assert code == 0
    assert "## What goes well\n\n`python -m this`: done" in told
    assert "Beautiful is better than ugly." in told
    assert "1 of 1 parts done\n" in told


def test_a_part_that_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = page(monkeypatch, capsys, WRONG, FINE, ENDLESS)
    assert code == 1
    assert "**FAILED: exit code 1**" in told
    assert "No module named" in told
    assert "Beautiful is better than ugly." in told
    assert "1 of 3 parts done; FAILED: wrong (exit code 1), endless (not done in 1 s)" in told


def test_every_part_is_a_module_that_is_there() -> None:
    for part in figures.PARTS:
        path = figures.ROOT / (part.module.replace(".", "/") + ".py")
        assert path.exists(), part.module
    assert len(figures.BY_NAME) == len(figures.PARTS)
