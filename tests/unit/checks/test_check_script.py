from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from hafailover import process
from hafailover.checks.result import MAX_DETAIL
from hafailover.checks.script import ScriptProbe


def probe(folder: Path, text: str) -> ScriptProbe:
    path = folder / "check"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return ScriptProbe("nginx", (str(path), "an argument"))


@pytest.mark.parametrize(
    ("text", "passed", "detail"),
    [
        ("exit 0", True, "exit code 0"),
        ("echo fine", True, "exit code 0: fine"),
        ("echo first; echo down >&2; exit 1", False, "exit code 1: down"),
        ("kill -9 $$", False, "killed by signal 9"),
        ('echo "$HAFAILOVER_CHECK $1"', True, "exit code 0: nginx an argument"),
    ],
)
async def test_exit_0_passes(tmp_path: Path, text: str, passed: bool, detail: str) -> None:  # noqa: FBT001 - a table
    verdict = await probe(tmp_path, text).run(10)
    assert (verdict.passed, verdict.detail) == (passed, detail)


async def test_what_it_writes_is_bounded(tmp_path: Path) -> None:
    verdict = await probe(tmp_path, "head -c 100000 /dev/zero | tr '\\0' x; exit 2").run(10)
    assert verdict.detail.startswith("exit code 2: xxx")
    assert len(verdict.detail) == MAX_DETAIL


async def test_a_script_that_cannot_be_run_fails() -> None:
    verdict = await ScriptProbe("x", ("/does/not/exist",)).run(10)
    assert (verdict.passed, verdict.detail) == (False, "cannot run /does/not/exist: there is no such file")


async def test_a_hung_script_is_killed_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    verdict = await probe(tmp_path, f"sleep 60 & echo $! > {pids}; echo $$ >> {pids}; wait").run(0.3)
    assert (verdict.passed, verdict.detail) == (False, "no answer within 300 ms")
    killed = pids.read_text().split()
    async with asyncio.timeout(10):
        while any(cmdline(pid) for pid in killed):  # noqa: ASYNC110 - a killed process takes a moment to die
            await asyncio.sleep(0.01)


def cmdline(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()  # empty for a zombie that init has not reaped yet
    except (FileNotFoundError, ProcessLookupError):
        return b""


async def test_what_a_check_leaves_behind_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    assert (await probe(tmp_path, f"sleep 60 & echo $! > {pids}").run(10)).passed
    [pid] = pids.read_text().split()
    for _ in range(100):
        if not cmdline(pid):
            break
        await asyncio.sleep(0.02)
    assert not cmdline(pid)


async def test_no_other_is_started_while_one_cannot_be_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_DEATH_S", 0.02)
    monkeypatch.setattr(process, "_SWEEPS", 0)
    monkeypatch.setattr(process.Program, "_signal_group", lambda _self, _number: None)
    check = probe(tmp_path, "sleep 0.5")
    assert (await check.run(0.05)).detail == "no answer within 50 ms"
    verdict = await check.run(10)
    assert not verdict.passed
    assert verdict.detail.endswith("hangs and cannot be killed")
    for _ in range(200):
        if (await check.run(10)).passed:
            break
        await asyncio.sleep(0.05)
    assert (await check.run(10)).passed


async def test_descriptors_do_not_leak(tmp_path: Path) -> None:
    check = probe(tmp_path, "exit 0")
    await check.run(10)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count
    for _ in range(5):
        await check.run(10)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - a count
