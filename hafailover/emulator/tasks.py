"""The asynchronous tasks of accepted writes: what runs, what that occupies, what is due next."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from hafailover.emulator.values import ApiError, TaskStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hafailover.emulator.network import Network
    from hafailover.emulator.writing import Write

MAX_TASKS = 4096  # remembered, whether they run or have ended


@dataclass(slots=True, eq=False)
class Task:
    """An accepted write; `due_ms` None while it is stuck, `locks` what it occupies until it ends."""

    id: str
    action: str
    caller: str
    write: Write
    locks: tuple[str, ...]
    accepted_ms: int
    due_ms: int | None
    fails: bool = False
    status: TaskStatus = TaskStatus.RUNNING
    error: str = ""

    def end(self, network: Network) -> Network:
        """Return the network after the task, which is SUCCESS or FAILED from here on."""
        try:
            after = self._effect(network)
        except ApiError as error:
            self.status, self.error = TaskStatus.FAILED, error.code
            return self.write.cancel(network)
        self.status = TaskStatus.SUCCESS
        return after

    def _effect(self, network: Network) -> Network:
        if self.fails:
            raise ApiError("FailedOperation", "The task was made to fail.")
        return self.write.finish(network)


class TaskBook:
    """All tasks; those due at the same time end in the order in which they were scheduled."""

    def __init__(self) -> None:
        self._all: OrderedDict[str, Task] = OrderedDict()
        self._due: list[tuple[int, int, Task]] = []
        self._locked: dict[str, Task] = {}
        self._serial = 0

    def __iter__(self) -> Iterator[Task]:
        """Go through all tasks that are remembered."""
        return iter(self._all.values())

    def get(self, task_id: str) -> Task | None:
        """Return a task by its id, running or ended."""
        return self._all.get(task_id)

    def occupied(self, names: Iterable[str]) -> str | None:
        """Return the first of the names that a running task occupies."""
        return next((name for name in names if name in self._locked), None)

    def start(self, task: Task) -> None:
        """Take up a task whose locks are free."""
        self._all[task.id] = task
        if len(self._all) > MAX_TASKS:
            self._all.popitem(last=False)
        self._locked.update(dict.fromkeys(task.locks, task))
        self._schedule(task)

    def _schedule(self, task: Task) -> None:
        if task.due_ms is not None:
            self._serial += 1
            heappush(self._due, (task.due_ms, self._serial, task))

    def next_due(self) -> int | None:
        """Return when the next task ends, None where none will."""
        return self._due[0][0] if self._due else None

    def pop_due(self, now: int) -> tuple[int, Task] | None:
        """Return the next task that is due by `now` and since when; it occupies nothing any more."""
        if not self._due or self._due[0][0] > now:
            return None
        due, _, task = heappop(self._due)
        for name in task.locks:
            del self._locked[name]
        return due, task

    def release_stuck(self, now: int) -> int:
        """Make every stuck task due at `now`; return how many there were."""
        stuck = [task for task in dict.fromkeys(self._locked.values()) if task.due_ms is None]
        for task in stuck:
            task.due_ms = now
            self._schedule(task)
        return len(stuck)
