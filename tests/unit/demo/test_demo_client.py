from __future__ import annotations

import asyncio
import socket
import time
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from hafailover.demo import client as module
from hafailover.demo.client import Client, Seen
from hafailover.demo.fabric import Fabric

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PATIENCE_S = 10.0


class Service(asyncio.DatagramProtocol):
    """Answers the probes that the script wants answered, in the name that the script gives."""

    def __init__(self, script: Callable[[int], str | None]) -> None:
        self.script = script
        self.heard = 0
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.heard += 1
        name = self.script(int(data))
        if name is not None:
            self.transport.sendto(data + b" " + name.encode(), addr)


@asynccontextmanager
async def probing(script: Callable[[int], str | None]) -> AsyncIterator[tuple[Client, Service]]:
    loop = asyncio.get_running_loop()
    service = Service(script)
    transport, _ = await loop.create_datagram_endpoint(lambda: service, local_addr=("127.0.0.1", 0))
    client = Client(transport.get_extra_info("sockname"))
    running = asyncio.ensure_future(client.run())
    try:
        yield client, service
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        transport.close()


async def heard(service: Service, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while service.heard < count:  # noqa: ASYNC110 - datagrams have no event to wait on
            await asyncio.sleep(0.005)


async def settled() -> None:
    """Wait until no question is open any longer that was asked by now."""
    await asyncio.sleep(module.LATE_S + 0.05)


def gap(first: int, last: int) -> Callable[[int], str | None]:
    """Answer all but some: as web-a before the gap and as web-b after it."""

    def script(number: int) -> str | None:
        return None if first <= number <= last else ("web-a" if number < first else "web-b")

    return script


async def test_a_scripted_loss_is_seen_as_it_was() -> None:
    async with probing(gap(20, 34)) as (client, service):
        await heard(service, 60)
        await settled()
        seen = client.seen()
        sent = client._sent
    assert seen.lost == 15
    assert seen.sent >= 60
    answered = dict(seen.answered)
    assert answered == {"web-a": 20, "web-b": seen.sent - 35}
    assert seen.outage_s == pytest.approx(sent[35] - sent[20])
    pauses = [sent[35] - sent[19], *(after - before for before, after in pairwise((*sent[:20], *sent[35:])))]
    assert seen.pause_s in (pauses[0], max(pauses))  # the machine may have paused for longer elsewhere
    assert seen.outage_s > 14 * 0.9 * module.PROBE_S


async def test_without_a_loss_there_is_no_outage() -> None:
    async with probing(lambda _number: "web-a") as (client, service):
        await heard(service, 20)
        await settled()
        seen = client.seen()
    assert (seen.lost, seen.outage_s) == (0, 0.0)
    assert seen.sent >= 20
    assert 0 < seen.pause_s < PATIENCE_S
    assert [name for name, _ in seen.answered] == ["web-a"]


async def test_what_was_lost_before_an_act_does_not_count_for_it() -> None:
    async with probing(gap(5, 14)) as (client, service):
        await heard(service, 20)
        client.begin()
        before = len(client._sent)
        assert client.seen() == Seen(sent=0, lost=0, outage_s=0.0, pause_s=0.0, answered=())
        await heard(service, before + 20)
        await settled()
        seen = client.seen()
    assert seen.lost == 0
    assert seen.sent >= 20
    assert seen.answered == (("web-b", seen.sent),)


async def test_an_outage_that_has_no_end_yet_goes_on_until_now() -> None:
    async with probing(lambda number: "web-a" if number < 10 else None) as (client, service):
        await heard(service, 40)
        await settled()
        first, second = client.seen(), client.seen()
    assert first.lost >= 30
    assert second.outage_s > first.outage_s >= module.LATE_S


async def test_an_outage_lasts_from_the_first_loss_to_the_answer_after_the_last() -> None:
    async with probing(lambda number: None if number in (10, 30) else "web-a") as (client, service):
        await heard(service, 50)
        await settled()
        seen = client.seen()
        sent = client._sent
    assert seen.lost == 2
    assert seen.outage_s == pytest.approx(sent[31] - sent[10])


async def test_a_late_a_foreign_and_a_broken_answer_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(("127.0.0.1", 9))
    now_s = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    client._sent = [now_s, now_s]
    for data in (b"2 web-a", b"-1 web-a", b"x web-a", b"", b"1 web-b"):
        client.datagram_received(data, ("127.0.0.1", 9))
    now_s += module.LATE_S
    client.datagram_received(b"0 web-a", ("127.0.0.1", 9))
    now_s += 0.01
    seen = client.seen()
    assert (seen.sent, seen.lost, seen.answered) == (2, 1, (("web-b", 1),))


class Asking:
    """A client of the fabric that asks one question at a time."""

    def __init__(self) -> None:
        self.holder: str | None = "web-a"
        self.asked = 0
        self.fabric = Fabric(("127.0.0.1", 0), self._look)

    def _look(self) -> str | None:
        self.asked += 1
        return self.holder

    async def open(self) -> None:
        await self.fabric.start()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.connect(self.fabric._transport.get_extra_info("sockname"))

    async def ask(self, question: bytes) -> None:
        """Ask, and wait until the fabric has taken note."""
        before = self.asked
        self.socket.send(question)
        async with asyncio.timeout(PATIENCE_S):
            while self.asked == before:  # noqa: ASYNC110 - datagrams have no event to wait on
                await asyncio.sleep(0.001)

    async def answer(self) -> bytes:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.socket, 100), PATIENCE_S)


async def test_the_fabric_answers_for_the_holder_that_is_up() -> None:
    at = Asking()
    await at.open()
    with at.socket:
        await at.ask(b"1")
        at.holder = None
        await at.ask(b"2")
        at.holder = "web-b"
        await at.ask(b"3")
        at.fabric.switch("web-b", on=False)
        await at.ask(b"4")
        at.fabric.switch("web-b", on=True)
        await at.ask(b"5" * 100)
        assert [await at.answer() for _ in range(3)] == [b"1 web-a", b"3 web-b", b"5" * 64 + b" web-b"]
    at.fabric.close()


def test_a_fabric_that_was_never_opened_can_be_closed() -> None:
    fabric = Fabric(("127.0.0.1", 0), lambda: None)
    fabric.close()
    assert fabric._transport is None
