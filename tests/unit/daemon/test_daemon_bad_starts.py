"""What a daemon says and how it ends where it cannot start: one line that an operator can act on."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from typing import TYPE_CHECKING

from hafailover import cli
from hafailover.daemon.commands import DEFAULT_CONFIG
from tests.unit.daemon.daemons import HOST, PROGRAM, make, run
from tests.unit.daemon.stage import until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.unit.daemon.daemons import Daemon, Ended


async def start(daemon: Daemon) -> Ended:
    return await run(*daemon.command[len(PROGRAM) :])


def complaint(ended: Ended) -> str:
    """Return the error on the one line that a daemon wrote."""
    (line,) = ended.err.splitlines()
    said = json.loads(line)
    assert (ended.out, said["event"], said["level"]) == ("", "cannot_go_on", "critical")
    return str(said["error"])


def test_a_missing_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "config.toml"
    assert cli.main(["run", "-c", str(missing)]) == 2
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith(f"{missing}: ")
    assert said.out == ""


def test_the_default_configuration_is_the_documented_one() -> None:
    assert str(DEFAULT_CONFIG) == "/etc/hafailover/config.toml"


async def test_ports_in_use(tmp_path: Path) -> None:
    first, second = make(tmp_path)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.create_server((HOST, second.metrics_port)),
    ):
        udp.bind((HOST, first.port))
        without_heartbeat, without_metrics = await asyncio.gather(start(first), start(second))
    assert (without_heartbeat.code, without_metrics.code) == (1, 1)
    assert f"{HOST}:{first.port}" in complaint(without_heartbeat)
    assert f"metrics address {HOST}:{second.metrics_port}: Address already in use" in complaint(without_metrics)
    assert not first.socket.exists()
    assert not second.socket.exists()


async def test_a_node_that_the_file_does_not_have(tmp_path: Path) -> None:
    first, _ = make(tmp_path)
    ended = await run("run", "-c", str(first.config), "--node", "web-z")
    assert ended.code == 2
    assert '"web-z" is not a node of this file' in complaint(ended)


async def test_a_daemon_that_still_looks_for_its_eni_can_be_ended(tmp_path: Path) -> None:
    first, _ = make(tmp_path, enis=False)  # and no cloud that could tell
    await first.start()
    try:
        await until(lambda: first.events("eni_unknown"))
        first.signal(signal.SIGHUP)
        first.signal(signal.SIGINT)
        assert await first.ended() == 130
    finally:
        await first.end()
