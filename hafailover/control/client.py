"""The command line's end of the control socket: synchronous, and light to import."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING, Any

from hafailover.control import protocol
from hafailover.errors import ControlError, ProtocolError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

READ_BYTES = 64 * 1024


def request(
    path: Path,
    message: Mapping[str, object],
    timeout_s: float,
    on_progress: Callable[[Mapping[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Send one request to the daemon at `path` and return its reply, whatever its `"ok"` is.

    `timeout_s` bounds the whole exchange; `on_progress` is given each step on the way. Raises UnreachableError
    where no daemon answers, ControlError where what answers is not one.
    """
    deadline = time.monotonic() + timeout_s
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            _connect(sock, path, timeout_s)
            with contextlib.suppress(BrokenPipeError):  # its refusal may be there to read nevertheless
                sock.sendall(protocol.encode(message))
            line = _receive_reply(sock, deadline, on_progress)
    except TimeoutError:
        raise UnreachableError(
            f"the daemon at {path} did not answer within {timeout_s:g} s: see `hafailover status`"
        ) from None
    except OSError as error:
        raise ControlError(f"the daemon at {path} ended the connection: {error.strerror or error}") from error
    if not line.endswith(b"\n"):
        raise ControlError(f"the daemon at {path} ended the connection without an answer")
    try:
        return protocol.parse_reply(line)
    except ProtocolError as error:
        raise ControlError(f"what answers at {path} is not a hafailover daemon: {error}") from error


def _connect(sock: socket.socket, path: Path, timeout_s: float) -> None:
    sock.settimeout(timeout_s)
    try:
        sock.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        raise UnreachableError(f"no daemon at {path}: start it or use --socket") from None
    except PermissionError:
        raise UnreachableError(
            f"not allowed to connect to {path}: be root or a member of the group in [control] group"
        ) from None
    except BlockingIOError:  # unix(7): a full backlog is not waited for
        raise UnreachableError(f"the daemon at {path} does not accept connections") from None
    except OSError as error:
        raise UnreachableError(f"no daemon at {path}: {error.strerror or error}; use --socket") from error


def _receive_reply(
    sock: socket.socket, deadline: float, on_progress: Callable[[Mapping[str, Any]], None] | None
) -> bytes:
    """Return the first line that tells of no step on the way, or what came up to the end where there was none."""
    waiting = bytearray()
    while True:
        line = _receive_line(sock, deadline, waiting)
        step = protocol.parse_progress(line)
        if step is None:
            return line
        if on_progress is not None:
            on_progress(step)


def _receive_line(sock: socket.socket, deadline: float, waiting: bytearray) -> bytes:
    """Return what came up to the first line feed, or up to the end; what came after it is left in `waiting`."""
    searched = 0
    while (end := waiting.find(b"\n", searched)) < 0:
        searched = len(waiting)
        if searched > protocol.MAX_REPLY_BYTES:
            raise ControlError(f"the reply is longer than {protocol.MAX_REPLY_BYTES} bytes")
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        sock.settimeout(left_s)
        data = sock.recv(READ_BYTES)
        if not data:
            end = len(waiting) - 1
            break
        waiting += data
    line = bytes(waiting[: end + 1])
    del waiting[: end + 1]
    return line
