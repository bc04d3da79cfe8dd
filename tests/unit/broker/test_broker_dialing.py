"""A client's connection: what may happen to its socket between two turns of the loop."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from hafailover.broker.dialing import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

MUCH = 16 * 1024 * 1024  # octets, and no connection has such buffers


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Something that takes connections, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


async def stuck(listener: socket.socket) -> Client:
    """Return a client that has more to say than the connection takes at once."""
    client = Client(*listener.getsockname())
    client._client.connect(*listener.getsockname())
    client._client.publish("t", bytes(MUCH))
    await asyncio.sleep(0)
    assert client._client.want_write()
    return client


async def test_a_client_goes_on_when_there_is_room(listener: socket.socket) -> None:
    client = await stuck(listener)
    peer, _ = listener.accept()
    with peer:
        peer.setblocking(False)
        got = 0
        async with asyncio.timeout(10):
            while got < MUCH:
                got += len(await asyncio.get_running_loop().sock_recv(peer, 1 << 20))
    client._client._sock_close()
    assert not client._client.want_write()


async def test_a_socket_that_is_closed_before_the_loop_comes_to_it_is_left_alone(listener: socket.socket) -> None:
    troubles: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, trouble: troubles.append(trouble))
    client = await stuck(listener)
    client._client._call_socket_unregister_write()
    client._client._call_socket_register_write()
    client._client._sock_close()
    await asyncio.sleep(0.05)
    assert not troubles
