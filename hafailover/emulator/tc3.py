"""TC3-HMAC-SHA256, the signature of API 3.0 requests, as the server checks it (API document 1130/46710)."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from hafailover.emulator.values import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

ALGORITHM = "TC3-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
MAX_SKEW_S = 300
VERBATIM = frozenset({"content-type", "host"})  # the SDK signs these as they are, clients lower the rest

_AUTHORIZATION = re.compile(
    r"TC3-HMAC-SHA256 Credential=(?P<id>[^/\s]{1,1024})/(?P<date>\d{4}-\d\d-\d\d)"
    r"/(?P<service>[a-z0-9]{1,32})/tc3_request, ?"
    r"SignedHeaders=(?P<headers>[a-z0-9;-]{1,1024}), ?Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class Authorization:
    """The Authorization header, taken apart; `date` is YYYY-MM-DD (UTC)."""

    secret_id: str
    date: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signature covers: header names are lower case, `query` is as it was sent, `timestamp` in seconds."""

    method: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    timestamp: int


def parse(header: str) -> Authorization:
    """Take an Authorization header apart. Raises ApiError."""
    found = _AUTHORIZATION.fullmatch(header)
    if found is None:
        raise ApiError("AuthFailure.InvalidAuthorization", "The Authorization header cannot be read.")
    names = tuple(found["headers"].split(";"))
    return Authorization(found["id"], found["date"], found["service"], names, found["signature"])


def payload_hash(request: Signed) -> str:
    """Return the hash of the body that goes into the signature."""
    if request.headers.get("x-tc-content-sha256") == UNSIGNED:
        return sha256(UNSIGNED.encode()).hexdigest()
    return sha256(request.body).hexdigest()


def canonical_hash(request: Signed, names: tuple[str, ...]) -> str:
    """Return the hash of the canonical request, built from the headers that were signed."""
    lines = "".join(f"{name}:{_value(request.headers, name)}\n" for name in names)
    parts = (request.method, "/", request.query, lines, ";".join(names), payload_hash(request))
    return sha256("\n".join(parts).encode()).hexdigest()


def _value(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "").strip()
    return value if name in VERBATIM else value.lower()


def signature(request: Signed, names: tuple[str, ...], service: str, secret_key: str) -> str:
    """Return the signature of a request in hexadecimal."""
    date = date_of(request.timestamp)
    scope = f"{date}/{service}/tc3_request"
    text = f"{ALGORITHM}\n{request.timestamp}\n{scope}\n{canonical_hash(request, names)}"
    key = f"TC3{secret_key}".encode()
    for step in (date, service, "tc3_request"):
        key = hmac.digest(key, step.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def date_of(timestamp: int) -> str:
    """Return the UTC date of a time in seconds since 1970."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d")


def check_time(timestamp: str, now_s: int) -> int:
    """Return the X-TC-Timestamp as a number. Raises ApiError where it is none or too far from `now_s`."""
    if not re.fullmatch(r"\d{1,12}", timestamp, re.ASCII):
        raise ApiError("AuthFailure.InvalidAuthorization", "X-TC-Timestamp is not a number of seconds.")
    value = int(timestamp)
    if abs(value - now_s) > MAX_SKEW_S:
        text = f"X-TC-Timestamp is {value - now_s} s from the server's time, allowed are {MAX_SKEW_S} s."
        raise ApiError("AuthFailure.SignatureExpire", text)
    return value


def verify(request: Signed, claimed: Authorization, secret_key: str) -> None:
    """Check a signature. Raises ApiError."""
    missing = {"content-type", "host"} - set(claimed.signed_headers)
    right = signature(request, claimed.signed_headers, claimed.service, secret_key)
    fits_date = claimed.date == date_of(request.timestamp)
    if missing or not fits_date or not hmac.compare_digest(right, claimed.signature):
        text = "The provided credentials could not be validated. Please check your signature is correct."
        raise ApiError("AuthFailure.SignatureFailure", text)
