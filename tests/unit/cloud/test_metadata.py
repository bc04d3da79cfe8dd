from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hafailover.cloud.metadata import Metadata, _credential
from hafailover.errors import MetadataError
from tests.unit.cloud.stub import Asked, MakeStub, http

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hafailover.cloud.credentials import Credential

KEYS: dict[str, Any] = {
    "TmpSecretId": "AKIDtmp",
    "TmpSecretKey": "secretTmp",
    "Token": "t" * 4096,
    "ExpiredTime": 0,
    "Code": "Success",
}


def text(body: str) -> bytes:
    return http(body.encode(), content_type="text/plain")


async def ask(make_stub: MakeStub, reply: bytes, question: Callable[[Metadata], Awaitable[Any]]) -> Any:
    stub = await make_stub(lambda _: reply)
    metadata = Metadata(stub.url + "/", timeout_s=0.3)
    try:
        return await question(metadata)
    finally:
        await metadata.close()


async def test_what_the_service_knows_of_this_instance(make_stub: MakeStub) -> None:
    known = {
        "instance-id": "ins-a1b2c3d4",
        "placement/region": "ap-guangzhou",
        "placement/zone": "ap-guangzhou-3\n",
        "mac": "52:54:00:AB:CD:EF",
        "cam/security-credentials/": "failover-role",
        "cam/security-credentials/failover-role": json.dumps({**KEYS, "ExpiredTime": time.time() + 7200}),
    }

    def play(asked: Asked) -> bytes:
        return text(known[asked.path.removeprefix("/latest/meta-data/")])

    stub = await make_stub(play)
    metadata = Metadata(stub.url)
    assert await metadata.instance_id() == "ins-a1b2c3d4"
    assert await metadata.region() == "ap-guangzhou"
    assert await metadata.zone() == "ap-guangzhou-3"
    assert await metadata.mac() == "52:54:00:ab:cd:ef"
    role = await metadata.role_name()
    keys = await metadata.role_credential(role)
    await metadata.close()
    assert (keys.secret_id, keys.secret_key, keys.token) == ("AKIDtmp", "secretTmp", "t" * 4096)
    assert keys.expires_at_s is not None
    assert keys.expires_at_s - time.monotonic() == pytest.approx(7200, abs=5)
    assert "secretTmp" not in repr(keys)
    assert "tttt" not in repr(keys)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (text(""), "shape"),
        (text("<html>captive portal</html>"), "shape"),
        (text("ins-" + "a" * 33), "shape"),
        (http(b"\xff\xfe"), "shape"),
        (http(b"", status="404 Not Found"), "there is none"),
        (http(b"", status="500 No"), "HTTP status 500"),
        (http(b"", status="302 Found", extra="Location: /x\r\n"), "HTTP status 302"),
        (http(b"x" * 70_000), "larger than"),
        (b"", "no answer within"),
        (b"nonsense\r\n\r\n", "instance-id"),
    ],
)
async def test_an_answer_that_is_none(make_stub: MakeStub, reply: bytes, message: str) -> None:
    with pytest.raises(MetadataError, match=message):
        await ask(make_stub, reply, Metadata.instance_id)


async def test_a_spot_instance_has_an_end_or_none(make_stub: MakeStub) -> None:
    assert await ask(make_stub, http(b"", status="404 Not Found"), Metadata.spot_termination) is None
    assert await ask(make_stub, text("2018-08-18 12:05:33"), Metadata.spot_termination) == "2018-08-18 12:05:33"
    with pytest.raises(MetadataError, match="HTTP status 500"):
        await ask(make_stub, http(b"", status="500 No"), Metadata.spot_termination)


async def test_a_service_that_is_not_there() -> None:
    metadata = Metadata("http://127.0.0.1:1")
    with pytest.raises(MetadataError):
        await metadata.region()
    await metadata.close()


async def test_a_slow_service_is_given_up_as_a_whole(make_stub: MakeStub) -> None:
    stub = await make_stub(lambda _: asyncio.sleep(5, b""))
    metadata = Metadata(stub.url, timeout_s=0.05)
    with pytest.raises(MetadataError, match=r"no answer within 0\.05 s"):
        await metadata.mac()
    await metadata.close()


async def test_a_role_that_could_lead_elsewhere_is_not_asked_for(make_stub: MakeStub) -> None:
    stub = await make_stub(lambda _: text("{}"))
    metadata = Metadata(stub.url)
    with pytest.raises(MetadataError, match="not a role"):
        await metadata.role_credential("../../user-data")
    await metadata.close()
    assert stub.asked == []


@pytest.mark.parametrize(
    "body",
    ["", "null", "[]", "{}", "[" * 60_000, json.dumps({**KEYS, "Code": "Failed"}), json.dumps(KEYS)[:-1]],
)
async def test_credentials_that_are_none(make_stub: MakeStub, body: str) -> None:
    with pytest.raises(MetadataError) as caught:
        await ask(make_stub, text(body), lambda metadata: metadata.role_credential("role"))
    assert "secretTmp" not in str(caught.value)


@pytest.mark.parametrize("key", ["TmpSecretId", "TmpSecretKey", "Token", "ExpiredTime"])
@given(value=st.none() | st.integers(max_value=0) | st.sampled_from(["", "\xe4", "a\nb", "x" * 9000, [], True]))
def test_each_field_is_checked(key: str, value: Any) -> None:
    with pytest.raises(MetadataError, match=key):
        _credential({**KEYS, "ExpiredTime": 2_000_000_000, key: value}, "path")


@given(st.floats() | st.integers())
def test_any_expiry_is_a_time_or_an_error(value: float) -> None:
    def parse() -> Credential | None:
        try:
            return _credential({**KEYS, "ExpiredTime": value}, "path")
        except MetadataError:
            return None

    credential = parse()
    assert (credential is not None) == (0 < value < 253402300800)
