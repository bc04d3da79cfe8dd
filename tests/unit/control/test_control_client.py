from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from hafailover.control import client, protocol
from hafailover.errors import ControlError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STATUS = {"command": "status"}


@contextlib.contextmanager
def daemon(path: Path, serve: Callable[[socket.socket], None]) -> Iterator[None]:
    """Let `serve` treat one connection, in a thread."""

    def run() -> None:
        link, _ = listener.accept()
        with link, contextlib.suppress(OSError):
            link.settimeout(10)
            serve(link)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=run)
        thread.start()
        yield
        thread.join()


def answering(data: bytes) -> Callable[[socket.socket], None]:
    def serve(link: socket.socket) -> None:
        link.recv(1000)
        link.sendall(data)

    return serve


def test_a_reply_in_pieces_is_put_together(tmp_path: Path) -> None:
    def serve(link: socket.socket) -> None:
        assert link.recv(1000) == b'{"command":"status"}\n'
        for piece in (b'{"ok":', b'true,"node"', b':"web-a"}\n'):
            link.sendall(piece)
            time.sleep(0.01)

    with daemon(tmp_path / "s", serve):
        assert client.request(tmp_path / "s", STATUS, 10) == {"ok": True, "node": "web-a"}


def test_a_refusal_is_a_reply(tmp_path: Path) -> None:
    with daemon(tmp_path / "s", answering(b'{"ok":false,"error":"no","reason":"busy"}\n')):
        assert client.request(tmp_path / "s", STATUS, 10)["reason"] == "busy"


def test_a_refusal_sent_before_the_request_was_read_is_seen(tmp_path: Path) -> None:
    def serve(link: socket.socket) -> None:
        link.shutdown(socket.SHUT_RD)
        link.sendall(b'{"ok":false,"error":"too many","reason":"too_many_connections"}\n')

    path = tmp_path / "s"
    with daemon(path, serve):
        reply = client.request(path, {"command": "status", "fill": "x" * 1_000_000}, 10)
    assert reply["reason"] == "too_many_connections"


def test_without_a_socket_the_daemon_is_not_reachable(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError) as caught:
        client.request(tmp_path / "s", STATUS, 1)

    assert str(caught.value) == f"no daemon at {tmp_path / 's'}: start it or use --socket"
    assert caught.value.exit_code == 3


def test_a_socket_left_over_is_no_daemon(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(str(tmp_path / "s"))

    with pytest.raises(UnreachableError, match="start it or use --socket"):
        client.request(tmp_path / "s", STATUS, 1)


def test_a_path_that_no_socket_can_have_is_no_daemon(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="path too long; use --socket"):
        client.request(tmp_path / ("x" * 200), STATUS, 1)


def test_a_daemon_that_does_not_accept_is_told_so(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as clients:
        listener.bind(str(tmp_path / "s"))
        listener.listen(0)
        for _ in range(3):
            waiting = clients.enter_context(socket.socket(socket.AF_UNIX))
            waiting.setblocking(False)
            waiting.connect_ex(str(tmp_path / "s"))
        with pytest.raises(UnreachableError, match="does not accept connections"):
            client.request(tmp_path / "s", STATUS, 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_user_who_may_not_connect_is_told_who_may(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        os.seteuid(65534)
        try:
            with pytest.raises(UnreachableError, match=r"be root or a member of the group in \[control\] group"):
                client.request(tmp_path / "s", STATUS, 1)
        finally:
            os.seteuid(0)


@pytest.mark.parametrize("drip", [b"", b" "])
def test_a_daemon_that_never_answers_is_given_up(tmp_path: Path, drip: bytes) -> None:
    given_up = threading.Event()

    def serve(link: socket.socket) -> None:
        while not given_up.wait(0.01):
            link.sendall(drip)

    with daemon(tmp_path / "s", serve):
        with pytest.raises(UnreachableError, match=r"did not answer within 0.1 s: see `hafailover status`"):
            client.request(tmp_path / "s", STATUS, 0.1)
        given_up.set()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "ended the connection without an answer"),
        (b'{"ok":true', "ended the connection without an answer"),
        (b"HTTP/1.1 400 Bad Request\n", "is not a hafailover daemon: the reply is not JSON"),
        (b"{}\n", 'is not a hafailover daemon: the reply has no "ok"'),
        (b" " * 1001, "the reply is longer than 1000 bytes"),
    ],
)
def test_what_is_no_daemon_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes, message: str
) -> None:
    monkeypatch.setattr(protocol, "MAX_REPLY_BYTES", 1000)
    with daemon(tmp_path / "s", answering(answer)), pytest.raises(ControlError) as caught:
        client.request(tmp_path / "s", STATUS, 10)

    assert message in str(caught.value)
    assert caught.value.exit_code == 1


def test_a_connection_that_is_reset_is_told_so(tmp_path: Path) -> None:
    with daemon(tmp_path / "s", lambda _link: time.sleep(0.05)), pytest.raises(ControlError, match="reset"):
        client.request(tmp_path / "s", STATUS, 10)


def test_the_command_line_does_not_pay_for_the_daemon() -> None:
    heavy = "asyncio structlog prometheus_client httpx h11 pyroute2"
    code = f"import sys, hafailover.control.commands; print([m for m in {heavy.split()} if m in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)

    assert done.stdout == "[]\n"
