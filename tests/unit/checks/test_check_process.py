from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hafailover.checks.process import ProcessProbe

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORT = "hfsrv"
LONG = "hf-a-service-with-a-long-name"


class Programs:
    """Programs of any name, ended with the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, *arguments: str, like: str = "sleep") -> subprocess.Popen[bytes]:
        path = self._folder / name
        if not path.exists():
            shutil.copy(f"/bin/{like}", path)
        process = subprocess.Popen([str(path), *(arguments or ("60",))], stdin=subprocess.PIPE)
        self._started.append(process)
        end_s = time.monotonic() + 10
        while Path(f"/proc/{process.pid}/comm").read_text().strip() != name[:15]:
            assert time.monotonic() < end_s
            time.sleep(0.001)
        return process

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.communicate()


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    made = Programs(tmp_path)
    yield made
    made.close()


def name_of(tmp_path: Path, kind: str = SHORT) -> str:
    """Return a name that no other test uses at the same time."""
    number = str(os.getpid())
    return f"{kind[: 15 - len(number)]}{number}" if kind is SHORT else f"{kind}-{tmp_path.name[-4:]}{number}"


@pytest.mark.parametrize("kind", [SHORT, LONG])
async def test_it_passes_while_a_process_of_that_name_lives(tmp_path: Path, programs: Programs, kind: str) -> None:
    name = name_of(tmp_path, kind)
    probe = ProcessProbe(name, None)
    verdict = await probe.run(5)
    assert (verdict.passed, verdict.sure, verdict.detail) == (False, True, f'no process is called "{name}"')
    process = programs.start(name)
    verdict = await probe.run(5)
    assert (verdict.passed, verdict.detail) == (True, f"process {process.pid} runs")
    process.kill()
    await asyncio.wait_for(probe.changed(), 10)  # before anybody has waited for it: it is a zombie now
    assert not (await probe.run(5)).passed
    await probe.close()


async def test_a_longer_name_that_begins_alike_is_another(tmp_path: Path, programs: Programs) -> None:
    name = name_of(tmp_path, LONG)
    programs.start(name + "-too")
    assert not (await ProcessProbe(name, None).run(5)).passed


async def test_of_several_one_is_enough(tmp_path: Path, programs: Programs) -> None:
    name = name_of(tmp_path)
    first, second = programs.start(name), programs.start(name)
    probe = ProcessProbe(name, None)
    watched = int((await probe.run(5)).detail.split()[1])
    assert watched == min(first.pid, second.pid)
    os.kill(watched, signal.SIGKILL)
    await asyncio.wait_for(probe.changed(), 10)
    verdict = await probe.run(5)
    other = first.pid + second.pid - watched
    assert (verdict.passed, verdict.detail) == (True, f"process {other} runs")
    await probe.close()


async def test_while_nothing_changes_nothing_is_told_and_nothing_sought(
    tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = name_of(tmp_path)
    programs.start(name)
    probe = ProcessProbe(name, None)
    assert (await probe.run(5)).passed
    monkeypatch.setattr(os, "scandir", lambda _path: pytest.fail("a search"))
    assert (await probe.run(5)).passed
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(probe.changed(), 0.1)
    await probe.close()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(probe.changed(), 0.1)


async def test_a_process_that_becomes_another_program_is_gone(tmp_path: Path, programs: Programs) -> None:
    name = name_of(tmp_path)
    process = programs.start(name, "-c", "read go; exec sleep 60", like="sh")
    probe = ProcessProbe(name, None)
    assert (await probe.run(5)).passed
    assert process.stdin is not None
    process.stdin.write(b"go\n")
    process.stdin.close()
    async with asyncio.timeout(10):
        while (await probe.run(5)).passed:  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.01)
    assert process.poll() is None
    await probe.close()


async def test_the_process_of_a_pidfile(tmp_path: Path, programs: Programs) -> None:
    pidfile = tmp_path / "a.pid"
    probe = ProcessProbe("whatever", pidfile)
    verdict = await probe.run(5)
    assert (verdict.passed, verdict.sure, verdict.detail) == (False, True, f"no process of {pidfile}")
    process = programs.start(name_of(tmp_path))
    pidfile.write_text(f" {process.pid}\n")
    verdict = await probe.run(5)
    assert (verdict.passed, verdict.detail) == (True, f"process {process.pid} runs")
    process.kill()
    await asyncio.wait_for(probe.changed(), 10)
    assert not (await probe.run(5)).passed
    process.wait()
    assert (await probe.run(5)).detail == f"no process of {pidfile}"


@pytest.mark.parametrize("text", ["", "nginx", "-4", "99999999", "1e3"])
async def test_a_pidfile_without_an_id_is_no_certain_no(tmp_path: Path, text: str) -> None:
    pidfile = tmp_path / "a.pid"
    pidfile.write_text(text)
    verdict = await ProcessProbe("a", pidfile).run(5)
    assert (verdict.passed, verdict.sure) == (False, False)
    assert verdict.detail == f"cannot look at {pidfile}: there is no process id in it"


async def test_a_pidfile_that_cannot_be_read_is_no_certain_no(tmp_path: Path) -> None:
    verdict = await ProcessProbe("a", tmp_path).run(5)
    assert (verdict.passed, verdict.sure, verdict.detail) == (
        False,
        False,
        f"cannot look at {tmp_path}: Is a directory",
    )


async def test_without_pidfds_it_is_looked_for_each_time(
    tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_pid: int) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "pidfd_open", none_left)
    name = name_of(tmp_path)
    process = programs.start(name)
    probe = ProcessProbe(name, None)
    assert (await probe.run(5)).passed
    assert (await probe.run(5)).passed
    process.kill()
    process.wait()
    assert not (await probe.run(5)).passed


async def test_descriptors_do_not_leak(tmp_path: Path, programs: Programs) -> None:
    name = name_of(tmp_path)
    probe = ProcessProbe(name, None)
    await probe.run(5)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count
    for _ in range(3):
        process = programs.start(name)
        assert (await probe.run(5)).passed
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(probe.changed(), 0.01)
        process.kill()
        process.communicate()
        assert not (await probe.run(5)).passed
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - a count
