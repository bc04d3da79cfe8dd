"""The addresses of a name, without the loop's own threads: a resolver that hangs must hold up nothing else.

The loop has few threads and waits for them at the end of the process. So a lookup has a thread of its own that
nobody waits for, and there is never more than one.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from threading import Thread
from typing import Final

DEADLINE_S: Final = 3.0


class Resolver:
    """Looks up one name after the other."""

    def __init__(self) -> None:
        self._thread: Thread | None = None

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses, of which there may be none. Raises TimeoutError after 3 s, OSError without any."""
        if self._thread is not None and self._thread.is_alive():
            raise TimeoutError
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[str]] = loop.create_future()

        def look_up() -> None:
            try:
                infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                answer: list[str] | OSError = list(dict.fromkeys(str(info[4][0]) for info in infos))
            except (OSError, UnicodeError) as error:
                answer = error if isinstance(error, OSError) else OSError(str(error))
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(_settle, found, answer)

        self._thread = Thread(target=look_up, name="mqtt-dns", daemon=True)
        self._thread.start()
        async with asyncio.timeout(DEADLINE_S):
            return await found


def _settle(found: asyncio.Future[list[str]], answer: list[str] | OSError) -> None:
    if found.done():
        return
    if isinstance(answer, OSError):
        found.set_exception(answer)
    else:
        found.set_result(answer)
