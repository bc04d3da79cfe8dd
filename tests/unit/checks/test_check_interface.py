"""The kernel is the real one, in a network namespace that each test has for itself."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from hafailover.checks.interface import InterfaceProbe
from tests.unit.guest.namespace import ip, new_namespace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]


@pytest.fixture(autouse=True)
def _namespace() -> Iterator[None]:
    with new_namespace():
        ip("link", "add", "eth1", "type", "veth", "peer", "name", "wire1")
        yield


async def said(probe: InterfaceProbe) -> tuple[bool, str]:
    verdict = await probe.run(1)
    assert verdict.sure
    return verdict.passed, verdict.detail


async def until(probe: InterfaceProbe, wanted: tuple[bool, str]) -> None:
    """Wait until it says so: the kernel takes its time to see a carrier."""
    async with asyncio.timeout(10):
        while await said(probe) != wanted:  # noqa: ASYNC110 - the kernel does it
            await asyncio.sleep(0.01)


@pytest.fixture
async def probe() -> AsyncIterator[InterfaceProbe]:
    made = InterfaceProbe("eth1")
    yield made
    await made.close()


async def test_it_passes_while_the_interface_is_up_and_has_its_carrier(probe: InterfaceProbe) -> None:
    assert await said(probe) == (False, "is down")
    ip("link", "set", "eth1", "up")
    assert await said(probe) == (False, "has no carrier")
    ip("link", "set", "wire1", "up")
    await until(probe, (True, "is up"))
    ip("link", "del", "eth1")
    assert await said(probe) == (False, "there is no such interface")


@pytest.mark.parametrize("change", [("set", "wire1", "down"), ("set", "eth1", "down"), ("del", "eth1")])
async def test_it_is_told_of_what_happens(probe: InterfaceProbe, change: tuple[str, ...]) -> None:
    ip("link", "set", "eth1", "up")
    ip("link", "set", "wire1", "up")
    await until(probe, (True, "is up"))
    told = asyncio.ensure_future(probe.changed())
    await asyncio.sleep(0.05)
    ip("link", "add", "other", "type", "veth", "peer", "name", "another")
    await asyncio.sleep(0.05)
    assert not told.done()
    ip("link", *change)
    await asyncio.wait_for(told, 10)
    assert not (await said(probe))[0]


async def test_it_is_told_of_what_came_between_two_waits(probe: InterfaceProbe) -> None:
    ip("link", "set", "wire1", "up")
    assert not (await said(probe))[0]
    ip("link", "set", "eth1", "up")
    await asyncio.wait_for(probe.changed(), 10)
    assert await said(probe) == (True, "is up")


async def test_more_notifications_than_there_is_room_for_do_no_harm(probe: InterfaceProbe) -> None:
    ip("link", "set", "wire1", "up")
    assert not (await said(probe))[0]
    told = asyncio.ensure_future(probe.changed())
    await asyncio.sleep(0.05)
    for number in range(150):  # nobody listens meanwhile: `ip` blocks this thread
        ip("link", "set", "wire1", "alias", f"{number:0250}")
    ip("link", "set", "eth1", "up")
    await asyncio.wait_for(told, 10)


async def test_descriptors_do_not_leak() -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count
    probe = InterfaceProbe("eth1")
    await probe.run(1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(probe.changed(), 0.05)
    await probe.close()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - a count
