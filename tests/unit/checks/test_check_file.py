from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from hafailover.checks.file import FileProbe


async def test_it_passes_while_something_is_there(tmp_path: Path) -> None:
    path = tmp_path / "ready"
    probe = FileProbe(path)
    assert (await probe.run(1)).detail == "there is no such file"
    path.touch()
    verdict = await probe.run(1)
    assert (verdict.passed, verdict.detail) == (True, "is there")
    path.unlink()
    path.mkdir()
    assert (await probe.run(1)).passed
    path.rmdir()
    path.symlink_to("nowhere")
    verdict = await probe.run(1)
    assert (verdict.passed, verdict.sure) == (False, True)


@pytest.mark.parametrize(
    ("path", "detail", "sure"),
    [
        ("/etc/passwd/x", "there is no such directory", True),
        ("/" + "x" * 300, "File name too long", False),
    ],
)
async def test_what_cannot_be_looked_at_is_no_certain_no(path: str, detail: str, sure: bool) -> None:  # noqa: FBT001 - a table
    verdict = await FileProbe(Path(path)).run(1)
    assert (verdict.passed, verdict.detail, verdict.sure) == (False, detail, sure)


async def test_a_file_system_that_hangs_costs_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers, asked = threading.Event(), 0

    def stat(_self: Path) -> os.stat_result:
        nonlocal asked
        asked += 1
        answers.wait(10)
        return os.stat_result([0] * 10)

    monkeypatch.setattr(Path, "stat", stat)
    probe = FileProbe(tmp_path)
    for _ in range(3):
        verdict = await probe.run(0.02)
        assert (verdict.passed, verdict.sure, verdict.detail) == (False, False, "no answer within 20 ms")
    answers.set()
    await asyncio.sleep(0.1)
    assert asked == 1
    assert (await probe.run(5)).passed
