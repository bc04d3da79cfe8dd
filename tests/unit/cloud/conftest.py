"""Fixtures: stubs of the API, and clients that talk to them."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from hafailover.cloud.client import Cloud
from hafailover.cloud.credentials import EnvironmentCredentials
from tests.unit.cloud.stub import KEYS, Bench, Script, Stub, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hafailover.cloud.api import ApiCall
    from tests.unit.cloud.stub import MakeBench, MakeStub


@pytest.fixture
async def make_stub() -> AsyncIterator[MakeStub]:
    started: list[tuple[Stub, asyncio.Server]] = []

    async def make(script: Script) -> Stub:
        stub = Stub(script)
        server = await asyncio.start_server(stub.serve, "127.0.0.1", 0)
        started.append((stub, server))
        stub.port = server.sockets[0].getsockname()[1]
        return stub

    yield make
    for stub, server in started:
        await stub.stop(server)


@pytest.fixture
async def make_bench(make_stub: MakeStub) -> AsyncIterator[MakeBench]:
    clouds: list[Cloud] = []

    async def make(script: Script, **changes: Any) -> Bench:
        stub = await make_stub(script)
        calls: list[ApiCall] = []
        cloud = Cloud(
            settings(stub.url, **changes),
            EnvironmentCredentials(KEYS),
            region="ap-test",
            observer=calls.append,
            rng=random.Random(1),  # noqa: S311 - jitter is not a secret
        )
        clouds.append(cloud)
        return Bench(cloud, stub, calls)

    yield make
    for cloud in clouds:
        await cloud.close()
