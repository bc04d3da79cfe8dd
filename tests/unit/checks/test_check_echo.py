from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from hafailover.checks import echo as module
from hafailover.checks.echo import echo

if TYPE_CHECKING:
    from collections.abc import Callable

LONG_S, SHORT_S = 10.0, 0.15


def _allowed() -> bool:
    try:
        module._open()[0].close()
    except PermissionError:
        return False
    return True


needs_permission = pytest.mark.skipif(not _allowed(), reason="ICMP is not permitted here")


@needs_permission
async def test_a_host_that_answers() -> None:
    assert await echo("127.0.0.1", LONG_S) is True


@needs_permission
async def test_replies_to_others_and_requests_are_not_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """On loopback a raw socket also gets what is sent; with another token even the answer is no answer."""
    sent: list[bytes] = []
    request: Callable[[int, bytes], bytes] = module._request

    def other(sequence: int, token: bytes) -> bytes:
        sent.append(token)
        return request(sequence, bytes(len(token)))

    monkeypatch.setattr(module, "_request", other)
    assert await echo("127.0.0.1", SHORT_S) is False
    assert len(sent) == module.TRIES


@needs_permission
async def test_an_address_that_cannot_be_sent_to_is_an_error() -> None:
    with pytest.raises(OSError, match=r".+"):
        await echo("255.255.255.255", SHORT_S)


async def test_without_permission_it_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_args: Any) -> socket.socket:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", refused)
    with pytest.raises(PermissionError):
        module._open()


def test_the_checksum_is_that_of_rfc_1071() -> None:
    assert module._checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2
    request = module._request(2, bytes(range(16)))
    assert module._checksum(request) == 0  # a sum over everything with its checksum in place
    assert request[:2] == b"\x08\x00"
