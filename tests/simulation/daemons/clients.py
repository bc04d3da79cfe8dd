"""People and programs at the daemons' doors: commands and scrapes, by all kinds of clients."""

from __future__ import annotations

import asyncio
import json
import random
from typing import TYPE_CHECKING, Any

from hafailover.election import events as ev
from tests.simulation.daemons.streams import End, dial
from tests.simulation.options import GROUP
from tests.simulation.universe import Broken

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from hafailover.election.events import Event
    from tests.simulation.daemons.town import Town

PATIENCE_S = 20.0
RETRY_S = 0.5
SCRAPE = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Clients:
    """All clients of a life; each is a task of the world."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self._rng = random.Random(f"{town.options.seed}:clients")  # noqa: S311 - to be repeated, not secret
        self.answers: list[dict[str, Any]] = []

    def ask(self, name: str, event: Event) -> None:
        """Send the command that makes the daemon of a host post such an event."""
        self._begin(self._command(name, request_of(event)))

    def pester(self, name: str, manner: str) -> None:
        """Be a client of some manner at the control socket or the page."""
        manners = {"status": self._status, "scrape": self._scrape, "slow": self._slow, "deaf": self._deaf}
        self._begin(manners.get(manner, self._dead)(name))

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        context = self._town.loop._context.copy()
        self._town.loop.create_task(self._mind(work), context=context)

    async def _mind(self, work: Coroutine[object, object, None]) -> None:
        try:
            async with asyncio.timeout(120):
                await work
        except (OSError, EOFError):
            self._town.counts["clients turned away"] += 1
        except Broken as broken:
            self._town.loop.fail(broken)

    async def _dial(self, name: str, where: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, End]:
        return await dial(self._town.loop, self._town.hosts[name].process or Absent, where)

    async def _command(self, name: str, request: dict[str, Any]) -> None:
        """Ask until somebody answers, as an operator would."""
        until = self._town.now + 1000 * PATIENCE_S
        while self._town.now < until:
            try:
                reply = await self._exchange(name, request)
            except (OSError, EOFError):
                await asyncio.sleep(RETRY_S)
                continue
            self.answers.append(reply)
            self._town.trace.note(self._town.now, f"{name} answers {request['command']}: {reply.get('ok')}")
            return

    async def _exchange(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        reader, writer, _ = await self._dial(name, "control")
        try:
            writer.write(json.dumps(request).encode() + b"\n")
            line = await reader.readline()
        finally:
            writer.close()
        if not line:
            raise EOFError("no answer")
        reply: dict[str, Any] = json.loads(line)
        self._judge(name, request, reply)
        return reply

    def _judge(self, name: str, request: dict[str, Any], reply: dict[str, Any]) -> None:
        if not isinstance(reply.get("ok"), bool) or "internal" in str(reply.get("error", "")):
            raise Broken("sane-answers", f"{name} answers {request} with {reply}")

    async def _status(self, name: str) -> None:
        reply = await self._exchange(name, {"command": "status"})
        if reply["ok"] and reply["node"] != name:
            raise Broken("sane-answers", f"{name} says that it is {reply['node']}")

    async def _scrape(self, name: str) -> None:
        reader, writer, _ = await self._dial(name, "web")
        writer.write(SCRAPE)
        text = await reader.read(-1)
        writer.close()
        if text and (b" 200 " not in text[:16] or b"hafailover_" not in text):
            raise Broken("sane-answers", f"{name} shows {text[:200]!r}")

    async def _slow(self, name: str) -> None:
        """Send a request byte by byte, too slowly."""
        _, writer, _ = await self._dial(name, "control")
        for byte in b'{"command": "status"}\n':
            writer.write(bytes((byte,)))
            await asyncio.sleep(self._rng.choice((0.01, 0.6)))
        writer.close()

    async def _deaf(self, name: str) -> None:
        """Ask for much and read nothing of it."""
        _, writer, end = await self._dial(name, "control")
        end.refusing = True
        for _ in range(20):
            writer.write(b'{"command": "status"}\n{"command": "history"}\n')
            await asyncio.sleep(0.01)
        await asyncio.sleep(20)
        end.abort()

    async def _dead(self, name: str) -> None:
        """Connect, say half a word, and be gone without closing."""
        _, writer, end = await self._dial(name, "control")
        writer.write(b'{"comm')
        await asyncio.sleep(self._rng.choice((0.0, 1.0, 100.0)))
        end.abort()


class Absent:
    """Where no daemon runs."""

    dead = True
    doors: dict[str, Any] = {}  # noqa: RUF012 - always empty


def request_of(event: Event) -> dict[str, Any]:
    """Return the control request that leads to an event."""
    if isinstance(event, ev.FailoverAsked):
        target = {} if event.target is None else {"to": str(event.target)}
        return {"command": "failover", "group": str(GROUP), **target, "wait": bool(event.target)}
    if isinstance(event, ev.PauseAsked):
        for_s = None if event.for_ms is None else event.for_ms // 1000
        return {"command": "pause", "group": str(GROUP), "for_s": for_s}
    if isinstance(event, ev.ResumeAsked):
        return {"command": "resume", "group": str(GROUP)}
    assert isinstance(event, ev.DrainAsked)
    return {"command": "drain" if event.drained else "undrain"}
