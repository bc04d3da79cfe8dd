"""The check of type tcp: the service accepts a new connection in time. Nothing is sent."""

from __future__ import annotations

import asyncio

from hafailover.checks.connect import connect
from hafailover.checks.result import Verdict, failed, late


class TcpProbe:
    """Connects to `host` and `port` and hangs up."""

    __slots__ = ("_host", "_port")

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    async def run(self, timeout_s: float) -> Verdict:
        """Connect once."""
        try:
            async with asyncio.timeout(timeout_s):
                sock = await connect(self._host, self._port)
        except TimeoutError:
            return late(timeout_s)
        except OSError as error:
            return failed(error.strerror or str(error))
        sock.close()
        return Verdict(passed=True, detail="connected")
