from __future__ import annotations

import asyncio
import contextlib
import grp
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hafailover.control.listener import listen
from hafailover.control.protocol import MAX_REQUEST_BYTES, Request, progress
from hafailover.control.server import ControlServer, Limits
from hafailover.errors import ControlError, StartError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from hafailover.control.server import Tell

NOBODY = 65534
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


async def echo(request: Request, tell: Tell) -> dict[str, Any]:
    match request.group:
        case "steps":
            for number in range(request.timeout_ms // 100):
                tell(progress("claim", "x" * 1000, number))
        case "refused":
            raise ControlError("no other node could take over")
        case "broken":
            raise ZeroDivisionError
        case "nan":
            return {"rtt_s": float("nan")}
        case "slow":
            await asyncio.sleep(60)
        case "no":
            return {"ok": False, "error": "not now", "reason": "busy"}
    return {"command": request.command, "group": request.group}


async def huge(_request: Request, _tell: Tell) -> dict[str, Any]:
    return {"text": "x" * 4_000_000}


@contextlib.asynccontextmanager
async def serving(path: Path, **options: Any) -> AsyncIterator[ControlServer]:
    server = ControlServer(path, options.pop("group", ""), options.pop("handle", echo), **options)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


async def connections(server: ControlServer, wanted: int) -> None:
    """Wait until the server has so many connections."""
    async with asyncio.timeout(10):
        while len(server._tasks) != wanted:  # noqa: ASYNC110 - the server has no event to wait for
            await asyncio.sleep(0.01)


async def talk(path: Path, data: bytes) -> list[dict[str, Any]]:
    """Send the data and the end of the stream; return all replies."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    with contextlib.suppress(OSError):
        writer.write(data)
        writer.write_eof()
    async with asyncio.timeout(10):
        text = await reader.read()
    writer.close()
    return [json.loads(line) for line in text.splitlines()]


def failover(group: str, **fields: object) -> bytes:
    return json.dumps({"command": "failover", "group": group, **fields}).encode() + b"\n"


STATUS = b'{"command": "status"}\n'


async def test_several_requests_of_a_connection_are_answered_in_order(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with serving(path):
        replies = await talk(path, STATUS + failover("vip") + b"nonsense\n" + STATUS.rstrip())

    assert [reply["ok"] for reply in replies] == [True, True, False, True]
    assert replies[1] == {"ok": True, "command": "failover", "group": "vip"}
    assert replies[2]["reason"] == "bad_request"


@pytest.mark.parametrize(
    ("group", "reason", "error"),
    [
        ("refused", "failed", "no other node could take over"),
        ("broken", "internal", "internal error: see the daemon's log"),
        ("nan", "internal", "internal error: see the daemon's log"),
        ("slow", "timeout", "failover took longer than 0.2 s"),
        ("no", "busy", "not now"),
    ],
)
async def test_a_handler_that_fails_gives_a_refusal_and_ends_nothing(
    tmp_path: Path, group: str, reason: str, error: str
) -> None:
    path = tmp_path / "control.sock"
    async with serving(path, limits=Limits(grace_s=0.1)):
        replies = await talk(path, failover(group, timeout_s=0.1) + STATUS)

    assert replies[0] == {"ok": False, "error": error, "reason": reason}
    assert replies[1]["ok"]


async def test_steps_on_the_way_are_for_who_asks_for_them(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with serving(path):
        told = await talk(path, failover("steps", timeout_s=0.2, progress=True))
        untold = await talk(path, failover("steps", timeout_s=0.2))

    assert [each.get("progress", each.get("ok")) for each in told] == ["claim", "claim", True]
    assert told[1] == {"progress": "claim", "text": "x" * 1000, "after_s": 1}
    assert [each["ok"] for each in untold] == [True]


async def test_steps_that_nobody_reads_are_dropped_and_the_reply_is_not(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with serving(path):
        told = await talk(path, failover("steps", timeout_s=3600, progress=True))

    assert 60 < len(told) < 36_000, "more than a socket and the bound hold, and not all"
    assert told[-1]["ok"]


async def test_a_request_that_is_too_long_is_refused_and_ends_the_connection(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with serving(path):
        replies = await talk(path, STATUS + b" " * (MAX_REQUEST_BYTES + 1) + STATUS)

    assert [reply["ok"] for reply in replies] == [True, False]
    assert replies[1]["error"] == "a request has at most 65536 bytes"


async def test_a_client_that_says_nothing_is_let_go(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with serving(path, limits=Limits(idle_s=0.05)):
        reader, writer = await asyncio.open_unix_connection(str(path))
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()


async def test_a_client_that_never_ends_its_request_is_told_and_let_go(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with serving(path, limits=Limits(request_s=0.1)):
        reader, writer = await asyncio.open_unix_connection(str(path))
        answer = asyncio.create_task(reader.read())
        while not answer.done():  # one byte at a time does not buy more time
            with contextlib.suppress(OSError):
                writer.write(b"x")
            await asyncio.sleep(0.01)
        writer.close()

    reply = json.loads(answer.result())
    assert reply["reason"] == "timeout"
    assert reply["error"] == "the request was not complete within 0.1 s"


async def test_a_client_that_does_not_read_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with serving(path, handle=huge, limits=Limits(write_s=0.1)) as server:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=1024)
        writer.write(STATUS)
        await connections(server, 1)
        await connections(server, 0)
        async with asyncio.timeout(10):
            got = await reader.read()
        writer.close()

    assert 0 < len(got) < 4_000_000


async def test_clients_that_vanish_leave_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with serving(path, handle=huge) as server:
        for data in (b"", b"{", STATUS, STATUS * 50):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(path))
                sock.sendall(data)
        assert (await talk(path, STATUS))[0]["ok"]
        await connections(server, 0)


async def test_one_connection_too_many_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with serving(path, limits=Limits(connections=2)) as server:
        links = [await asyncio.open_unix_connection(str(path)) for _ in range(2)]
        await connections(server, 2)
        assert [reply["reason"] for reply in await talk(path, STATUS)] == ["too_many_connections"]
        for _, writer in links:
            writer.close()
        await connections(server, 0)
        assert (await talk(path, STATUS))[0]["ok"]


async def test_a_flood_of_connections_is_turned_away_and_told_why(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    limits = Limits(connections=2)
    socks = []
    async with serving(path, handle=huge, limits=limits) as server:
        for _ in range(30):
            sock = socket.socket(socket.AF_UNIX)
            sock.setblocking(False)
            socks.append(sock)
            await asyncio.get_running_loop().sock_connect(sock, str(path))
            assert len(server._tasks) <= 2 * limits.connections
        for sock in socks[2:]:
            async with asyncio.timeout(10):
                line = await asyncio.get_running_loop().sock_recv(sock, 4096)
            assert json.loads(line)["reason"] == "too_many_connections"
    for sock in socks:
        sock.close()


async def test_closing_ends_connections_and_removes_the_socket(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with serving(path) as server:
        reader, writer = await asyncio.open_unix_connection(str(path))
        await connections(server, 1)
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()
    assert not path.exists()


async def test_a_socket_left_over_from_a_crash_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(str(path))
        crashed.listen()
    assert path.is_socket()

    async with serving(path):
        assert (await talk(path, STATUS))[0]["ok"]


async def test_a_second_daemon_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with serving(path):
        with pytest.raises(StartError) as caught:
            await ControlServer(path, "", echo).start()
        assert (await talk(path, STATUS))[0]["ok"]

    assert str(caught.value) == f"control socket {path}: another daemon answers on it"


def test_a_daemon_too_busy_to_accept_is_not_taken_for_a_crashed_one(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as busy, contextlib.ExitStack() as clients:
        busy.bind(str(path))
        busy.listen(0)
        for _ in range(3):
            client = clients.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            client.connect_ex(str(path))
        with pytest.raises(StartError, match="another daemon answers"):
            listen(path, "")


async def test_of_daemons_that_start_at_once_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(str(path))
    servers = [ControlServer(path, "", echo) for _ in range(8)]

    results = await asyncio.gather(*(server.start() for server in servers), return_exceptions=True)

    try:
        assert sum(result is None for result in results) == 1
        assert sum(isinstance(result, StartError) for result in results) == 7
        assert (await talk(path, STATUS))[0]["ok"]
    finally:
        for server in servers:
            await server.close()


async def test_the_socket_of_a_successor_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with serving(path):
        path.unlink()
        async with serving(path) as successor:
            assert successor
            await asyncio.sleep(0)
            replaced = path.stat().st_ino
    listener = listen(path, "")
    path.unlink()
    path.write_text("not ours")
    listener.close()

    assert replaced
    assert path.read_text() == "not ours"


@pytest.mark.parametrize("kind", ["file", "directory", "long", "datagram", "parent"])
def test_a_path_that_cannot_be_had_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "control.sock"
    expected = {
        "file": "a file that is not a socket is in the way",
        "directory": "a file that is not a socket is in the way",
        "long": "the path is longer than 107 bytes",
        "datagram": "Protocol wrong type for socket",
        "parent": "File exists",
    }[kind]
    with contextlib.ExitStack() as stack:
        if kind == "file":
            path.write_text("precious")
        elif kind == "directory":
            path.mkdir()
        elif kind == "long":
            path = tmp_path / ("x" * 108)
        elif kind == "datagram":
            stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)).bind(str(path))
        else:
            path.write_text("precious")
            path = path / "control.sock"
        with pytest.raises(StartError) as caught:
            listen(path, "")

    assert str(caught.value) == f"control socket {path}: {expected}"
    assert "\n" not in str(caught.value)


def test_a_start_that_hangs_beside_this_one_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hafailover.control.listener.LOCK_WAIT_S", 0.05)
    held = subprocess.Popen(["flock", str(tmp_path), "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert held.stdin
    assert held.stdout
    held.stdin.write(b"locked\n")
    held.stdin.flush()
    assert held.stdout.readline() == b"locked\n"
    try:
        with pytest.raises(StartError, match="Resource temporarily unavailable"):
            listen(tmp_path / "control.sock", "")
    finally:
        held.communicate()


def test_a_missing_directory_is_made_readable_for_all(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        listener = listen(tmp_path / "run" / "control.sock", "")
    finally:
        os.umask(old)

    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o755
    assert stat.S_IMODE(listener.path.stat().st_mode) == 0o600
    listener.close()


def test_without_its_group_the_socket_is_for_its_owner_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listener = listen(tmp_path / "control.sock", "no-such-group-here")
    mode = stat.S_IMODE(listener.path.stat().st_mode)
    listener.close()

    assert listener.group_id is None
    assert mode == 0o600
    assert "control_group_missing" in capsys.readouterr().out


@AS_ROOT
def test_with_its_group_the_socket_is_for_the_group_too(tmp_path: Path) -> None:
    group = grp.getgrgid(1)
    listener = listen(tmp_path / "control.sock", group.gr_name)
    found = listener.path.stat()
    listener.close()

    assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, 1)


ASK = """
import os, socket, sys
path, lines, uid, *groups = sys.argv[1:]
os.setgroups([int(group) for group in groups[1:]])
os.setgid(int(groups[0]))
os.setuid(int(uid))
sock = socket.socket(socket.AF_UNIX)
sock.connect(path)
sock.sendall(lines.encode())
sock.shutdown(socket.SHUT_WR)
print(sock.makefile().read())
"""


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """Yield a directory that other users can enter, unlike pytest's."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@AS_ROOT
@pytest.mark.parametrize(
    ("user", "group", "extra", "may"),
    [
        (NOBODY, NOBODY, [], False),
        (NOBODY, 1, [], True),
        (NOBODY, NOBODY, [4, 1], True),
        (NOBODY, NOBODY, [4], False),
        (0, NOBODY, [], True),
    ],
    ids=["nobody", "member", "member by another group", "member of other groups", "root"],
)
async def test_only_root_and_the_group_may_change_things_and_all_may_read(
    open_directory: Path, user: int, group: int, extra: list[int], *, may: bool
) -> None:
    path = open_directory / "control.sock"
    ids = (user, group, *extra)
    async with serving(path, group=grp.getgrgid(1).gr_name):
        path.chmod(0o666)  # an administrator may open it for reading
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-ISc", ASK, str(path), (STATUS + failover("vip")).decode(), *map(str, ids)],
            capture_output=True,
            check=True,
            timeout=20,
        )

    read, change = (json.loads(line) for line in done.stdout.splitlines() if line)
    assert read["ok"]
    assert change["ok"] is may
    assert may or change["reason"] == "not_permitted"
    assert may or "members of the group 'daemon'" in change["error"]


@pytest.fixture(scope="module")
def live_path() -> Iterator[Path]:
    """Serve in a thread of its own, so that a test may block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    directory = Path(tempfile.mkdtemp())
    server = ControlServer(directory / "control.sock", "", echo)
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
    yield directory / "control.sock"
    asyncio.run_coroutine_threadsafe(server.close(), loop).result(10)
    asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    shutil.rmtree(directory)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=60), min_size=1, max_size=5))
def test_any_bytes_get_a_json_error_for_each_line(live_path: Path, parts: list[bytes]) -> None:
    stream = b"".join(parts)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(live_path))
        for part in parts:
            sock.sendall(part)
        sock.shutdown(socket.SHUT_WR)
        replies = [json.loads(line) for line in sock.makefile("rb")]

    assert len(replies) == stream.count(b"\n") + (not stream.endswith(b"\n") and stream != b"")
    assert all(reply["reason"] == "bad_request" and reply["error"] for reply in replies)
