from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hafailover.guest.netlink import Guest
from tests.unit.guest.namespace import MAC, ip, new_namespace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture
def node() -> Iterator[None]:
    """A node as in a VPC: eth0 with its own address, and a way out; eth1 without any."""
    with new_namespace():
        for number, mac in ((0, MAC), (1, "02:00:0a:00:01:12")):
            ip("link", "add", f"eth{number}", "address", mac, "type", "veth", "peer", "name", f"wire{number}")
            ip("link", "set", f"eth{number}", "up")
            ip("link", "set", f"wire{number}", "up")
        ip("link", "set", "lo", "up")
        ip("addr", "add", "10.0.1.17/24", "dev", "eth0")
        ip("route", "add", "default", "via", "10.0.1.1")
        yield


@pytest.fixture
async def guest(node: None) -> AsyncIterator[Guest]:  # noqa: ARG001 - the guest is that node's
    guest = Guest(deadline_s=20)  # the machine may be busy
    await guest.open()
    yield guest
    await guest.close()
    await asyncio.sleep(0)  # the library closes its transport in the next turn
