"""An asyncio event loop on virtual time for many processes, of which a seed decides everything that may differ.

No socket, no thread, no clock: whatever would reach outside raises NotImplementedError. Each slot (asyncio's
handle) belongs to the process in whose context it was made, or to the world. Within a process slots run first in,
first out, as asyncio promises. What is left open in reality is drawn, with `noise`: which process runs next, the
order of what falls due at one instant, and when the kernel takes the processor away from a process for a moment.
Time goes on only when nothing can run; when nothing will ever run again, that is a deadlock and not a hang.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import deque
from contextvars import Context, ContextVar, copy_context
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_AT_ONCE = 200_000  # slots at one instant: beyond, two tasks wake each other for ever
PREEMPTED_SHARES = (0.0, 0.004, 0.03)  # of all turns of the loop; one of them for a whole life
PREEMPTED_US = (50, 500, 5_000, 20_000)


class LoopError(AssertionError):
    """The loop's own finding: a deadlock, a livelock, or an exception that nobody has taken."""


class Owner:
    """A process as the loop sees it: its queue, and whether it runs. `offset_us`: its clock minus the loop's."""

    def __init__(self, place: int = 0, offset_us: int = 0) -> None:
        self.place = place
        self.offset_us = offset_us
        self.stopped = False
        self.dead = False
        self.queue: deque[Slot] = deque()
        self.readable: list[Slot] = []  # what became so while it was stopped
        self.overdue: list[Slot] = []
        self.signals: dict[int, tuple[Callable[..., object], tuple[Any, ...]]] = {}
        self.tasks: list[asyncio.Task[Any]] = []


OWNER: ContextVar[Owner | None] = ContextVar("owner", default=None)


def _owner_of(context: Context) -> Owner | None:
    return context.get(OWNER, None)


class Slot:
    """One call to come."""

    __slots__ = ("args", "callback", "context", "local_us", "owner", "readiness")

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: Context,
        owner: Owner,
        local_us: int = -1,
    ) -> None:
        self.callback: Callable[..., object] | None = callback
        self.args = args
        self.context = context
        self.owner = owner
        self.local_us = local_us  # on the owner's clock; -1: no timer
        self.readiness = False

    def cancel(self) -> None:
        """Never make the call."""
        self.callback, self.args = None, ()

    def cancelled(self) -> bool:
        """Whether it will not be made."""
        return self.callback is None

    def when(self) -> float:
        """Return the instant in seconds on the owner's clock."""
        return self.local_us / 1e6


class _Job(asyncio.Future[Any]):
    """What is done in a pool for an owner."""

    def __init__(self, owner: Owner, loop: Loop) -> None:
        super().__init__(loop=loop)
        self.owner = owner


