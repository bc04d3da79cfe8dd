"""The way from the daemons' own HTTP client to the emulator's model: what httpx would send ends here.

What befalls a request is drawn with tier 1's weights (`sky.py`). A request that has left the host goes on whatever
becomes of its sender; one that is late counts only while its date lets the API accept it.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import httpx

from hafailover.cloud.dating import MAX_AGE_S
from hafailover.emulator.actions import WRITE_ACTIONS
from hafailover.emulator.values import NORMAL, ApiError, Fate, Handling
from tests.simulation.daemons.loop import OWNER
from tests.simulation.refusals import named
from tests.simulation.sky import SLOW_TASK_MS

if TYPE_CHECKING:
    import random

    from tests.simulation.daemons.daemon import Incarnation
    from tests.simulation.daemons.town import Town
    from tests.simulation.sky import Sky

LATEST_MS = 40_000  # how much later than its sender waits a request may arrive
SENT = "http11.send_request_headers.started"  # httpcore's word for the first byte
TORN = (b"", b"<html>Bad gateway</html>", b'{"Response": {"Requ')


@dataclass(slots=True)
class Ticket:
    """One request under way."""

    process: Incarnation
    action: str
    params: dict[str, Any]
    stamp_s: int
    fault: str
    back_ms: int
    reply: asyncio.Future[httpx.Response]

    @property
    def writes(self) -> bool:
        """Whether it changes something."""
        return self.action in WRITE_ACTIONS

    @property
    def resources(self) -> list[str]:
        """The addresses, ENIs or EIPs that a write is about."""
        return named(self.params)


class Skyway(httpx.AsyncBaseTransport):
    """In the place of httpx's own transport: one for each client of each daemon."""

    def __init__(self, **_options: object) -> None:
        process: Any = OWNER.get()
        self._process: Incarnation = process
        self._town: Town = process.town

    @property
    def _sky(self) -> Sky:
        return self._town.sky

    @property
    def _rng(self) -> random.Random:
        return self._town.sky.rng

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request there and the answer back. Raises httpx.TransportError; may never return."""
        town, total_ms = self._town, self._sky.latency_ms()
        loop = town.loop
        lost = False
        if self._sky.outages[self._process.name]:
            manner = self._rng.randrange(4)
            if manner < 2:
                await asyncio.sleep(total_ms / 2000)
                raise httpx.ConnectError("no route to the host")
            if manner == 2:
                await loop.create_future()
            lost = True
        await request.extensions["trace"](SENT, {})
        reply: asyncio.Future[httpx.Response] = loop.create_future()
        ticket = self._ticket(request, total_ms, reply)
        if not lost:
            self._send(ticket, total_ms)
        return await reply

    def _ticket(self, request: httpx.Request, total_ms: int, reply: asyncio.Future[httpx.Response]) -> Ticket:
        action = request.headers["X-TC-Action"]
        fault = self._sky.draw_fault() if action in WRITE_ACTIONS else ""
        if fault:
            self._town.counts[f"write:{fault}"] += 1
        stamp_s, params = int(request.headers["X-TC-Timestamp"]), json.loads(request.content)
        return Ticket(self._process, action, params, stamp_s, fault, total_ms - total_ms // 2, reply)

    def _send(self, ticket: Ticket, total_ms: int) -> None:
        town = self._town
        if ticket.fault != "late-effect":
            town.at(town.now + total_ms // 2, self._arrive, ticket)
            return
        after_ms = self._rng.randrange(100, LATEST_MS)
        if self._too_old(ticket, after_ms):
            return
        for resource in ticket.resources:
            self._sky.on_its_way[self._process.name, resource] += 1
        town.at(town.now + after_ms, self._arrive_late, ticket)

    def _too_old(self, ticket: Ticket, after_ms: int = 0) -> bool:
        now_s = int(self._town.wall_ms() + after_ms) // 1000
        return abs(now_s - ticket.stamp_s) > MAX_AGE_S

    def _arrive_late(self, ticket: Ticket) -> None:
        for resource in ticket.resources:
            self._sky.on_its_way[self._process.name, resource] -= 1
        try:
            self._sky.request(self._process.name, ticket.action, ticket.params)
        except ApiError:
            return

    def _arrive(self, ticket: Ticket) -> None:
        if self._sky.outages[self._process.name] or ticket.fault == "request-lost":
            return
        if ticket.fault == "error-before":
            self._answer(ticket, httpx.Response(500, stream=httpx.ByteStream(b"Internal Server Error")))
            return
        if not ticket.writes and self._rng.randrange(100) < self._sky.read_failures:
            self._spoil(ticket)
            return
        reply = self._carry_out(ticket)
        if ticket.fault == "error-after":
            self._answer(ticket, httpx.Response(500, stream=httpx.ByteStream(b"Internal Server Error")))
        elif ticket.fault == "reply-lost":
            self._spoil(ticket)
        else:
            self._answer(ticket, reply)

    def _spoil(self, ticket: Ticket) -> None:
        """Let the answer be missing, torn, or nothing that an API says."""
        manner = self._rng.randrange(4)
        if manner < 3:
            self._answer(ticket, httpx.Response(200, stream=httpx.ByteStream(TORN[manner])))

    def _carry_out(self, ticket: Ticket) -> httpx.Response:
        try:
            self._admit(ticket)
            handling = self._handling(ticket)
            content = self._sky.request(self._process.name, ticket.action, ticket.params, handling)
        except ApiError as error:
            refusal = {"Code": error.code, "Message": error.message}
            content = {"Error": refusal, "RequestId": error.request_id or "none"}
        return httpx.Response(200, stream=httpx.ByteStream(json.dumps({"Response": content}).encode()))

    def _admit(self, ticket: Ticket) -> None:
        if self._too_old(ticket):
            raise ApiError("AuthFailure.SignatureExpire", "The date is more than five minutes from ours.")
        if ticket.fault == "throttle":
            raise ApiError("RequestLimitExceeded", "That is too much.")

    def _handling(self, ticket: Ticket) -> Handling:
        if ticket.fault == "task-fails":
            return Handling(fate=Fate.FAIL)
        if ticket.fault == "task-slow":
            return Handling(task_ms=self._rng.randrange(1_000, SLOW_TASK_MS))
        oldest_ms = self._sky.stale_ms.get(self._process.name, 0)
        if ticket.action == "DescribeNetworkInterfaces" and oldest_ms:
            return Handling(stale_ms=self._rng.randrange(oldest_ms + 1))
        return NORMAL

    def _answer(self, ticket: Ticket, response: httpx.Response) -> None:
        response.headers["Date"] = formatdate(self._town.wall_ms() / 1000, usegmt=True)
        self._town.at(self._town.now + ticket.back_ms, self._arrived, ticket, response)

    @staticmethod
    def _arrived(ticket: Ticket, response: httpx.Response) -> None:
        if not (ticket.process.dead or ticket.reply.done()):
            ticket.reply.set_result(response)
