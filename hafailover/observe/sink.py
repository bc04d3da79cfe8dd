"""Where log lines end up. A journal that stalls must not stall the daemon with it.

Under systemd, standard error is a socket to journald, and a write to it blocks when journald does not keep
up (systemd-journald.service(8)); an event loop that blocks sends no heartbeats. So lines go to a socket
without waiting, what does not fit is kept up to a bound, and what exceeds that is counted and dropped.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import threading
from typing import TextIO

MAX_WAITING_BYTES = 256 * 1024

_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}  # sd-daemon(3)


class Sink:
    """The last link of the chain: takes a rendered line by the name of its level, as structlog's loggers do.

    `lost` counts the lines that could not be written. Nothing here raises: logging must not end the daemon.
    """

    def __init__(self, stream: TextIO) -> None:
        self.lost = 0
        self._stream = stream
        self._waiting = bytearray()
        self._lock = threading.Lock()
        self._socket, self._has_priorities = _look_at(stream)

    def debug(self, line: str) -> None:
        """Write a line of level debug."""
        self._write("debug", line)

    def info(self, line: str) -> None:
        """Write a line of level info."""
        self._write("info", line)

    def warning(self, line: str) -> None:
        """Write a line of level warning."""
        self._write("warning", line)

    def error(self, line: str) -> None:
        """Write a line of level error."""
        self._write("error", line)

    def critical(self, line: str) -> None:
        """Write a line of level critical."""
        self._write("critical", line)

    def flush(self) -> None:
        """Write what waits, as far as the journal takes it now; every line written does so too."""
        with self._lock:
            self._send()

    def close(self) -> None:
        """Let go of the socket; the stream stays open."""
        if self._socket is not None:
            self._socket.close()

    def _write(self, level: str, line: str) -> None:
        prefix = f"<{_PRIORITIES[level]}>" if self._has_priorities else ""
        with self._lock:
            if self._socket is None:
                self._write_plain(f"{prefix}{line}\n")
                return
            self._send()
            if len(self._waiting) + len(line) > MAX_WAITING_BYTES:
                self.lost += 1
                return
            # the journal takes a line for one entry: the prefix must stand before each
            self._waiting += "".join(f"{prefix}{part}\n" for part in line.split("\n")).encode(errors="replace")
            self._send()

    def _write_plain(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # ValueError: the stream is closed
            self.lost += 1

    def _send(self) -> None:
        while self._socket is not None and self._waiting:
            try:
                sent = self._socket.send(self._waiting, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            except BlockingIOError:
                return
            except OSError:  # journald is gone for good
                self.lost += self._waiting.count(b"\n")
                self._waiting.clear()
                return
            del self._waiting[:sent]


def _look_at(stream: TextIO) -> tuple[socket.socket | None, bool]:
    """Return the socket behind the stream, if it is one, and whether it is systemd's journal."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # a stream in memory has no descriptor
        fd = stream.fileno()
        found = os.fstat(fd)
        if stat.S_ISSOCK(found.st_mode):
            is_journal = os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
            return socket.socket(fileno=os.dup(fd)), is_journal
    return None, False
