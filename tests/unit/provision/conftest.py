"""Fixtures: the emulator's keys in the environment, and patience that a test can afford."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from hafailover.emulator.server import SECRET_ID, SECRET_KEY
from hafailover.provision import look, work
from tests.unit.provision.site import Site, lacking, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from hafailover.emulator.network import Network

    Open = Callable[[Network], Awaitable[Site]]


@pytest.fixture
async def open_site(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Open]:
    monkeypatch.setenv("TENCENTCLOUD_SECRET_ID", SECRET_ID)
    monkeypatch.setenv("TENCENTCLOUD_SECRET_KEY", SECRET_KEY)
    monkeypatch.delenv("TENCENTCLOUD_TOKEN", raising=False)
    monkeypatch.setattr(look, "SETTLE_S", 2.0)
    monkeypatch.setattr(look, "POLL_S", 0.05)
    monkeypatch.setattr(work, "POLL_S", 0.05)
    monkeypatch.setattr(work, "ABSENT_S", 0.5)
    monkeypatch.setattr(work, "CLEAN_S", 3.0)
    async with AsyncExitStack() as stack:

        async def make(network: Network) -> Site:
            return await stack.enter_async_context(opened(tmp_path, capsys, network))

        yield make


@pytest.fixture
async def site(open_site: Open) -> Site:
    """Return a site whose cloud lacks everything that a file may name."""
    return await open_site(lacking(ipv6=True))
