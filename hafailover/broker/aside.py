"""A thread for what may hang, for which nobody waits: not the loop, and not the end of the process.

The loop's own threads are few, and the process ends only when they have ended. A resolver or a peer that does not
answer would hold up a restart by seconds, and peers wait for a restart only for so long.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")


class Aside:
    """Runs one thing at a time; what is given up goes on by itself, and nothing else begins before it has ended."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._busy = False

    async def run(self, work: Callable[[], Result], deadline_s: float) -> Result:
        """Return what the work returns, or raise what it raises. TimeoutError: not in time, or not even begun."""
        if self._busy:
            raise TimeoutError
        self._busy = True
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Result] = loop.create_future()

        def run() -> None:
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
                tell: Callable[[], None] = partial(_fail, ended, error)
            else:
                tell = partial(_succeed, ended, result)
            self._busy = False
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(tell)

        Thread(target=run, name=self._name, daemon=True).start()
        async with asyncio.timeout(deadline_s):
            return await ended


def _succeed(ended: asyncio.Future[Result], result: Result) -> None:
    if not ended.done():
        ended.set_result(result)


def _fail(ended: asyncio.Future[Result], error: Exception) -> None:
    if not ended.done():
        ended.set_exception(error)
