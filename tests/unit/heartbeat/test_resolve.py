from __future__ import annotations

import asyncio
import socket

import pytest

from hafailover.heartbeat import resolve
from hafailover.heartbeat.resolve import literal, lookup


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ("127.0.0.1", (socket.AF_INET, ("127.0.0.1", 7694))),
        ("::1", (socket.AF_INET6, ("::1", 7694, 0, 0))),
        ("localhost", None),
        ("no such name", None),
        ("x" * 70, None),  # longer than a DNS label
    ],
)
def test_only_literals_are_known_at_once(host: str, wanted: object) -> None:
    assert literal(host, 7694) == wanted


async def test_a_name_is_looked_up_in_the_family_asked_for() -> None:
    assert await lookup("localhost", 1, socket.AF_INET) == (socket.AF_INET, ("127.0.0.1", 1))


async def test_a_literal_of_another_family_is_none() -> None:
    assert await lookup("::1", 1, socket.AF_INET) is None
    assert await lookup("::1", 1) == (socket.AF_INET6, ("::1", 1, 0, 0))


@pytest.mark.parametrize("host", ["does-not-exist.invalid", "x" * 70, "a..b"])
async def test_a_name_without_an_address_is_none(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "RESOLVE_DEADLINE_S", 0.2)
    assert await lookup(host, 1) is None


async def test_a_resolver_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_args: object, **_options: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(resolve, "RESOLVE_DEADLINE_S", 0.01)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", hang)
    assert await lookup("localhost", 1) is None
