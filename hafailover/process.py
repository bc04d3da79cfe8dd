"""Runs a program of the operator's, a hook or a check, with bounds on its time, output and what it leaves.

A program gets no shell, no terminal, no input, none of the daemon's environment (which may hold credentials)
and a session of its own, so that it can be killed together with all that it has started. Only a process that
has moved itself to another session (a daemon) gets away, as with any supervisor without control groups.

asyncio's own subprocesses are not used: up to Python 3.11 they cost a thread per process, their `wait`
depends (by version) on whether a child keeps the output open, and they reap before anyone can signal. Here
the exit is seen on a pidfd (Linux 5.3; polled before that) and the leader is reaped last: until then its
process id, which is also that of its group and session, cannot be given to anyone else, and signalling it is
safe.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import subprocess
from dataclasses import dataclass
from functools import partial

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OUTPUT_BYTES = 4096
GRACE_S = 2.0

_READ_BYTES = 16 * 1024
_READ_PAUSE_S = 0.01  # after a full read: a program that floods is slowed down to 1.6 MB/s
_DEATH_S = 1.0  # how long a killed process may take to die before it is left to itself
_POLL_S = 0.02
_SWEEPS = 3  # a process may fork while its session is being killed

_PIPE_BYTES = 64 * 1024  # what a pipe holds by default, pipe(7)

_undead: dict[int, Program] = {}  # killed, but still hanging in the kernel
_unseen: set[str] = set()  # programs whose file system does not answer


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: exactly one of `exit_code`, `timed_out` and `error` says so.

    `exit_code` is negative where a signal ended the program, as in `subprocess`. `output` is the end of what
    it wrote to stdout and stderr, at most `OUTPUT_BYTES`, control characters replaced. `pid` is 0 where there
    was no process.
    """

    exit_code: int | None
    timed_out: bool
    seconds: float
    output: str = ""
    error: str = ""
    pid: int = 0


async def run_program(
    argv: tuple[str, ...],
    *,
    timeout_s: float,
    env: dict[str, str] | None = None,
    grace_s: float = GRACE_S,
    sweep: bool = False,
) -> Ended:
    """Run the program to its end, or for `timeout_s`: then it is killed with all that it has started.

    A program is given `grace_s` between SIGTERM and SIGKILL; 0 means SIGKILL at once. `sweep`: what it leaves
    running in its group when it ends by itself is killed too. Cancelling kills at once. Raises nothing: what
    keeps the program from being run is in `Ended.error`.
    """
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    try:
        async with asyncio.timeout(timeout_s):
            path = await _find_without_blocking(argv[0])
        program = Program((path, *argv[1:]), {"PATH": PATH, **(env or {})})
    except TimeoutError:
        return Ended(None, timed_out=True, seconds=loop.time() - begun_s)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return Ended(None, timed_out=False, seconds=loop.time() - begun_s, error=_explain(argv[0], error))
    try:
        timed_out = await program.wait(timeout_s - (loop.time() - begun_s), grace_s)
        seconds = loop.time() - begun_s
    finally:
        await program.finish(sweep=sweep)
    exit_code = None if timed_out else program.exit_code
    return Ended(exit_code, timed_out, seconds, output=program.output(), pid=program.pid)


def is_running(pid: int) -> bool:
    """Whether a process that had to be killed still has not died (it waits for a device or a dead mount)."""
    return pid in _undead


async def _find_without_blocking(name: str) -> str:
    """Find the program in a thread; one on a dead network mount costs one stuck thread, not one per run."""
    if name in _unseen:
        raise OSError("its file system does not answer")
    search = asyncio.get_running_loop().run_in_executor(None, find_program, name)
    try:
        return await asyncio.shield(search)
    except asyncio.CancelledError:
        _unseen.add(name)
        search.add_done_callback(partial(_seen, name))
        raise


def _seen(name: str, search: asyncio.Future[str]) -> None:
    _unseen.discard(name)
    if not search.cancelled():
        search.exception()  # nobody waits for it any more, and asyncio complains of what is not looked at


def find_program(name: str) -> str:
    """Return the path of the program, sought in `PATH` where the name has no slash; it may wait for the disk.

    Raises FileNotFoundError, or PermissionError where somebody else than root and this user could change what
    would be run: they would gain the daemon's rights.
    """
    candidates = [name] if "/" in name else [f"{folder}/{name}" for folder in PATH.split(":")]
    for path in candidates:
        if os.path.isfile(path):  # noqa: PTH113 - pathlib raises where this says no
            _refuse_untrusted(path)
            return path
    raise FileNotFoundError("there is no such file")


def _refuse_untrusted(path: str) -> None:
    status = os.stat(path)  # noqa: PTH116 - called for every check: not worth a Path
    if status.st_uid not in (0, os.geteuid()):
        raise PermissionError(f"it is owned by uid {status.st_uid}; only root or uid {os.geteuid()} may own it")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        mode = stat.S_IMODE(status.st_mode)
        raise PermissionError(f"its mode is {mode:04o}; group and others must not be able to write to it")
    folder = os.path.dirname(path) or "."  # noqa: PTH120 - as above
    mode = os.stat(folder).st_mode  # noqa: PTH116 - as above
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise PermissionError(f"anyone can replace it: {folder} is writable by others")
    if not os.access(path, os.X_OK):
        raise PermissionError("it is not executable")


