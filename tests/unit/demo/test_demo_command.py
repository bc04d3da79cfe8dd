from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hafailover.config import loader
from hafailover.demo import command, troupe
from hafailover.demo.command import CLOUD, Demo
from hafailover.demo.timeline import Timeline
from hafailover.demo.troupe import Actor

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = [sys.executable, "-m", "hafailover.cli", "demo"]


@pytest.mark.timeout(90)
def test_the_demo_keeps_its_promises() -> None:
    done = subprocess.run(PROGRAM, capture_output=True, text=True, timeout=60, check=False)
    verdicts = re.findall(r"promised: .*   (ok|BROKEN)\n", done.stdout)
    assert len(verdicts) == 3, done.stdout + done.stderr
    (planned, lost, returned) = [
        tuple(int(figure) for figure in act)
        for act in re.findall(r"client: (\d+) questions, (\d+) lost .*; outage (\d+) ms", done.stdout)
    ]
    assert (planned[1], returned[1], done.stderr) == (0, 0, ""), done.stdout
    assert lost[1] > 0
    phases = [int(figure) for figure in re.findall(r"(?:detection|guard|guest|cloud) \S (-?\d+) ms", done.stdout)]
    assert len(phases) == 4
    assert abs(sum(phases) - lost[2]) <= 4  # each is rounded
    # A machine that was busy may have missed the promise by a little: then that is said, and nothing else.
    in_time = verdicts[1] == "ok"
    assert verdicts == ["ok", "ok" if in_time else "BROKEN", "ok"]
    assert (lost[2] <= 1000 * command.PROMISE_S) or not in_time
    assert lost[2] <= 5 * 1000 * command.PROMISE_S
    assert done.returncode == (0 if in_time else 1)
    assert done.stdout.endswith("\neverything as promised\n" if in_time else "\nNOT as promised: see above\n")


def test_an_address_in_use_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(CLOUD):
        assert command.run(argparse.Namespace(keep=False)) == 1
    (line,) = [text for text in capsys.readouterr().out.splitlines() if text.startswith("hafailover demo:")]
    assert "address already in use" in line


def test_the_daemons_files_are_valid_and_alike(tmp_path: Path) -> None:
    actors = Demo(tmp_path, Timeline()).actors
    values: dict[str, object] = {
        "region": "ap-guangzhou",
        "api": "http://h:1",
        "metadata": "http://h:2",
        "vip": "10.0.1.100",
    }
    troupe.write_files(tmp_path, actors, values)
    first, second = (loader.load(tmp_path / f"{actor.name}.toml") for actor in actors)
    assert first.digest == second.digest
    assert first.keys == second.keys
    assert first.heartbeat.dead_interval_ms == command.DEAD_MS
    assert [actor.socket for actor in actors] == [first.control.socket, second.control.socket]


def test_an_actor_that_does_not_run_is_unreachable_and_can_be_ended(tmp_path: Path) -> None:
    actor = Actor("web-a", "127.0.0.1", "eni-a", "ins-a", 100, "id", "key", socket=tmp_path / "none.sock")
    assert actor.state() == "unreachable"
    troupe.freeze(actor, frozen=True)
    assert actor.process is None


@pytest.fixture
def short_path() -> Iterator[Path]:
    """Return a folder for sockets, whose paths may not be long, as `tmp_path` is for one of several workers."""
    with tempfile.TemporaryDirectory(prefix="hf-demo-") as name:
        yield Path(name)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_told_to_end_leaves_nothing_behind(number: int, short_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(short_path)}
    with subprocess.Popen(PROGRAM, stdout=subprocess.PIPE, text=True, env=environment) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "web-b  INIT -> BACKUP" in line:
                break
        daemons = Path(f"/proc/{demo.pid}/task/{demo.pid}/children").read_text().split()
        assert len(daemons) == 2
        demo.send_signal(number)
        demo.stdout.read()
        assert demo.wait(20) == 1
    assert not any(Path(f"/proc/{pid}").exists() for pid in daemons)
    assert list(short_path.iterdir()) == []
