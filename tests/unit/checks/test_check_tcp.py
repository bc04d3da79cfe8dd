from __future__ import annotations

import asyncio
import socket

import pytest

from hafailover.checks import connect as module
from hafailover.checks.tcp import TcpProbe


@pytest.fixture
def listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_service_that_accepts_passes(listener: socket.socket, host: str) -> None:
    with listener:
        verdict = await TcpProbe(host, listener.getsockname()[1]).run(10)
    assert (verdict.passed, verdict.detail) == (True, "connected")


async def test_ipv6_too() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        assert (await TcpProbe("::1", listener.getsockname()[1]).run(10)).passed


async def test_nobody_listening_fails(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    verdict = await TcpProbe("127.0.0.1", port).run(10)
    assert (verdict.passed, verdict.detail) == (False, "Connection refused")


async def test_each_address_of_a_name_is_tried(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    port = listener.getsockname()[1]
    found = [(socket.AF_INET, 1, 6, "", ("127.0.0.2", port)), (socket.AF_INET, 1, 6, "", ("127.0.0.1", port))]

    async def lookup(*_args: object, **_kwargs: object) -> list[object]:
        return [*found]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lookup)
    with listener:
        assert (await TcpProbe("two.example", port).run(10)).passed
        del found[1]
        assert (await TcpProbe("two.example", port).run(10)).detail == "Connection refused"
        del found[0]
        assert (await TcpProbe("two.example", port).run(10)).detail == "the name has no address"


async def test_an_unknown_name_fails() -> None:
    verdict = await TcpProbe("no-such-host.invalid", 80).run(10)
    assert not verdict.passed
    assert verdict.detail


async def test_no_answer_in_time_fails() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        # a queue that is full drops what comes, as a hung service does
        clients = [socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) for _ in range(4)]
        for client in clients:
            client.connect_ex(full.getsockname())
        verdict = await TcpProbe("127.0.0.1", full.getsockname()[1]).run(0.1)
        for client in clients:
            client.close()
    assert (verdict.passed, verdict.detail) == (False, "no answer within 100 ms")


async def test_a_connection_with_itself_is_none() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.connect(sock.getsockname())  # what an ephemeral port on which nobody listens may lead to
        with pytest.raises(ConnectionRefusedError):
            module._refuse_self(sock)
