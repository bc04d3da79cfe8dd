"""Runs a group's hooks: in order, one after another, each to its end, never in the way of the heartbeats.

A hook is an argument list; there is no shell. docs/hooks.md says when it is run, and in what environment.

It is killed with all that it has started when it exceeds its timeout: SIGTERM, and SIGKILL two seconds later.
What it leaves running when it ends in time goes on; such a process must write elsewhere than to the hook's
output.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hafailover.process import run_program

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_WAITING = 32
STATES = {"master": "MASTER", "backup": "BACKUP", "fault": "FAULT", "stop": "STOP"}  # keepalived's, by our hooks
_KILL_S = 3.0  # killing takes a moment; more than this it does not get at the daemon's end
DROPPED = "not run: too many hooks were waiting and a newer one took its place"


@dataclass(frozen=True, slots=True)
class HookResult:
    """How a hook ended; `exit_code` None: it was killed (`timed_out`) or not run at all (`error` says why).

    `output` is the end of what it wrote, at most 4 KiB.
    """

    hook: str
    exit_code: int | None
    timed_out: bool
    seconds: float
    output: str = ""
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether the hook ran and ended with 0."""
        return self.exit_code == 0


@dataclass(frozen=True, slots=True)
class HookContext:
    """What a hook is told of the change that it is run for; docs/hooks.md explains each."""

    group: str
    node: str
    state: str
    old_state: str
    reason: str
    term: int
    addresses: tuple[str, ...]
    enis: tuple[str, ...] = ()

    def environment(self) -> dict[str, str]:
        """Return the variables for the hook; PATH is added where it is run."""
        return {
            "HAFAILOVER_GROUP": self.group,
            "HAFAILOVER_STATE": self.state,
            "HAFAILOVER_OLD_STATE": self.old_state,
            "HAFAILOVER_REASON": self.reason,
            "HAFAILOVER_TERM": str(self.term),
            "HAFAILOVER_ADDRESSES": " ".join(self.addresses),
            "HAFAILOVER_ENIS": " ".join(self.enis),
            "HAFAILOVER_NODE": self.node,
        }


def as_keepalived(command: tuple[str, ...], hook: str, group: str, priority: int) -> tuple[str, ...]:
    """Return what the program of `notify` is run with for a change of this hook's; empty where it is not run.

    The four arguments are those of keepalived.conf(5), "notify": TYPE NAME STATE PRIORITY.
    """
    if not command or hook not in STATES:
        return ()
    return (*command, "INSTANCE", group, STATES[hook], str(priority))


async def run_hook(hook: str, argv: tuple[str, ...], env: dict[str, str], timeout_s: float) -> HookResult:
    """Run one hook to its end or its timeout. Raises nothing: a hook that cannot be run is a result too."""
    ended = await run_program(argv, env=env, timeout_s=timeout_s)
    return HookResult(hook, ended.exit_code, ended.timed_out, ended.seconds, ended.output, ended.error)


@dataclass(frozen=True, slots=True)
class _Job:
    hook: str
    argv: tuple[str, ...]
    env: dict[str, str]
    timeout_s: float
    ended: Callable[[bool], None] | None


class HookQueue:
    """The hooks of one group, run strictly one after another in the order of their submission.

    At most `MAX_WAITING` wait. One more pushes out the oldest of those that wait: what counts for the
    services that the hooks steer is the state in which the group ends. `on_result` is called for every hook
    submitted, also for one that was pushed out or cut off by `close`.
    """

    def __init__(self, on_result: Callable[[HookResult], None]) -> None:
        self._on_result = on_result
        self._waiting: deque[_Job] = deque()
        self._running: _Job | None = None
        self._worker: asyncio.Task[None] | None = None
        self._ready: asyncio.Event | None = None
        self._closed = False

    @property
    def idle(self) -> bool:
        """Whether no hook runs and none waits."""
        return self._running is None and not self._waiting

    def submit(
        self,
        hook: str,
        argv: tuple[str, ...],
        env: dict[str, str],
        timeout_s: float,
        ended: Callable[[bool], None] | None = None,
    ) -> None:
        """Queue a hook; returns at once. An empty `argv` (none configured) and a closed queue run nothing.

        `ended` is called when it does not run any more, or will not: with whether it ended well, as one does that
        is not configured.
        """
        job = _Job(hook, argv, env, timeout_s, ended)
        if not argv or self._closed:
            self._end(job, ok=not argv)
            return
        if len(self._waiting) >= MAX_WAITING:
            self._drop(DROPPED)
        self._waiting.append(job)
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work())

    def hold(self, ready: asyncio.Event) -> None:
        """Begin no other hook before this is set; a later one takes its place."""
        self._ready = ready

    async def drain(self, timeout_s: float) -> bool:
        """Wait until all that were submitted have ended; False where that takes longer than `timeout_s`."""
        if self._worker is not None:
            await asyncio.wait((self._worker,), timeout=timeout_s)
        return self.idle

    async def close(self, timeout_s: float) -> None:
        """Let the hooks end for `timeout_s`, then kill the one that runs and drop those that wait."""
        self._closed = True
        await self.drain(timeout_s)
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait((self._worker,), timeout=_KILL_S)
        if self._running is not None:
            self._report(self._running, _not_run(self._running, "killed: the daemon had to end"))
            self._running = None
        while self._waiting:
            self._drop("not run: the daemon had to end")

    async def _work(self) -> None:
        while self._waiting:
            if self._ready is not None:
                await self._ready.wait()
            job = self._running = self._waiting.popleft()
            result = await run_hook(job.hook, job.argv, job.env, job.timeout_s)
            self._running = None
            self._report(job, result)
        self._worker = None

    def _drop(self, error: str) -> None:
        job = self._waiting.popleft()
        self._report(job, _not_run(job, error))

    def _report(self, job: _Job, result: HookResult) -> None:
        """Call back from the loop, so that what the callback raises cannot stop the queue."""
        asyncio.get_running_loop().call_soon(self._on_result, result)
        self._end(job, ok=result.ok)

    @staticmethod
    def _end(job: _Job, *, ok: bool) -> None:
        if job.ended is not None:
            asyncio.get_running_loop().call_soon(job.ended, ok)


def _not_run(job: _Job, error: str) -> HookResult:
    return HookResult(job.hook, None, timed_out=False, seconds=0.0, error=error)
