from __future__ import annotations

import json
from typing import Any

import pytest

from hafailover.emulator import tc3
from hafailover.emulator.keys import Keys
from hafailover.emulator.values import ApiError

# Both vectors are those of the API document 1130/46710 and of the Python SDK for a migration.
DOCUMENT = tc3.Signed(
    "POST",
    "",
    {"content-type": "application/json; charset=utf-8", "host": "cvm.tencentcloudapi.com"},
    rb'{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}',
    1551113065,
)
MIGRATION = tc3.Signed(
    "POST",
    "",
    {
        "content-type": "application/json",
        "host": "vpc.tencentcloudapi.com",
        "x-tc-action": "MigratePrivateIpAddress",
    },
    json.dumps(
        {
            "SourceNetworkInterfaceId": "eni-aaaaaaaa",
            "DestinationNetworkInterfaceId": "eni-bbbbbbbb",
            "PrivateIpAddress": "10.0.0.100",
        }
    ).encode(),
    1767225600,
)
NAMES = ("content-type", "host")
KEY = "testSecretKey0123456789"
RIGHT = "250a4eedd1beb6707ec16fd802d3bfa6323f0ce195a13d1b9dab0ecbabdf2883"


def header(names: tuple[str, ...] = NAMES, signature: str = RIGHT, date: str = "2026-01-01") -> str:
    scope = f"AKIDtest/{date}/vpc/tc3_request"
    return f"TC3-HMAC-SHA256 Credential={scope}, SignedHeaders={';'.join(names)}, Signature={signature}"


def refused(code: str) -> Any:
    return pytest.raises(ApiError, match=f"^{code}: ")


def test_vector_of_the_document() -> None:
    assert tc3.payload_hash(DOCUMENT).startswith("35e9c5b0")
    assert tc3.payload_hash(DOCUMENT).endswith("f064")
    signature = tc3.signature(DOCUMENT, NAMES, "cvm", "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE")
    assert signature == "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168"


def test_vector_of_the_sdk() -> None:
    assert tc3.payload_hash(MIGRATION) == "56a82b7ad3a708b6263cf920ac38bdbbe79e1f89abdfccfb309bae1673e8deb7"
    canonical = "25c237299c67fc407f9d9f43238317687f568a26b71def6a859119fee6a69c21"
    assert tc3.canonical_hash(MIGRATION, NAMES) == canonical
    assert tc3.signature(MIGRATION, NAMES, "vpc", KEY) == RIGHT


def test_the_right_signature_is_accepted() -> None:
    claimed = tc3.parse(header())
    assert claimed == tc3.Authorization("AKIDtest", "2026-01-01", "vpc", NAMES, RIGHT)
    tc3.verify(MIGRATION, claimed, KEY)


def test_more_signed_headers_are_covered_in_lower_case() -> None:
    names = (*NAMES, "x-tc-action")
    lowered = tc3.Signed(
        MIGRATION.method,
        MIGRATION.query,
        {**MIGRATION.headers, "x-tc-action": "migrateprivateipaddress"},
        MIGRATION.body,
        MIGRATION.timestamp,
    )
    signature = tc3.signature(lowered, names, "vpc", KEY)
    tc3.verify(MIGRATION, tc3.parse(header(names, signature)), KEY)
    assert signature != RIGHT


def test_an_unsigned_payload_is_the_words_themselves() -> None:
    headers = {**MIGRATION.headers, "x-tc-content-sha256": "UNSIGNED-PAYLOAD"}
    hashes = {tc3.payload_hash(tc3.Signed("POST", "", headers, body, 0)) for body in (b"a", b"b")}
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("authorization", "key"),
    [
        (header(), "other key"),
        (header(signature="0" * 64), KEY),
        (header(date="2026-01-02"), KEY),
        (header(("host",)), KEY),
    ],
)
def test_wrong_signatures(authorization: str, key: str) -> None:
    with refused("AuthFailure.SignatureFailure"):
        tc3.verify(MIGRATION, tc3.parse(authorization), key)


@pytest.mark.parametrize(
    "text", ["", "Bearer x", header()[:-1], header().replace("vpc", "../vpc"), header() + "\n"]
)
def test_headers_that_cannot_be_read(text: str) -> None:
    with refused("AuthFailure.InvalidAuthorization"):
        tc3.parse(text)


def test_timestamps() -> None:
    assert [tc3.check_time(str(1000 + skew), 1000) for skew in (-300, 300)] == [700, 1300]
    for skew in (-301, 301):
        with refused("AuthFailure.SignatureExpire"):
            tc3.check_time(str(1000 + skew), 1000)
    for text in ("", "x", "-1", "1" * 13, "\u0661"):
        with refused("AuthFailure.InvalidAuthorization"):
            tc3.check_time(text, 1000)


def test_keys_of_both_kinds() -> None:
    keys = Keys("seed")
    keys.add("AKIDx", "secret")
    assert keys.find("AKIDx", "", 0).caller == "AKIDx"
    temporary = keys.issue("ins-aaaaaaaa", 0)
    assert keys.find(temporary.secret_id, temporary.token, 7199).caller == "ins-aaaaaaaa"
    for secret_id, token, now, code in (
        ("AKIDy", "", 0, "SecretIdNotFound"),
        ("AKIDx", "token", 0, "TokenFailure"),
        (temporary.secret_id, "", 0, "TokenFailure"),
        (temporary.secret_id, temporary.token, 7200, "TokenFailure"),
    ):
        with refused(f"AuthFailure.{code}"):
            keys.find(secret_id, token, now)


def test_a_temporary_key_is_renewed_at_half_of_its_life() -> None:
    keys = Keys("seed")
    first = keys.issue("ins-aaaaaaaa", 0)
    assert keys.issue("ins-aaaaaaaa", 3599) == first
    second = keys.issue("ins-aaaaaaaa", 3600)
    assert second.secret_id != first.secret_id
    assert keys.find(first.secret_id, first.token, 3600) == first
    assert keys.issue("ins-bbbbbbbb", 3600) != second


def test_temporary_keys_can_be_expired_by_instance() -> None:
    keys = Keys()
    keys.add("AKIDx", "secret")
    first, second = keys.issue("ins-aaaaaaaa", 0), keys.issue("ins-bbbbbbbb", 0)
    assert keys.expire("ins-aaaaaaaa", 10) == 1
    with refused("AuthFailure.TokenFailure"):
        keys.find(first.secret_id, first.token, 10)
    assert keys.find(second.secret_id, second.token, 10) == second
    assert keys.issue("ins-aaaaaaaa", 10) != first
    assert keys.expire("*", 10) == 3
    assert keys.find("AKIDx", "", 10)


def test_the_oldest_temporary_keys_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hafailover.emulator.keys.MAX_KEYS", 2)
    keys = Keys()
    keys.add("AKIDx", "secret")
    first = keys.issue("ins-aaaaaaaa", 0)
    keys.issue("ins-bbbbbbbb", 0)
    assert keys.find("AKIDx", "", 0)
    with refused("AuthFailure.SecretIdNotFound"):
        keys.find(first.secret_id, first.token, 0)
