"""The CVM metadata service: who this instance is, and the keys of its role (Tencent document 213/4934).

Reachable only from the instance itself, without authentication; every answer is a short text.
"""

from __future__ import annotations

import asyncio
import json
import re
import time

import httpx

from hafailover.cloud.credentials import Credential, is_header_text
from hafailover.cloud.transport import http_client
from hafailover.errors import MetadataError

_LIMIT_BYTES = 64 << 10
_HTTP_OK = 200
_HTTP_NOT_FOUND = 404

_INSTANCE_ID = re.compile(r"ins-[a-z0-9]{1,32}", re.ASCII)
_PLACE = re.compile(r"[a-z]{1,16}(-[a-z0-9]{1,24}){1,4}", re.ASCII)
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.ASCII)
_ROLE = re.compile(r"[A-Za-z0-9_.@+=,-]{1,128}", re.ASCII)
_KEY_LIMIT = 1024  # characters of an id or a key
_LAST_TIME_S = 253402300800  # the year 10000
_TOKEN_LIMIT = 8192  # characters; 4096 are documented


class Metadata:
    """Asks the metadata service at `base_url`; `timeout_s` bounds each whole exchange."""

    def __init__(self, base_url: str, *, timeout_s: float = 1.0) -> None:
        self._root = base_url.rstrip("/") + "/latest/meta-data/"
        self._timeout_s = timeout_s
        self._http = http_client(tls=base_url.startswith("https:"), limit_bytes=_LIMIT_BYTES, timeout_s=timeout_s)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def instance_id(self) -> str:
        """Return this instance's id, such as ins-a1b2c3d4. This and all below raise MetadataError."""
        return await self._word("instance-id", _INSTANCE_ID)

    async def region(self) -> str:
        """Return the region, such as ap-guangzhou."""
        return await self._word("placement/region", _PLACE)

    async def zone(self) -> str:
        """Return the availability zone, such as ap-guangzhou-3."""
        return await self._word("placement/zone", _PLACE)

    async def mac(self) -> str:
        """Return the MAC of the primary ENI, in lower case."""
        return await self._word("mac", _MAC, lower=True)

    async def spot_termination(self) -> str | None:
        """Return when this spot instance ends, as "2018-08-18 12:05:33" in UTC+8, None while none is announced."""
        return await self._find("spot/termination-time")

    async def role_name(self) -> str:
        """Return the name of the role bound to this instance."""
        return await self._word("cam/security-credentials/", _ROLE)

    async def role_credential(self, role: str) -> Credential:
        """Return the role's present temporary keys; their expiry is on the monotonic clock."""
        if not _ROLE.fullmatch(role):
            raise MetadataError(f"{role!r} is not a role's name")
        path = f"cam/security-credentials/{role}"
        text = await self._get(path)
        try:
            reply = json.loads(text)
        except (ValueError, RecursionError):
            raise MetadataError(f"{path}: not JSON") from None
        return _credential(reply, path)

    async def _word(self, path: str, shape: re.Pattern[str], *, lower: bool = False) -> str:
        text = (await self._get(path)).strip()
        word = text.lower() if lower else text
        if not shape.fullmatch(word):
            raise MetadataError(f"{path}: not of the documented shape")
        return word

    async def _get(self, path: str) -> str:
        text = await self._find(path)
        if text is None:
            raise MetadataError(f"{path}: there is none on this instance")
        return text

    async def _find(self, path: str) -> str | None:
        """Return what is at a path, None where there is no such path."""
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._http.get(self._root + path)
        except TimeoutError:
            raise MetadataError(f"{path}: no answer within {self._timeout_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise MetadataError(f"{path}: {exc or type(exc).__name__}") from None
        if response.status_code == _HTTP_NOT_FOUND:
            return None
        if response.status_code != _HTTP_OK:
            raise MetadataError(f"{path}: HTTP status {response.status_code}")
        return response.content.decode("utf-8", "replace")


def _credential(reply: object, path: str) -> Credential:
    """Check the service's JSON: Code, TmpSecretId, TmpSecretKey, Token, ExpiredTime (Unix seconds)."""
    if not isinstance(reply, dict) or reply.get("Code") != "Success":
        raise MetadataError(f"{path}: no credentials in the answer")
    expires = reply.get("ExpiredTime")
    if isinstance(expires, bool) or not isinstance(expires, int | float) or not 0 < expires < _LAST_TIME_S:
        raise MetadataError(f"{path}: ExpiredTime is not a time")
    return Credential(
        _secret(reply, "TmpSecretId", _KEY_LIMIT, path),
        _secret(reply, "TmpSecretKey", _KEY_LIMIT, path),
        _secret(reply, "Token", _TOKEN_LIMIT, path),
        expires_at_s=time.monotonic() + (expires - time.time()),
    )


def _secret(reply: dict[str, object], key: str, limit: int, path: str) -> str:
    value = reply.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= limit or not is_header_text(value):
        raise MetadataError(f"{path}: {key} is not a text of 1..{limit} characters")
    return value
