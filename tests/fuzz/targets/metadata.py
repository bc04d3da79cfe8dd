"""cloud.metadata: the metadata service's answers to values."""

from __future__ import annotations

import asyncio
import atexit
import json
import time
from typing import TYPE_CHECKING, Any

import httpx

from hafailover.cloud.credentials import Credential, is_header_text
from hafailover.cloud.metadata import Metadata
from hafailover.errors import MetadataError
from tests.fuzz.source import Source, damaged

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LONGEST = 8192
LONGEST_ERROR = 512
STATUSES = (200, 404, 200, 500, 200, 301, 204)
EXAMPLE: dict[str, Any] = {
    "TmpSecretId": "AKIDexample",
    "TmpSecretKey": "key",
    "ExpiredTime": 1893456000,
    "Expiration": "2030-01-01T00:00:00Z",
    "Token": "token",
    "Code": "Success",
}
SEEDS = (
    b"\x00\x00ins-a1b2c3d4\n",
    b"\x01\x00ap-guangzhou",
    b"\x02\x00ap-guangzhou-3",
    b"\x03\x0052:54:00:AA:bb:cc",
    b"\x04\x00a.role-name@1",
    b"\x05\x00" + json.dumps(EXAMPLE).encode(),
    b"\x05\x00" + b"[" * 1500,
    b"\x05\x01no such role",
    b"\x06\x00\x00\x00\x02\x05",
)

_loop = asyncio.new_event_loop()
atexit.register(_loop.close)
_answer: list[tuple[int, bytes]] = []


def _respond(_request: httpx.Request) -> httpx.Response:
    status, body = _answer[-1]
    return httpx.Response(status, content=body)


def _service() -> Metadata:
    service = Metadata("http://127.77.0.1:1")
    service._http = httpx.AsyncClient(transport=httpx.MockTransport(_respond), trust_env=False)
    return service


_SERVICE = _service()
_QUESTIONS: tuple[Callable[[], Awaitable[str | Credential]], ...] = (
    _SERVICE.instance_id,
    _SERVICE.region,
    _SERVICE.zone,
    _SERVICE.mac,
    _SERVICE.role_name,
    lambda: _SERVICE.role_credential("role"),
)


def one(data: bytes) -> None:
    """Any status and body give a short printable value, or keys that can be signed with and end at a time that
    a float can tell, or a MetadataError with a short text.
    """
    source = Source(data)
    kind = source.byte()
    status = source.pick(STATUSES)
    body = json.dumps(damaged(EXAMPLE, source)).encode() if kind % 7 == 6 else source.rest()
    _answer[:] = [(status, body)]
    try:
        found = _loop.run_until_complete(_ask(_QUESTIONS[min(kind % 7, 5)]))
    except MetadataError as error:
        _check_text(str(error), LONGEST_ERROR)
        return
    assert status == 200
    if isinstance(found, str):
        _check_text(found, 128)
    else:
        _check_keys(found)


def _check_text(text: str, longest: int) -> None:
    assert text.isascii()
    assert text.isprintable()
    assert 0 < len(text) <= longest


def _check_keys(found: Credential) -> None:
    for text in (found.secret_id, found.secret_key, found.token):
        assert 0 < len(text) <= LONGEST
        assert is_header_text(text)
    assert found.expires_at_s is not None
    assert abs(found.expires_at_s - time.monotonic()) < 1e12


async def _ask(question: Callable[[], Awaitable[str | Credential]]) -> str | Credential:
    return await question()
