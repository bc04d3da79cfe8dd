from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hafailover.guest.hooks import DROPPED, MAX_WAITING, HookContext, HookQueue, HookResult, run_hook

if TYPE_CHECKING:
    from pathlib import Path


def script(folder: Path, text: str) -> tuple[str]:
    path = folder / "hook"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return (str(path),)


def env(number: int) -> dict[str, str]:
    return {"HAFAILOVER_TERM": str(number)}


CONTEXT = HookContext(
    group="vip",
    node="web-a",
    state="MASTER",
    old_state="CLAIMING",
    reason="master_dead",
    term=7,
    addresses=("10.0.1.100", "10.0.1.101"),
    enis=("eni-cccccccc",),
)


async def test_a_hook_is_told_what_has_happened() -> None:
    result = await run_hook("master", ("/usr/bin/env",), CONTEXT.environment(), 10)
    assert result.ok
    assert {line for line in result.output.splitlines() if line.startswith("HAFAILOVER_")} == {
        "HAFAILOVER_GROUP=vip",
        "HAFAILOVER_STATE=MASTER",
        "HAFAILOVER_OLD_STATE=CLAIMING",
        "HAFAILOVER_REASON=master_dead",
        "HAFAILOVER_TERM=7",
        "HAFAILOVER_ADDRESSES=10.0.1.100 10.0.1.101",
        "HAFAILOVER_ENIS=eni-cccccccc",
        "HAFAILOVER_NODE=web-a",
    }


async def test_a_hook_that_fails_hangs_or_is_missing_is_a_result(tmp_path: Path) -> None:
    failed = await run_hook("backup", script(tmp_path, "echo no; exit 3"), {}, 10)
    assert (failed.ok, failed.exit_code, failed.output, failed.hook) == (False, 3, "no", "backup")
    hung = await run_hook("backup", script(tmp_path, "sleep 60"), {}, 0.1)
    assert (hung.ok, hung.exit_code, hung.timed_out) == (False, None, True)
    missing = await run_hook("backup", ("/does/not/exist",), {}, 10)
    assert missing.error == "cannot run /does/not/exist: there is no such file"
    assert not missing.ok


async def test_hooks_run_one_after_another_in_order(tmp_path: Path) -> None:
    log = tmp_path / "log"
    argv = script(
        tmp_path,
        f"n=$HAFAILOVER_TERM; echo begin $n >> {log}; sleep 0.0$((6 - n)); echo end $n >> {log}",
    )
    results: list[HookResult] = []
    queue = HookQueue(results.append)
    for number in range(1, 6):
        queue.submit(f"hook{number}", argv, env(number), 10)
    assert (queue.idle, len(results)) == (False, 0)
    assert await queue.drain(20)
    await asyncio.sleep(0)
    assert [result.hook for result in results] == ["hook1", "hook2", "hook3", "hook4", "hook5"]
    assert log.read_text().split("\n")[:-1] == [f"{w} {n}" for n in range(1, 6) for w in ("begin", "end")]
    queue.submit("again", argv, env(5), 10)
    assert await queue.drain(20)


async def test_no_command_is_no_hook() -> None:
    results: list[HookResult] = []
    queue = HookQueue(results.append)
    queue.submit("master", (), {}, 10)
    assert queue.idle
    assert await queue.drain(1)
    await queue.close(1)
    assert results == []


async def test_the_newest_hooks_push_out_the_oldest_that_wait(tmp_path: Path) -> None:
    results: list[HookResult] = []
    queue = HookQueue(results.append)
    queue.submit("running", script(tmp_path, "sleep 60"), {}, 60)
    await asyncio.sleep(0.05)
    for number in range(MAX_WAITING + 2):
        queue.submit(str(number), ("/bin/true",), {}, 10)
    await asyncio.sleep(0)
    assert [(result.hook, result.error) for result in results] == [("0", DROPPED), ("1", DROPPED)]
    await queue.close(0.05)


async def test_closing_waits_then_kills_the_running_and_drops_the_rest(tmp_path: Path) -> None:
    started, ended = tmp_path / "started", tmp_path / "ended"
    argv = script(tmp_path, f"touch {started}; sleep 60; touch {ended}")
    results: list[HookResult] = []
    queue = HookQueue(results.append)
    queue.submit("first", argv, {}, 60)
    queue.submit("second", argv, {}, 60)
    while not started.exists():  # noqa: ASYNC110 - the event is in another process
        await asyncio.sleep(0.01)
    await queue.close(0.05)
    await asyncio.sleep(0)
    assert [(result.hook, result.error) for result in results] == [
        ("first", "killed: the daemon had to end"),
        ("second", "not run: the daemon had to end"),
    ]
    assert queue.idle
    assert not ended.exists()
    queue.submit("late", argv, {}, 60)
    assert queue.idle


async def test_closing_lets_a_quick_hook_end(tmp_path: Path) -> None:
    results: list[HookResult] = []
    queue = HookQueue(results.append)
    queue.submit("stop", script(tmp_path, "sleep 0.1"), {}, 10)
    await queue.close(20)
    await asyncio.sleep(0)
    assert [result.exit_code for result in results] == [0]


async def test_a_result_handler_that_fails_does_not_stop_the_queue() -> None:
    seen: list[str] = []
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))

    def handler(result: HookResult) -> None:
        seen.append(result.hook)
        if len(seen) == 1:
            raise RuntimeError("handler")

    queue = HookQueue(handler)
    queue.submit("first", ("/bin/true",), {}, 10)
    queue.submit("second", ("/bin/true",), {}, 10)
    assert await queue.drain(20)
    await asyncio.sleep(0)
    assert seen == ["first", "second"]
    assert len(complaints) == 1


async def test_draining_ends_in_time() -> None:
    queue = HookQueue(lambda _result: None)
    queue.submit("slow", ("/bin/sleep", "60"), {}, 60)
    assert not await queue.drain(0.02)
    await queue.close(0)
