"""Programs are real ones here: what they leave behind is looked up in /proc."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from hafailover import process
from hafailover.process import OUTPUT_BYTES, find_program, is_running, run_program


def script(folder: Path, text: str, mode: int = 0o755) -> tuple[str]:
    path = folder / "program"
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(mode)
    return (str(path),)


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


async def gone(pids: list[int]) -> bool:
    for _ in range(100):
        if not any(alive(pid) for pid in pids):
            return True
        await asyncio.sleep(0.02)
    return False


def read_pids(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def written(path: Path, lines: int = 1) -> list[int]:
    """Return the process ids in the file, once there are as many as expected."""
    for _ in range(200):
        pids = read_pids(path)
        if len(pids) >= lines:
            return pids
        await asyncio.sleep(0.02)
    raise AssertionError(f"{path} did not get its {lines} lines")


@pytest.mark.parametrize(("text", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", -15)])
async def test_tells_how_the_program_ended(tmp_path: Path, text: str, code: int) -> None:
    ended = await run_program(script(tmp_path, text), timeout_s=10)
    assert (ended.exit_code, ended.timed_out, ended.error) == (code, False, "")
    assert ended.pid > 0
    assert not alive(ended.pid)


async def test_gives_it_nothing_of_the_daemons_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENCENTCLOUD_SECRET_KEY", "secret")
    ended = await run_program(("/usr/bin/env",), timeout_s=10, env={"HAFAILOVER_GROUP": "vip"})
    assert sorted(ended.output.splitlines()) == ["HAFAILOVER_GROUP=vip", f"PATH={process.PATH}"]
    ended = await run_program(script(tmp_path, "pwd; cat; ls /proc/self/fd"), timeout_s=10)
    assert ended.output.splitlines() == ["/", "0", "1", "2", "3"]  # no input; 3 is the directory being listed


async def test_keeps_the_end_of_both_outputs_without_control_characters(tmp_path: Path) -> None:
    ended = await run_program(
        script(tmp_path, r"head -c 300000 /dev/zero | tr '\0' x; printf '\nout\033[31m\n'; echo err >&2"),
        timeout_s=20,
    )
    assert len(ended.output) <= OUTPUT_BYTES
    assert ended.output.splitlines()[-2:] == ["out?[31m", "err"]


async def test_does_not_wait_for_a_child_that_keeps_the_output_open(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    ended = await run_program(script(tmp_path, f"sleep 60 & echo $! > {pids}; echo done"), timeout_s=30)
    assert (ended.exit_code, ended.output) == (0, "done")
    [child] = await written(pids)
    assert alive(child)  # a hook may have started it to stay
    os.kill(child, 9)


async def test_sweeps_what_is_left_in_the_group_where_asked(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    ended = await run_program(script(tmp_path, f"sleep 60 & echo $! > {pids}"), timeout_s=30, sweep=True)
    assert ended.exit_code == 0
    assert await gone(await written(pids))


async def test_kills_a_hung_program_with_all_that_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    text = f"""
    trap '' TERM
    echo $$ >> {pids}
    (trap '' TERM; echo $BASHPID >> {pids}; while :; do sleep 60; done) &
    set -m  # from here on each job is a group of its own
    sleep 60 & echo $! >> {pids}
    timeout 60 sleep 61 & echo $! >> {pids}
    while :; do sleep 60; done
    """
    running = asyncio.create_task(run_program(script(tmp_path, text), timeout_s=1, grace_s=0.2))
    ids = await written(pids, 4)
    ended = await running
    assert (ended.exit_code, ended.timed_out) == (None, True)
    assert await gone(ids)


async def test_lets_a_program_that_listens_end_by_itself(tmp_path: Path) -> None:
    text = "trap 'echo goodbye; exit 3' TERM\necho ready\nwhile :; do read -t 0.05 < <(:); done"
    ended = await run_program(script(tmp_path, text), timeout_s=0.5, grace_s=10)
    assert ended.timed_out
    assert ended.output.splitlines() == ["ready", "goodbye"]
    assert ended.seconds < 9


async def test_cancelling_kills(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    running = asyncio.create_task(
        run_program(script(tmp_path, f"echo $$ > {pids}; sleep 60"), timeout_s=60, grace_s=5)
    )
    ids = await written(pids)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await gone(ids)


async def test_a_flood_of_output_does_not_stop_the_loop(tmp_path: Path) -> None:
    running = asyncio.create_task(run_program(script(tmp_path, "yes"), timeout_s=0.5, grace_s=0))
    turns = 0
    while not running.done():
        await asyncio.sleep(0.005)
        turns += 1
    assert (await running).timed_out
    assert turns > 10
    assert (await running).output.startswith("y\ny\n")


async def test_works_without_pidfd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_pid: int) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", missing)
    assert (await run_program(script(tmp_path, "sleep 0.1; exit 4"), timeout_s=10)).exit_code == 4
    assert (await run_program(script(tmp_path, "sleep 60"), timeout_s=0.1, grace_s=0)).timed_out


async def test_leaves_no_descriptor_and_no_zombie(tmp_path: Path) -> None:
    argv = script(tmp_path, "exit 0")
    await run_program(argv, timeout_s=10)
    before = descriptors()
    pids = [(await run_program(argv, timeout_s=10)).pid for _ in range(5)]
    await run_program(("/does/not/exist",), timeout_s=10)
    assert descriptors() == before
    assert not [pid for pid in pids if os.path.exists(f"/proc/{pid}")]  # noqa: ASYNC240, PTH110 - procfs


async def test_a_process_that_does_not_die_is_left_to_itself_and_reaped_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_DEATH_S", 0.05)
    monkeypatch.setattr(process.Program, "_signal_group", lambda _self, _number: None)
    monkeypatch.setattr(process, "_SWEEPS", 0)
    ended = await run_program(script(tmp_path, "sleep 0.6"), timeout_s=0.05, grace_s=0)
    assert ended.timed_out
    assert is_running(ended.pid)
    for _ in range(200):
        if not is_running(ended.pid):
            break
        await asyncio.sleep(0.02)
    assert not is_running(ended.pid)
    assert not alive(ended.pid)


async def test_a_dead_file_system_costs_one_thread_not_one_per_run(monkeypatch: pytest.MonkeyPatch) -> None:
    searches = []

    def slow(name: str) -> str:
        searches.append(name)
        time.sleep(0.15)
        raise OSError("stale file handle")

    monkeypatch.setattr(process, "find_program", slow)
    first = await run_program(("/mnt/dead/check",), timeout_s=0.02)
    assert first.timed_out
    second = await run_program(("/mnt/dead/check",), timeout_s=0.02)
    assert second.error == "cannot run /mnt/dead/check: its file system does not answer"
    await asyncio.sleep(0.25)
    third = await run_program(("/mnt/dead/check",), timeout_s=5)
    assert third.error == "cannot run /mnt/dead/check: stale file handle"
    assert len(searches) == 2


async def test_says_why_it_cannot_run(tmp_path: Path) -> None:
    async def why(argv: tuple[str, ...]) -> str:
        ended = await run_program(argv, timeout_s=10)
        assert (ended.exit_code, ended.timed_out, ended.pid) == (None, False, 0)
        return ended.error.removeprefix(f"cannot run {argv[0]}: ")

    assert await why(("/does/not/exist",)) == "there is no such file"
    assert await why(("no-such-command-anywhere",)) == "there is no such file"
    assert await why((str(tmp_path),)) == "there is no such file"
    assert await why(script(tmp_path, "", mode=0o600)) == "it is not executable"
    assert "its mode is 0775; group and others" in await why(script(tmp_path, "", mode=0o775))
    assert "its mode is 0757; group and others" in await why(script(tmp_path, "", mode=0o757))
    (tmp_path / "binary").write_bytes(b"\x7fELF")
    (tmp_path / "binary").chmod(0o755)
    assert await why((str(tmp_path / "binary"),)) == "Exec format error"
    argv = script(tmp_path, "")
    tmp_path.chmod(0o777)  # noqa: ASYNC240 - a test
    assert "anyone can replace it" in await why(argv)
    tmp_path.chmod(0o1777)  # noqa: ASYNC240 - a test
    assert (await run_program(argv, timeout_s=10)).exit_code == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a file to somebody else")
def test_refuses_what_belongs_to_somebody_else(tmp_path: Path) -> None:
    [path] = script(tmp_path, "")
    os.chown(path, 65534, 65534)
    with pytest.raises(PermissionError, match="it is owned by uid 65534; only root or uid 0 may own it"):
        find_program(path)


def test_seeks_a_bare_name_in_the_systems_directories() -> None:
    assert Path(find_program("true")).name == "true"