class Loop(asyncio.AbstractEventLoop):
    """See the module. `outside` says when something outside asyncio is next due, in us, and lets it happen."""

    def __init__(self, seed: object, *, noise: bool) -> None:
        self.now_us = 0
        self.world = Owner()
        self.steps = 0
        self.noise = noise
        self.failure: BaseException | None = None
        self.next_outside: Callable[[], int | None] = lambda: None
        self.let_outside: Callable[[int], None] = lambda _now_us: None
        self.job_us: Callable[[Owner, Callable[..., object]], int] = lambda _owner, _job: 0
        self._context = copy_context()
        self._rng = random.Random(f"{seed}:sched")  # noqa: S311 - to be repeated, not secret
        self._preempted_share = self._rng.choice(PREEMPTED_SHARES) if noise else 0.0
        self._runnable: list[Owner] = []
        self._timers: list[tuple[int, int, Slot]] = []
        self._serial = 0
        self._lanes: dict[int, int] = {}
        self._decisions = bytearray()
        self._digest = sha256()

    # -- time and calls ------------------------------------------------------------------------------------------

    def time(self) -> float:
        """Return the clock of whoever asks, in seconds."""
        return self.local_us() / 1e6

    def local_us(self) -> int:
        """Return the clock of whoever asks, in us."""
        owner = OWNER.get()
        return self.now_us if owner is None else self.now_us + owner.offset_us

    def _slot(self, callback: Any, args: tuple[Any, ...], context: Context | None, local_us: int = -1) -> Slot:
        if context is None:
            context = copy_context()
        return Slot(callback, args, context, _owner_of(context) or self.world, local_us)

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> Slot:  # type: ignore[override]
        """Queue a call."""
        slot = self._slot(callback, args, context)
        self._enqueue(slot)
        return slot

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(self, delay: float, callback: Any, *args: Any, context: Context | None = None) -> Slot:  # type: ignore[override]
        """Make a call in some seconds."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> Slot:  # type: ignore[override]
        """Make a call at an instant of the caller's clock."""
        slot = self._slot(callback, args, context, round(when * 1e6))
        self._arm(slot)
        return slot

    def world_at(self, at_us: int, callback: Callable[..., object], *args: object) -> Slot:
        """Let something happen in the world."""
        slot = Slot(callback, args, self._context, self.world, at_us)
        self._arm(slot)
        return slot

    def _arm(self, slot: Slot) -> None:
        self._serial += 1
        due_us = max(self.now_us, slot.local_us - slot.owner.offset_us)
        heapq.heappush(self._timers, (due_us, self._serial, slot))

    def _enqueue(self, slot: Slot) -> None:
        owner = slot.owner
        if owner.dead:
            return
        if owner.stopped and slot.readiness:
            owner.readable.append(slot)
            return
        owner.queue.append(slot)
        if len(owner.queue) == 1 and not owner.stopped:
            self._runnable.append(owner)

    # -- processes -----------------------------------------------------------------------------------------------

    def stop_owner(self, owner: Owner) -> None:
        """Let a process run no further; what comes meanwhile waits for it."""
        owner.stopped = True
        if owner in self._runnable:
            self._runnable.remove(owner)

    def resume_owner(self, owner: Owner) -> None:
        """Let it run again: what it was at, then its sockets, then its timers, as asyncio does."""
        if owner.dead or not owner.stopped:
            return
        owner.stopped = False
        owner.queue.extend(owner.readable)
        owner.readable.clear()
        overdue, owner.overdue = owner.overdue, []
        for slot in overdue:
            if slot.local_us - owner.offset_us > self.now_us:
                self._arm(slot)  # its clock stood still meanwhile
            else:
                owner.queue.append(slot)
        if owner.queue:
            self._runnable.append(owner)

    def kill_owner(self, owner: Owner) -> None:
        """Let a process never run again."""
        self.stop_owner(owner)
        owner.dead = True
        owner.queue.clear()
        owner.overdue.clear()
        owner.signals.clear()

    def _preempt(self, owner: Owner) -> None:
        us = self._rng.choice(PREEMPTED_US)
        self._decisions += us.to_bytes(2, "big")
        self.stop_owner(owner)
        self.world_at(self.now_us + us, self._end_preemption, owner)

    def _end_preemption(self, owner: Owner) -> None:
        if owner.stopped and not getattr(owner, "frozen", False):
            self.resume_owner(owner)

    # -- running -------------------------------------------------------------------------------------------------

    def run_until(self, end_us: int, *, forever: bool = True) -> None:
        """Let everything happen up to and including an instant. Raises what `fail` was given, or LoopError.

        `forever`: that nothing will ever run again before that instant is a deadlock.
        """
        asyncio._set_running_loop(self)
        try:
            while self._runnable or self._advance(end_us, forever=forever):
                self._drain()
        finally:
            asyncio._set_running_loop(None)
        self.now_us = end_us

    def _drain(self) -> None:
        runnable, rng, share = self._runnable, self._rng, self._preempted_share
        count = 0
        while runnable:
            place = 0
            if len(runnable) > 1 and self.noise:
                place = int(rng.random() * len(runnable))
                self._decisions.append(runnable[place].place & 255)
            owner = runnable[place]
            if share and owner is not self.world and rng.random() < share:
                self._preempt(owner)
                continue
            slot = owner.queue.popleft()
            if not owner.queue:
                del runnable[place]
            self._run(slot)
            count += 1
            if count > MOST_AT_ONCE:
                raise LoopError(f"livelock: {count} calls at {self.now_us} us, the last {slot.callback}")
        self.steps += count
        if len(self._decisions) > 4096:
            self._fold()

    def _run(self, slot: Slot) -> None:
        callback = slot.callback
        if callback is None:
            return
        try:
            slot.context.run(callback, *slot.args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - as asyncio does
            self.call_exception_handler({"message": f"in {callback}", "exception": error})
        if self.failure is not None:
            raise self.failure

    def _advance(self, end_us: int, *, forever: bool) -> bool:
        """Go to the next instant at which something is due; False where that is after the end."""
        timers = self._timers
        while timers and timers[0][2].callback is None:
            heapq.heappop(timers)
        outside = self.next_outside()
        due_us = timers[0][0] if timers else outside
        if due_us is None:
            if forever:
                raise LoopError(f"deadlock: nothing will ever run again after {self.now_us} us")
            return False
        if outside is not None and outside < due_us:
            due_us = outside
        if due_us > end_us:
            return False
        self.now_us = max(self.now_us, due_us)
        if outside is not None and outside <= self.now_us:
            self.let_outside(self.now_us)
        self._wake()
        return True

    def _wake(self) -> None:
        timers, due = self._timers, []
        while timers and timers[0][0] <= self.now_us:
            slot = heapq.heappop(timers)[2]
            if slot.callback is not None:
                due.append(slot)
        if len(due) > 1 and self.noise:
            self._rng.shuffle(due)
        for slot in due:
            owner = slot.owner
            if owner.dead:
                continue
            if owner.stopped:
                owner.overdue.append(slot)
            elif slot.local_us - owner.offset_us > self.now_us:
                self._arm(slot)
            else:
                self._enqueue(slot)

    def _fold(self) -> None:
        self._digest.update(self._decisions)
        self._decisions.clear()

    @property
    def digest(self) -> str:
        """The digest of all decisions so far."""
        self._fold()
        return self._digest.hexdigest()

    # -- what asyncio asks of a loop -----------------------------------------------------------------------------

    def get_debug(self) -> bool:
        """Return whether slow calls are to be told: never."""
        return False

    def is_running(self) -> bool:
        """Return whether it runs."""
        return True

    def is_closed(self) -> bool:
        """Return whether it is over: never."""
        return False

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future."""
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Any, *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        """Start a task; its process remembers it."""
        context = copy_context() if context is None else context
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name or "task", context=context)
        owner = _owner_of(context) or self.world
        owner.tasks.append(task)
        if len(owner.tasks) > 256:
            owner.tasks = [each for each in owner.tasks if not each.done()]
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Take note of what nobody else has taken: it ends the simulation, unless who would take it is dead."""
        job = context.get("future")
        if isinstance(job, _Job) and job.owner.dead:
            return
        self.fail(LoopError(f"{context.get('message')}: {context.get('exception')!r}"))

    def fail(self, failure: BaseException) -> None:
        """End the simulation with this, unless something was found before."""
        if self.failure is None:
            self.failure = failure

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Do a job of the caller's process after as long as it takes; a pool of one does one at a time."""
        owner = OWNER.get() or self.world
        future = _Job(owner, self)
        took_us, begin_us = self.job_us(owner, func), self.local_us()
        if getattr(executor, "_max_workers", 0) == 1:
            begin_us = max(begin_us, self._lanes.get(id(executor), 0))
            self._lanes[id(executor)] = begin_us + took_us
        self.call_at(begin_us / 1e6, self._begin_job, future, func, args, took_us)
        return future

    def _begin_job(self, future: asyncio.Future[Any], func: Any, args: tuple[Any, ...], took_us: int) -> None:
        if not future.cancelled():
            self.call_later(took_us / 1e6, self._end_job, future, func, args)

    def _end_job(self, future: asyncio.Future[Any], func: Any, args: tuple[Any, ...]) -> None:
        try:
            result = func(*args)
        except Exception as error:  # noqa: BLE001 - it is the caller's
            self.call_soon(self._finish, future, None, error)
        else:
            self.call_soon(self._finish, future, result, None)

    @staticmethod
    def _finish(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def add_reader(self, fd: Any, callback: Callable[..., Any], *args: Any) -> None:  # type: ignore[override]
        """Call whenever a simulated socket has something; it has a `watch`."""
        fd.watch(self._slot(callback, args, None), self._enqueue)

    def remove_reader(self, fd: Any) -> bool:
        """Call no more."""
        return bool(fd.unwatch())

    def add_signal_handler(self, sig: int, callback: Any, *args: Any) -> None:  # type: ignore[override]
        """Call when the process gets this signal."""
        owner = OWNER.get() or self.world
        owner.signals[sig] = (callback, args)


def let_go(tasks: list[asyncio.Task[Any]]) -> None:
    """Take apart the tasks of dead processes without a word; they must not run on while they are collected."""
    asyncio.set_event_loop(None)  # else asyncio makes a real one where a `finally` wants one, and nobody closes it
    for task in tasks:
        taken: Any = task
        taken._log_destroy_pending = False
        for _ in range(50):
            try:
                taken.get_coro().close()
            except BaseException:  # noqa: BLE001, S112 - a `finally` that awaits, or wants a running loop
                continue
            break
