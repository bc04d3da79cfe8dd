"""What the daemon tells systemd, at the other end of a socket that speaks the protocol of sd_notify(3)."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import socket
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from hafailover import cli
from hafailover.daemon import clock, systemd
from hafailover.daemon.commands import RETRY_S
from hafailover.daemon.runner import Inbox, Runner
from hafailover.daemon.supervisor import Daemon
from hafailover.election.effects import Persist
from hafailover.election.events import DrainAsked
from hafailover.election.node import Node
from hafailover.election.values import GroupName, Memory, Policy, Timing
from hafailover.errors import StartError
from tests.unit.daemon import daemons
from tests.unit.daemon.stage import PATIENCE_S, until
from tests.unit.election.bench import DIGEST, MEMBERS, POLICY, Bench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from pathlib import Path

    from hafailover.election.effects import Effect
    from hafailover.emulator.server import Emulator

OFTEN = Timing(interval_ms=20, dead_interval_ms=60_000, restart_grace_ms=60_000, audit_interval_ms=60_000)
LIMIT_US = 300_000


class Systemd:
    """The other end: every datagram with its lines, and when it came."""

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self.said: list[tuple[float, list[str]]] = []
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._sock.bind(self.address)
        asyncio.get_running_loop().add_reader(self._sock, self._take)

    def _take(self) -> None:
        self.said.append((time.monotonic(), self._sock.recv(4096).decode().split("\n")))

    @property
    def lines(self) -> list[str]:
        return [line for _, lines in self.said for line in lines]

    def times(self, line: str) -> list[float]:
        return [at for at, lines in self.said if line in lines]

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._sock)
        self._sock.close()


@pytest.fixture
async def other_end(tmp_path: Path) -> AsyncIterator[Systemd]:
    made = Systemd(tmp_path / "notify")
    yield made
    made.close()


def core(policies: list[Policy]) -> Node:
    rng, now = random.Random(1), clock.now_ms()  # noqa: S311 - to be repeated, not secret
    return Node(MEMBERS[0], MEMBERS, OFTEN, policies, config_digest=DIGEST, memory=Memory(), rng=rng, now=now)


class Hands:
    """Performs nothing; a barrier never ends once it is to hang."""

    def __init__(self) -> None:
        self.hang = False

    def perform(self, effect: Effect) -> Awaitable[None] | None:
        return asyncio.Event().wait() if self.hang and isinstance(effect, Persist) else None  # type: ignore[return-value] # never ends


class Turning:
    """The core's loop at work, and what tells systemd of it."""

    def __init__(self, address: str, limit_us: int = LIMIT_US) -> None:
        self.node = core([POLICY])
        self.inbox, self.hands = Inbox(), Hands()
        notifier = systemd.Notifier(address, limit_us, OFTEN.interval_ms)
        runner = Runner(self.node, self.inbox, self.hands, lambda _late_ms: notifier.turned(self.node))
        self.task = asyncio.ensure_future(runner.run())

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def test_a_daemon_is_ready_once_and_only_when_it_answers(
    tmp_path: Path, emulator: Emulator, other_end: Systemd
) -> None:
    first, _ = daemons.make(tmp_path, api=f"http://127.0.0.1:{emulator.api_port}")
    first.keys["NOTIFY_SOCKET"] = other_end.address
    await first.start()
    try:
        await until(lambda: "READY=1" in other_end.lines)
        assert (await first.ask("status"))["node"] == first.name  # at the first attempt
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, pytest.raises(OSError, match="in use"):
            sock.bind((daemons.HOST, first.port))
        await first.until("MASTER")
        await until(lambda: "STATUS=vip MASTER" in other_end.lines)
        assert other_end.lines.count("READY=1") == 1

        first.signal(signal.SIGHUP)
        await until(lambda: other_end.lines.count("READY=1") == 2)
        begun = next(lines for _, lines in other_end.said if "RELOADING=1" in lines)
        assert abs(int(begun[1].removeprefix("MONOTONIC_USEC=")) / 1e6 - time.monotonic()) < PATIENCE_S
        assert "STOPPING=1" not in other_end.lines

        first.signal(signal.SIGTERM)
        assert await first.ended() == 0
        await until(lambda: "STOPPING=1" in other_end.lines)
        after = other_end.lines[other_end.lines.index("STOPPING=1") + 1 :]
        assert after[0] == "EXTEND_TIMEOUT_USEC=30000000"  # 15 s of a hand-over, and what comes after it
        assert "STATUS=vip MASTER" not in after
    finally:
        await first.end()


async def test_the_watchdog_is_fed_while_the_loop_turns_and_no_longer(other_end: Systemd) -> None:
    turning = Turning(other_end.address)
    await until(lambda: len(other_end.times("WATCHDOG=1")) > 3)
    fed = other_end.times("WATCHDOG=1")
    assert max(after - before for before, after in pairwise(fed)) < LIMIT_US / 1e6
    assert min(after - before for before, after in pairwise(fed)) > LIMIT_US / 1e6 / 5
    turning.hands.hang = True
    turning.inbox.post(DrainAsked(1, drained=True))
    await asyncio.sleep(0.05)
    count = len(other_end.times("WATCHDOG=1"))
    await asyncio.sleep(2 * LIMIT_US / 1e6)
    assert len(other_end.times("WATCHDOG=1")) == count
    await turning.end()


