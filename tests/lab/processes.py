"""Processes of the lab: started inside a host, ended by their own process id, never outliving the lab."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from queue import Empty, Queue
from typing import IO, TYPE_CHECKING

from tests.lab.fabric import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).resolve().parents[2]
END_S = 5.0
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}  # no proxies, no keys of whoever runs the lab

# Each host has its own /run and /var/lib: every program then runs with the paths that it has in production.
_OWN_DIRECTORIES = 'mount --bind "$1/run" /run && mount --rbind "$1/lib" /var/lib && shift && exec "$@"'


def inside(namespace: str, argv: Sequence[str], directory: Path | None = None) -> list[str]:
    """Return the command that runs `argv` in a namespace, with `directory` behind /run and /var/lib.

    The process keeps its id through all of it, and the kernel kills it when the lab's own process ends.
    """
    enter = ["setpriv", "--pdeathsig", "KILL", "--", "nsenter", f"--net=/run/netns/{namespace}", "--"]
    if directory is None:
        return [*enter, *argv]
    own = ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", _OWN_DIRECTORIES, "sh"]
    return [*enter, *own, str(directory), *argv]


def module(name: str, *arguments: object) -> list[str]:
    """Return the command that runs one of the lab's own modules with this interpreter."""
    return [sys.executable, "-m", name, *(str(argument) for argument in arguments)]


def wait_for(what: str, found: Callable[[], bool], timeout_s: float = 5.0, pause_s: float = 0.02) -> float:
    """Wait until `found()` is true and return the seconds that it took. Raises `LabError` after `timeout_s`."""
    start = time.monotonic()
    while not found():
        if time.monotonic() - start > timeout_s:
            raise LabError(f"not within {timeout_s:g} s: {what}")
        time.sleep(pause_s)
    return time.monotonic() - start


class Process:
    """One process. Its standard error goes to `log`; its standard output too, or it is read by line (`talks`)."""

    def __init__(
        self, argv: Sequence[str], log: Path, environment: dict[str, str] | None = None, *, talks: bool = False
    ) -> None:
        self.log = log
        self._log: IO[bytes] = log.open("ab")
        self.popen = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if talks else self._log,
            stderr=self._log,
            cwd=ROOT,
            env={**ENVIRONMENT, **(environment or {})},
            start_new_session=True,
        )
        self._lines: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        output = self.popen.stdout
        if output is None:
            return
        for line in output:
            self._lines.put(line.decode(errors="replace").rstrip("\n"))

    @property
    def pid(self) -> int:
        """The process id."""
        return self.popen.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.popen.poll() is None

    def line(self, timeout_s: float = 10.0) -> str:
        """Return the next line of its standard output. Raises `LabError` when none comes in time."""
        try:
            return self._lines.get(timeout=timeout_s)
        except Empty:
            tail = self.log.read_text(errors="replace")[-1500:]
            raise LabError(f"no line from {self.popen.args!r} in {timeout_s:g} s:\n{tail}") from None

    def write(self, text: str) -> None:
        """Write to its standard input."""
        pipe = self.popen.stdin
        if pipe is not None:
            pipe.write(text.encode())
            pipe.flush()

    def close_input(self) -> None:
        """End its standard input."""
        if self.popen.stdin is not None:
            self.popen.stdin.close()

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to this process and to what it has started, where that has not left its group."""
        if self.running:
            os.killpg(self.pid, number)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this process alone."""
        if self.running:
            self.popen.send_signal(number)

    def wait(self, timeout_s: float = END_S) -> int:
        """Wait for its end and return the exit code (negative: the signal). Raises `LabError` when it goes on."""
        try:
            return self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise LabError(f"process {self.pid} still runs after {timeout_s:g} s") from None

    def kill(self) -> None:
        """End it at once, together with what it has started, and close its pipes."""
        if self.running:
            self.popen.send_signal(signal.SIGCONT)
            self._kill_session()
        self.popen.wait(END_S)
        self._reader.join(END_S)
        for pipe in (self.popen.stdin, self.popen.stdout, self._log):
            if pipe is not None:
                pipe.close()

    def _kill_session(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)  # it leads a group of its own
        except ProcessLookupError:
            self.popen.kill()
