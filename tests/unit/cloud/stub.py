"""A stub of the API: a real HTTP server on loopback whose every answer the test writes itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hafailover.config.model import Cloud as Settings

if TYPE_CHECKING:
    from hafailover.cloud.api import ApiCall
    from hafailover.cloud.client import Cloud

KEYS = {"TENCENTCLOUD_SECRET_ID": "AKIDtest", "TENCENTCLOUD_SECRET_KEY": "testSecretKey0123456789"}


@dataclass
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    port: int

    @property
    def action(self) -> str:
        return self.headers.get("x-tc-action", "")


Script = Callable[[Asked], bytes | Awaitable[bytes | None] | None]


async def until(done: Callable[[], bool]) -> None:
    """Wait for something to be so; a TimeoutError after 5 s."""
    async with asyncio.timeout(5):
        while not done():  # noqa: ASYNC110 - what is waited for has no event to wait on
            await asyncio.sleep(0.002)


def http(body: bytes, *, status: str = "200 OK", content_type: str = "application/json", extra: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


def answer(**response: Any) -> bytes:
    return http(json.dumps({"Response": {"RequestId": "req-1", **response}}).encode())


def error(code: str, message: str = "no") -> bytes:
    return answer(Error={"Code": code, "Message": message})


@dataclass
class Stub:
    """Plays `script` for each request; None as an answer closes the connection."""

    script: Script
    asked: list[Asked] = field(default_factory=list)
    port: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    tasks: list[asyncio.Task[None] | None] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def actions(self) -> list[str]:
        return [asked.action for asked in self.asked]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        self.tasks.append(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while (reply := await self.reply(reader, writer)) is not None:
                writer.write(reply)
                await writer.drain()
        writer.close()

    async def stop(self, server: asyncio.Server) -> None:
        server.close()
        for task in self.tasks:
            if task is not None:
                task.cancel()
        await asyncio.gather(*(task for task in self.tasks if task is not None))
        for writer in self.writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    async def reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes | None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        fields = [line.split(": ", 1) for line in head[1:-2]]
        headers = {name.lower(): value for name, value in fields}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        port = writer.get_extra_info("peername")[1]
        asked = Asked(method, path, headers, json.loads(body) if body else None, port)
        self.asked.append(asked)
        reply = self.script(asked)
        return await reply if isinstance(reply, Awaitable) else reply


@dataclass
class Bench:
    """A client, the stub that it talks to, and what the client reported of its calls."""

    cloud: Cloud
    stub: Stub
    calls: list[ApiCall]

    @property
    def codes(self) -> list[str]:
        return [call.code for call in self.calls]


def settings(url: str, **changes: Any) -> Settings:
    plain = Settings(region="ap-test", endpoint=url, cvm_endpoint=url, timeout_ms=2_000, credentials="env")
    return replace(plain, **changes)


MakeBench = Callable[..., Awaitable[Bench]]
MakeStub = Callable[[Script], Awaitable[Stub]]