async def test_without_a_watchdog_none_is_fed(other_end: Systemd) -> None:
    turning = Turning(other_end.address, limit_us=0)
    await until(lambda: "READY=1" in other_end.lines)
    await asyncio.sleep(0.2)
    assert "WATCHDOG=1" not in other_end.lines
    await turning.end()


async def test_a_loop_that_turns_seldom_asks_for_a_longer_limit(other_end: Systemd) -> None:
    bench = Bench()
    systemd.Notifier(other_end.address, 5_000_000, interval_ms=10_000).turned(bench.node)
    systemd.Notifier(other_end.address, 5_000_000, interval_ms=200).turned(bench.node)
    await until(lambda: len(other_end.times("READY=1")) + len(other_end.times("WATCHDOG=1")) == 4)
    assert [line for line in other_end.lines if line.startswith("WATCHDOG_USEC")] == ["WATCHDOG_USEC=30000000"]


async def test_the_limit_follows_a_reload_of_the_interval(other_end: Systemd) -> None:
    notifier, node = systemd.Notifier(other_end.address, 5_000_000, interval_ms=200), Bench().node
    for interval_ms in (200, 10_000, 9_000, 200):
        notifier.configure(interval_ms)
        notifier.turned(node)
    await until(lambda: len(other_end.times("WATCHDOG=1")) == 4)
    limits = [line.removeprefix("WATCHDOG_USEC=") for line in other_end.lines if line.startswith("WATCHDOG_USEC")]
    assert limits == ["30000000", "27000000", "5000000"]


@pytest.mark.parametrize(
    ("environment", "fed"),
    [
        ({}, False),
        ({"WATCHDOG_USEC": "300000"}, True),
        ({"WATCHDOG_USEC": "300000", "WATCHDOG_PID": str(os.getpid())}, True),
        ({"WATCHDOG_USEC": "300000", "WATCHDOG_PID": "1"}, False),
        ({"WATCHDOG_USEC": "soon"}, False),
        ({"WATCHDOG_USEC": "-1"}, False),
    ],
)
async def test_whose_watchdog_it_is(other_end: Systemd, environment: dict[str, str], *, fed: bool) -> None:
    made = systemd.notifier({"NOTIFY_SOCKET": other_end.address, **environment}, 200)
    made.turned(Bench().node)
    await until(lambda: "READY=1" in other_end.lines)
    await asyncio.sleep(0.02)
    assert ("WATCHDOG=1" in other_end.lines) is fed


async def test_a_socket_without_a_name_in_the_file_system() -> None:
    name = f"hafailover-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.bind(f"\0{name}")
        systemd.Notifier(f"@{name}", 0, 200).reloaded()
        assert sock.recv(100) == b"READY=1"


def test_nobody_at_the_other_end_is_no_reason_to_stop(tmp_path: Path) -> None:
    with capture_logs() as logs:
        systemd.Notifier(str(tmp_path / "nobody"), 0, 200).stopping(1.0)
        systemd.Notifier("", 0, 200).stopping(1.0)
    assert [(entry["event"], entry["said"]) for entry in logs] == [("systemd_not_told", "STOPPING=1")]


def test_the_status_line_says_who_is_what() -> None:
    assert systemd.status_line(Bench().node, 0) == "vip INIT"
    master, backup = Bench().as_master(), Bench().as_backup()
    assert systemd.status_line(master.node, master.now) == "vip MASTER"
    assert systemd.status_line(backup.node, backup.now) == "vip BACKUP (a is master)"


def test_the_status_line_of_many_groups_counts_them() -> None:
    node = core([Policy(GroupName(f"g{number}"), ()) for number in range(5)])
    assert systemd.status_line(node, 0) == "5 groups: 5 INIT"


async def test_who_is_not_run_by_systemd_is_not_restarted_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "open_dbus_router", None)  # nobody is asked
    with capture_logs() as logs:
        assert not await systemd.is_restart({})
    assert logs == []


async def test_where_no_bus_answers_a_stop_is_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/nobody")
    with capture_logs() as logs:
        assert not await systemd.is_restart({"INVOCATION_ID": "1"})
    assert [entry["event"] for entry in logs] == ["job_unknown"]


# jeepney does not close the connection of a handshake that is given up; the process is about to end anyway.
@pytest.mark.filterwarnings("ignore:.*StreamWriter:pytest.PytestUnraisableExceptionWarning")
async def test_a_bus_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/bus")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener, capture_logs() as logs:
        listener.bind(f"{tmp_path}/bus")
        listener.listen()
        begun = time.monotonic()
        assert not await systemd.is_restart({"INVOCATION_ID": "1"})
        assert systemd.ASK_S * 0.9 < time.monotonic() - begun < systemd.ASK_S + 1
        gc.collect()  # while the loop is there that the given-up connection belongs to
    assert [entry["error"] for entry in logs] == ["no answer within 0.3 s"]


@pytest.mark.parametrize("invoked", [True, False])
def test_what_keeps_a_daemon_from_starting_is_not_tried_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, invoked: bool
) -> None:
    async def fail(_daemon: object) -> None:
        raise StartError("not here")

    first, _ = daemons.make(tmp_path)
    slept: list[float] = []
    monkeypatch.setattr(Daemon, "run", fail)
    monkeypatch.setattr(time, "sleep", slept.append)
    if invoked:
        monkeypatch.setenv("INVOCATION_ID", "1")
    else:
        monkeypatch.delenv("INVOCATION_ID", raising=False)
    assert cli.main([*first.command[len(daemons.PROGRAM) :]]) == 1
    assert slept == ([RETRY_S] if invoked else [])
