from __future__ import annotations

import argparse
import asyncio
import json
import signal
import socket
import sys
import urllib.request
from typing import TYPE_CHECKING

import pytest

from hafailover.emulator import command

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = (
    "import argparse, sys; from hafailover.emulator import command as c; p = argparse.ArgumentParser(); "
    "c.add_arguments(p); sys.exit(c.run(p.parse_args()))"
)


WORLD = """
[[instance]]
id = "ins-dddddddd"
[[eni]]
id = "eni-dddddddd"
instance = "ins-dddddddd"
primary = true
addresses = ["10.0.1.17"]
[[fault]]
kind = "denied"
action = "AttachNetworkInterface"
"""


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="emulator", exit_on_error=False)
    command.add_arguments(parser)
    return parser.parse_args(words)


def test_defaults() -> None:
    args = parsed()
    assert (args.listen, args.metadata_listen) == (("127.77.0.1", 9080), ("127.77.0.1", 9081))
    assert (args.latency, args.task, args.admin_anywhere) == (100, 500, False)


def test_options() -> None:
    args = parsed("--listen", "[::1]:0", "--latency", "1.5s", "--task", "2m")
    assert (args.listen, args.latency, args.task) == (("::1", 0), 1500, 120_000)


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("--listen", "9080", "HOST:PORT"),
        ("--listen", ":9080", "HOST:PORT"),
        ("--listen", "a:65536", "HOST:PORT"),
        ("--listen", "a:x", "HOST:PORT"),
        ("--latency", "soon", "is not a duration"),
        ("--task", "1h", "more than 10m"),
    ],
)
def test_bad_options_say_what_is_allowed(option: str, value: str, text: str) -> None:
    with pytest.raises(argparse.ArgumentError, match=text):
        parsed(option, value)


def test_an_address_outside_the_subnet(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(parsed("--vip", "192.0.2.1")) == 2
    assert "--vip: 192.0.2.1 is not within 10.0.1.0/24" in capsys.readouterr().err


def test_a_world_file_that_is_wrong_or_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "world.toml"
    assert command.run(parsed("--world", str(file))) == 2
    assert str(file) in capsys.readouterr().err
    file.write_text("[[instance]]\nid = 'ins-aaaaaaaa'\n")
    assert command.run(parsed("--world", str(file))) == 2
    assert "[[eni]] tables" in capsys.readouterr().err
    with pytest.raises(argparse.ArgumentError, match="not allowed with argument"):
        parsed("--world", str(file), "--vip", "10.0.1.100")


async def test_it_starts_with_what_a_world_file_says(tmp_path: Path) -> None:
    file = tmp_path / "world.toml"
    file.write_text(WORLD)
    words = ("--listen", "127.0.0.1:0", "--metadata-listen", "127.0.0.1:0", "--world", str(file))
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, *words, stdout=asyncio.subprocess.PIPE
    )
    assert program.stdout is not None
    manual = await asyncio.wait_for(program.stdout.readuntil(b"Ctrl-C ends it.\n"), 20)
    endpoint = next(line for line in manual.decode().splitlines() if line.startswith("  endpoint = ")).split('"')[1]
    faults = json.loads(await asyncio.to_thread(_get, f"{endpoint}/_emulator/faults"))
    state = json.loads(await asyncio.to_thread(_get, f"{endpoint}/_emulator/state"))
    program.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(program.wait(), 10) == 0
    assert b"10.0.1.17 is on eni-dddddddd (ins-dddddddd)" in manual
    assert [(fault["kind"], fault["action"]) for fault in faults] == [("denied", "AttachNetworkInterface")]
    assert list(state["enis"]) == ["eni-dddddddd"]


def test_a_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert command.run(parsed("--listen", f"127.0.0.1:{port}")) == 1
    assert "cannot listen" in capsys.readouterr().err


async def test_the_command_serves_tells_and_ends_on_a_signal() -> None:
    words = ("--listen", "127.0.0.1:0", "--metadata-listen", "127.0.0.1:0", "--vip", "10.0.1.77")
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, *words, stdout=asyncio.subprocess.PIPE
    )
    assert program.stdout is not None
    manual = await asyncio.wait_for(program.stdout.readuntil(b"Ctrl-C ends it.\n"), 20)
    endpoint = next(line for line in manual.decode().splitlines() if line.startswith("  endpoint = ")).split('"')[1]
    body = json.dumps({"address": "10.0.1.77", "eni": "eni-bbbbbbbb"}).encode()
    await asyncio.to_thread(_post, f"{endpoint}/_emulator/move", body)
    told = await asyncio.wait_for(program.stdout.readline(), 5)
    body = json.dumps({"instance": "ins-aaaaaaaa", "state": "STOPPED"}).encode()
    await asyncio.to_thread(_post, f"{endpoint}/_emulator/instance", body)
    switched = await asyncio.wait_for(program.stdout.readline(), 5)
    program.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(program.wait(), 10) == 0
    assert b"10.0.1.77: eni-aaaaaaaa -> eni-bbbbbbbb (move by console)" in told
    assert b"ins-aaaaaaaa: RUNNING -> STOPPED" in switched
    assert manual.count(b"curl -d '{") == 14


def _get(url: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=5) as reply:
        return bytes(reply.read())


def _post(url: str, body: bytes) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, body, timeout=5) as reply:
        reply.read()
