"""The check of type file: something is there at the path.

It is looked for every interval: that takes some microseconds, and unlike inotify it sees also what appears on a
network file system, by a mount, or in a directory that was not there before.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hafailover.checks.result import Verdict, failed, late, unable

if TYPE_CHECKING:
    from pathlib import Path


class FileProbe:
    """Looks for `path`, through symbolic links. A dead file system costs one thread, not one for each run."""

    __slots__ = ("_look", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._look: asyncio.Future[Verdict] | None = None

    async def run(self, timeout_s: float) -> Verdict:
        """Look once."""
        if self._look is None or self._look.done():
            self._look = asyncio.get_running_loop().run_in_executor(None, _look, self._path)
        await asyncio.wait((self._look,), timeout=timeout_s)
        return self._look.result() if self._look.done() else late(timeout_s)


def _look(path: Path) -> Verdict:
    try:
        path.stat()
    except FileNotFoundError:
        return failed("there is no such file")
    except NotADirectoryError:
        return failed("there is no such directory")
    except OSError as error:
        return unable(error.strerror or str(error))
    return Verdict(passed=True, detail="is there")
