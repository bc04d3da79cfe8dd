"""The check of type process: there is a process of this name, or the one whose id the pidfile has.

Its death is told by the kernel at once, on a pidfd. Its start is looked for every interval and not by the kernel's
process connector: that one tells of each exec on the machine, only to CAP_NET_ADMIN and only in the first network
namespace, and would save no outage, for a service that comes back has to pass `rise` times anyway.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
from typing import TYPE_CHECKING, NamedTuple

from hafailover.checks.result import Verdict, failed, late, unable

if TYPE_CHECKING:
    from pathlib import Path

_COMM_CHARS = 15  # TASK_COMM_LEN of the kernel, less the NUL: what it keeps of a longer name
_MOST_BYTES = 4096
_GONE = (errno.ENOENT, errno.ESRCH)


class _Task(NamedTuple):
    """A process as /proc/PID/stat has it (proc(5))."""

    name: str
    state: str


class ProcessProbe:
    """Looks for the process called `name`, as `pgrep -x` does, or by its first argument where the name is longer.

    With `pidfile` the name does not matter. A zombie is dead. One process at a time is watched: while that lives
    the check passes, and when it dies another one is looked for.
    """

    __slots__ = ("_look", "_name", "_pid", "_pidfd", "_pidfile")

    def __init__(self, name: str, pidfile: Path | None) -> None:
        self._name = name
        self._pidfile = pidfile
        self._pid = 0
        self._pidfd = -1
        self._look: asyncio.Future[int] | None = None

    async def run(self, timeout_s: float) -> Verdict:
        """Look once; as long as the same process is there this takes no search."""
        if self._is_the_one():
            return Verdict(passed=True, detail=f"process {self._pid} runs")
        self._unwatch()
        if self._look is None or self._look.done():
            self._look = asyncio.get_running_loop().run_in_executor(None, self._find)
        await asyncio.wait((self._look,), timeout=timeout_s)
        if not self._look.done():
            return late(timeout_s)
        return self._found(self._look)

    async def changed(self) -> None:
        """Wait until the process that the last run found has died; for ever where it found none."""
        if self._pidfd < 0:
            await asyncio.Event().wait()
        loop, died = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._pidfd, died.set)
        try:
            await died.wait()
        finally:
            loop.remove_reader(self._pidfd)

    async def close(self) -> None:
        """Watch nothing."""
        self._unwatch()

    def _found(self, look: asyncio.Future[int]) -> Verdict:
        try:
            pid = look.result()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            return unable(f"cannot look at {self._pidfile or '/proc'}: {why}")
        if not pid or not self._watch(pid):
            return failed(self._missing())
        return Verdict(passed=True, detail=f"process {pid} runs")

    def _missing(self) -> str:
        return f'no process is called "{self._name}"' if self._pidfile is None else f"no process of {self._pidfile}"

    # -- watching ----------------------------------------------------------------------------------------------

    def _watch(self, pid: int) -> bool:
        """Watch a process; False where it has gone meanwhile. One that cannot be is looked for each time."""
        try:
            self._pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return False
        except OSError:  # before Linux 5.3, or no descriptor is left
            return True
        self._pid = pid
        if self._is_the_one():  # and not another that has got the number since it was found
            return True
        self._unwatch()
        return False

    def _unwatch(self) -> None:
        if self._pidfd >= 0:
            os.close(self._pidfd)
        self._pid, self._pidfd = 0, -1

    def _is_the_one(self) -> bool:
        """Whether a process is watched that lives and is still what is looked for."""
        if self._pidfd < 0:
            return False
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return not poll.poll(0) and (self._pidfile is not None or self._matches(self._pid))

    # -- finding, in a thread ----------------------------------------------------------------------------------

    def _find(self) -> int:
        """Return the id of a process, 0 where there is none. Raises OSError or ValueError for a bad pidfile."""
        if self._pidfile is not None:
            pid = _read_pidfile(self._pidfile)
            return pid if _alive(_task(pid)) else 0
        numbers = sorted(int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit())
        return next((pid for pid in numbers if self._matches(pid)), 0)

    def _matches(self, pid: int) -> bool:
        task = _task(pid)
        if task is None or not _alive(task) or task.name != self._name[:_COMM_CHARS]:
            return False
        return len(self._name) <= _COMM_CHARS or _program(pid) == self._name


def _alive(task: _Task | None) -> bool:
    return task is not None and task.state not in "ZX"


def _task(pid: int) -> _Task | None:
    """Return what the kernel says of a process, None where there is none."""
    text = _read(f"/proc/{pid}/stat") if pid else b""
    start, end = text.find(b"("), text.rfind(b")")
    if start < 0 or end < 0:
        return None
    return _Task(text[start + 1 : end].decode("utf-8", "replace"), chr(text[end + 2]))


def _program(pid: int) -> str:
    """Return the last part of the path that a process was started as."""
    first = _read(f"/proc/{pid}/cmdline").split(b"\0")[0]
    return first.rpartition(b"/")[2].decode("utf-8", "replace")


def _read(path: str) -> bytes:
    """Return the begin of a file of /proc, empty where the process has gone."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - hundreds of them in a search
            return file.read(_MOST_BYTES) or b""
    except OSError as error:
        if error.errno in _GONE:
            return b""
        raise


def _read_pidfile(path: Path) -> int:
    """Return the id in a pidfile, 0 where there is no such file. Raises ValueError where it has none."""
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES)
    except FileNotFoundError:
        return 0
    lines = text.split()
    if not lines or not lines[0].isdigit() or len(lines[0]) > len("4194304"):  # the kernel's PID_MAX_LIMIT
        raise ValueError("there is no process id in it")
    return int(lines[0])