def _explain(name: str, error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"cannot run {name}: {text}"


class Program:
    """A started program, which must be `finish`ed. Raises OSError or ValueError where it cannot start."""

    def __init__(self, argv: tuple[str, ...], env: dict[str, str]) -> None:
        self._loop = asyncio.get_running_loop()
        self._exited = asyncio.Event()
        self._tail = bytearray()
        self._pipe, write_end = os.pipe()
        os.set_blocking(self._pipe, False)
        try:
            self._process = _spawn(argv, env, write_end)
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(write_end)
        self.pid = self._process.pid
        self._pidfd = self._open_pidfd()
        self._resume: asyncio.TimerHandle | None = None
        self._loop.add_reader(self._pipe, self._read)

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None until `finish` has seen the end."""
        return self._process.returncode

    def output(self) -> str:
        """Return the end of the output as text without control characters."""
        text = self._tail.decode("utf-8", "replace").strip()
        return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)

    async def wait(self, timeout_s: float, grace_s: float) -> bool:
        """Wait for the end; True where it did not come in time and the program was killed."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._exited.wait()
        except TimeoutError:
            await self._kill(grace_s)
            return True
        return False

    async def finish(self, *, sweep: bool) -> None:
        """Kill it if it still runs, then reap it; one that does not die is left to itself after a second."""
        if sweep or not self._exited.is_set():
            self._signal_group(signal.SIGKILL)
        try:
            async with asyncio.timeout(_DEATH_S):
                await self._exited.wait()
        except TimeoutError:
            pass  # it hangs in the kernel, where no signal reaches it
        finally:
            self._close_pipe()
            self._reap_or_bury()

    async def _kill(self, grace_s: float) -> None:
        if grace_s > 0:
            self._signal_group(signal.SIGTERM)
            await self._wait_all_gone(grace_s)
        self._signal_group(signal.SIGKILL)
        for _ in range(_SWEEPS):  # a shell's job control and timeout(1) make groups of their own
            if not await self._loop.run_in_executor(None, _kill_session, self.pid):
                break

    async def _wait_all_gone(self, grace_s: float) -> None:
        end_s = self._loop.time() + grace_s
        while self._loop.time() < end_s:
            if self._exited.is_set() and not await self._loop.run_in_executor(None, _session, self.pid):
                return
            await asyncio.sleep(_POLL_S)

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left, or of another user
            os.killpg(self.pid, number)

    def _open_pidfd(self) -> int:
        try:
            pidfd = os.pidfd_open(self.pid)
        except OSError:  # before Linux 5.3, or no descriptor is left
            self._loop.call_later(_POLL_S, self._poll)
            return -1
        self._loop.add_reader(pidfd, self._saw_exit)
        return pidfd

    def _poll(self) -> None:
        if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            self._loop.call_later(_POLL_S, self._poll)
        else:
            self._saw_exit()

    def _saw_exit(self) -> None:
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        self._exited.set()
        if _undead.pop(self.pid, None):
            self._process.poll()

    def _reap_or_bury(self) -> None:
        if self._exited.is_set():
            self._process.poll()
        else:
            _undead[self.pid] = self

    def _read(self) -> None:
        """Take one piece at most: a program that floods must not keep the loop from its work."""
        self._resume = None
        size = self._take(_READ_BYTES)
        if size == _READ_BYTES:
            self._loop.remove_reader(self._pipe)
            self._resume = self._loop.call_later(_READ_PAUSE_S, self._read_on)
        elif size == 0:
            self._loop.remove_reader(self._pipe)

    def _read_on(self) -> None:
        self._loop.add_reader(self._pipe, self._read)
        self._read()

    def _take(self, limit: int) -> int:
        """Move up to `limit` bytes from the pipe to the tail; 0 is the end, -1 that there is nothing yet."""
        try:
            data = os.read(self._pipe, limit)
        except BlockingIOError:
            return -1
        self._tail += data
        del self._tail[:-OUTPUT_BYTES]
        return len(data)

    def _close_pipe(self) -> None:
        if self._resume is not None:
            self._resume.cancel()
        self._loop.remove_reader(self._pipe)
        self._take(_PIPE_BYTES)  # what was written just before the end
        os.close(self._pipe)


def _spawn(argv: tuple[str, ...], env: dict[str, str], output: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - argv comes from the configuration, there is no shell, and it was vetted
        argv,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd="/",
        env=env,
        start_new_session=True,
    )


def _session(leader: int) -> list[int]:
    """Return the ids of the session's living processes but its leader; slow on a host with many."""
    numbers = [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()]
    return [pid for pid in numbers if pid != leader and _is_of(pid, leader) and _lives(pid)]


def _is_of(pid: int, leader: int) -> bool:
    try:
        return os.getsid(pid) == leader
    except (ProcessLookupError, PermissionError):
        return False


def _lives(pid: int) -> bool:
    """Whether it is more than a zombie, which nobody can kill (proc(5): the state follows the name)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - as in `find_program`
            return not file.read().rpartition(b") ")[2].startswith(b"Z")
    except OSError:
        return False


def _kill_session(leader: int) -> bool:
    """Kill what is left of the session; whether there was anything."""
    members = _session(leader)
    for pid in members:
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
    return bool(members)
