from __future__ import annotations

import io
import os
import socket
from typing import TYPE_CHECKING

import pytest

from hafailover.observe import sink
from hafailover.observe.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def journal() -> Iterator[tuple[socket.socket, io.TextIOWrapper]]:
    """Yield both ends of what systemd gives a service for standard error."""
    ours, theirs = socket.socketpair()
    with ours, io.TextIOWrapper(os.fdopen(theirs.detach(), "wb", buffering=0)) as stream:
        yield ours, stream


def test_a_plain_stream_gets_each_line() -> None:
    stream = io.StringIO()
    plain = Sink(stream)

    plain.info("one")
    plain.error("two\nlines")
    plain.flush()
    plain.close()

    assert stream.getvalue() == "one\ntwo\nlines\n"
    assert plain.lost == 0


def test_a_stream_that_is_gone_loses_lines_and_raises_nothing() -> None:
    stream = io.StringIO()
    closed = Sink(stream)
    stream.close()

    closed.info("lost")

    assert closed.lost == 1


def test_a_full_disk_loses_lines_and_raises_nothing() -> None:
    with open("/dev/full", "w", buffering=1) as stream:  # noqa: PTH123 - a device, not a path to care for
        full = Sink(stream)
        full.info("lost")
        assert full.lost == 1
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # what it holds must go somewhere at close


def test_the_journal_is_told_the_level_of_each_line(
    journal: tuple[socket.socket, io.TextIOWrapper], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, stream = journal
    found = os.fstat(stream.fileno())
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
    to_journal = Sink(stream)

    for level in ("debug", "info", "warning", "error", "critical"):
        getattr(to_journal, level)(level)
    to_journal.error("two\nlines")
    to_journal.close()

    assert ours.recv(1000).decode().splitlines() == [
        "<7>debug",
        "<6>info",
        "<4>warning",
        "<3>error",
        "<2>critical",
        "<3>two",
        "<3>lines",
    ]


def test_another_socket_gets_no_levels(journal: tuple[socket.socket, io.TextIOWrapper]) -> None:
    ours, stream = journal
    to_socket = Sink(stream)

    to_socket.warning("plain \udcff")
    to_socket.close()

    assert ours.recv(1000) == b"plain ?\n"


def test_a_stalled_journal_stalls_nobody_and_gets_the_rest_later(
    journal: tuple[socket.socket, io.TextIOWrapper], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink, "MAX_WAITING_BYTES", 100_000)
    ours, stream = journal
    stalled = Sink(stream)
    line = "x" * 999

    count = 0
    while not stalled.lost:
        stalled.info(f"{count:06d}{line}")
        count += 1
    assert count > 100

    got = bytearray()
    ours.setblocking(False)
    for _ in range(10_000):
        try:
            got += ours.recv(100_000)
        except BlockingIOError:
            break
        stalled.flush()
    stalled.info("well again")
    got += ours.recv(100_000)
    stalled.close()

    whole = got.decode().splitlines()
    assert whole == [*(f"{number:06d}{line}" for number in range(count - 1)), "well again"]
    assert stalled.lost == 1


def test_a_journal_that_is_gone_loses_lines_and_raises_nothing(
    journal: tuple[socket.socket, io.TextIOWrapper],
) -> None:
    ours, stream = journal
    gone = Sink(stream)
    ours.close()

    gone.info("lost")
    gone.info("lost too")
    gone.close()

    assert gone.lost == 2
