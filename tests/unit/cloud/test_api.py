from __future__ import annotations

import asyncio
import gzip
import json
import logging
import ssl
import subprocess
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from hafailover.cloud import transport
from hafailover.cloud.api import Api, ApiCall, Endpoint
from hafailover.cloud.credentials import EnvironmentCredentials
from hafailover.errors import CloudError, StartError
from tests.unit.cloud.stub import KEYS, Asked, MakeStub, Stub, answer, error, http, settings

if TYPE_CHECKING:
    from pathlib import Path

MIGRATE = "MigratePrivateIpAddress"


def make_api(url: str, calls: list[ApiCall] | None = None, **changes: Any) -> Api:
    observer = calls.append if calls is not None else lambda _call: None
    environ = changes.pop("environ", KEYS)
    return Api(settings(url, **changes), EnvironmentCredentials(environ), "ap-test", observer)


async def code_of(stub: Stub, **changes: Any) -> str:
    """Return the code with which one call to the stub ends."""
    calls: list[ApiCall] = []
    api = make_api(stub.url, calls, **changes)
    raised = "OK"
    try:
        await api.call(MIGRATE, {"PrivateIpAddress": "10.0.0.100"})
    except CloudError as error:
        raised = error.code
    await api.close()
    assert [call.code for call in calls] == [raised]
    return raised


@pytest.mark.parametrize(
    ("text", "protocol", "host"),
    [
        ("vpc.tencentcloudapi.com", "https", "vpc.tencentcloudapi.com"),
        ("https://vpc.internal.tencentcloudapi.com/", "https", "vpc.internal.tencentcloudapi.com"),
        ("http://127.77.0.1:9080", "http", "127.77.0.1:9080"),
    ],
)
def test_endpoints(text: str, protocol: str, host: str) -> None:
    endpoint = Endpoint.parse(text)
    assert (endpoint.protocol, endpoint.host, endpoint.url) == (protocol, host, f"{protocol}://{host}/")


@pytest.mark.parametrize("text", ["", "ftp://host", "http://", "http://host/path", "host?x=1", "http://[::1"])
def test_what_is_no_endpoint(text: str) -> None:
    with pytest.raises(ValueError, match=r"neither|Invalid"):
        Endpoint.parse(text)


async def test_a_request_is_signed_in_english_and_keeps_its_connection(make_stub: MakeStub) -> None:
    stub = await make_stub(lambda _: answer(Answer=1))
    calls: list[ApiCall] = []
    api = make_api(stub.url, calls, environ={**KEYS, "TENCENTCLOUD_TOKEN": "t" * 4096})
    for _ in range(3):
        assert (await api.call(MIGRATE, {"PrivateIpAddress": "10.0.0.100"}))["Answer"] == 1
    await api.call("DescribeInstancesStatus", {}, service="cvm")
    await api.close()
    first = stub.asked[0]
    assert first.body == {"PrivateIpAddress": "10.0.0.100"}
    assert first.headers["x-tc-region"] == "ap-test"
    assert first.headers["x-tc-language"] == "en-US"
    assert first.headers["x-tc-token"] == "t" * 4096
    assert first.headers["host"] == f"127.0.0.1:{stub.port}"
    assert "/vpc/tc3_request" in first.headers["authorization"]
    assert "/cvm/tc3_request" in stub.asked[3].headers["authorization"]
    assert len({asked.port for asked in stub.asked}) == 1
    assert [(call.code, call.request_id) for call in calls] == [("OK", "req-1")] * 4
    assert all(0 < (call.to_wire_s or 0) < call.seconds for call in calls)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (error("UnsupportedOperation.InvalidState"), "UnsupportedOperation.InvalidState"),
        (
            http(error("ResourceInUse").split(b"\r\n\r\n")[1], content_type="application/json; charset=utf-8"),
            "ResourceInUse",
        ),
        (http(error("ResourceInUse").split(b"\r\n\r\n")[1], content_type="text/html"), "ResourceInUse"),
        (http(b"<html>", status="502 Bad Gateway", content_type="text/html"), "ServerNetworkError"),
        (http(error("ResourceInUse").split(b"\r\n\r\n")[1], status="500 No"), "ServerNetworkError"),
        (http(b"", status="302 Found", extra="Location: http://127.0.0.1:1/\r\n"), "ServerNetworkError"),
        (http(b""), "ClientBadReply"),
        (http(b"not json"), "ClientBadReply"),
        (http(b"[" * 200_000), "ClientBadReply"),
        (http(b'{"Response": ' + b"9" * 5000 + b"}"), "ClientBadReply"),
        (http(b"{}"), "ClientBadReply"),
        (http(b'{"Response": null}'), "ClientBadReply"),
        (http(b'{"Response": {}}'), "ClientBadReply"),
        (http(b'{"Response": {"RequestId": ""}}'), "ClientBadReply"),
        (http(b'{"Response": {"RequestId": 7}}'), "ClientBadReply"),
        (http(b'{"Response": {"Error": {"Code": "A", "Message": ""}}}'), "ClientBadReply"),
        (http(b'{"Response": {"Error": null, "RequestId": "r"}}'), "ClientBadReply"),
        (error("no code at all"), "ClientBadReply"),
        (error("ClientConnectError"), "ClientBadReply"),
        (answer(Error={"Code": 5, "Message": "x"}), "ClientBadReply"),
        (http(gzip.compress(answer().split(b"\r\n\r\n")[1]), extra="Content-Encoding: gzip\r\n"), "ClientBadReply"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", "ClientNetworkError"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "ClientNetworkError"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "ClientNetworkError"),
    ],
)
async def test_every_kind_of_answer_ends_with_a_code(make_stub: MakeStub, reply: bytes, code: str) -> None:
    def play(_asked: Asked) -> None:
        stub.writers[-1].write(reply)  # and then the end of the connection, also where the answer breaks off

    stub = await make_stub(play)
    assert await code_of(stub) == code


async def test_a_deprecated_action_still_answers(make_stub: MakeStub) -> None:
    stub = await make_stub(lambda _: answer(DeprecatedWarning="use another"))
    with pytest.warns(DeprecationWarning, match="use another"):
        assert await code_of(stub) == "OK"


async def test_an_answer_without_end_is_cut_off(make_stub: MakeStub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hafailover.cloud.api.API_LIMIT_BYTES", 1000)
    stub = await make_stub(lambda _: http(b"x" * 1001))
    assert await code_of(stub) == "ClientNetworkError"
    stub.script = lambda _: answer(Fill="x" * 900)
    assert await code_of(stub) == "OK"


async def test_what_was_never_sent_is_told_from_what_was(make_stub: MakeStub) -> None:
    silent = await make_stub(lambda _: asyncio.sleep(5, b""))
    assert await code_of(silent, timeout_ms=1000) == "ClientTimeout"
    gone = await make_stub(lambda _: None)
    assert await code_of(gone) == "ClientNetworkError"
    assert await code_of(Stub(lambda _: None, port=1)) == "ClientConnectError"
    assert await code_of(gone, environ={}) == "ClientCredentials"
    assert len(gone.asked) == 1


async def test_a_connection_that_never_comes_about_leaves_nothing_sent() -> None:
    async def mute(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    calls: list[ApiCall] = []
    port = server.sockets[0].getsockname()[1]
    api = make_api(f"https://127.0.0.1:{port}", calls, timeout_ms=100)  # a TLS handshake that gets no answer
    with pytest.raises(CloudError):
        await api.call(MIGRATE, {})
    await api.close()
    server.close()
    for writer in writers:
        writer.transport.abort()
    assert [call.code for call in calls] == ["ClientConnectError"]
    assert calls[0].to_wire_s is None


@pytest.mark.parametrize(("timeout_s", "connect_s"), [(1.0, 0.45), (3.0, 0.9), (60.0, 0.9)])
async def test_no_connection_comes_about_by_a_packet_that_the_kernel_repeats(
    timeout_s: float, connect_s: float
) -> None:
    client = transport.http_client(tls=False, limit_bytes=1, timeout_s=timeout_s)
    assert client.timeout.connect == connect_s
    await client.aclose()


async def test_the_deadline_is_for_the_whole_answer_and_the_pool_survives_it(make_stub: MakeStub) -> None:
    async def dribble(_asked: Asked) -> bytes | None:
        writer = stub.writers[-1]
        while not writer.is_closing():
            writer.write(b"H")
            await asyncio.sleep(0.01)
        return None

    stub = await make_stub(dribble)
    calls: list[ApiCall] = []
    api = make_api(stub.url, calls, timeout_ms=100)
    for _ in range(4):
        with pytest.raises(CloudError):
            await api.call(MIGRATE, {})
    stub.script = lambda _: answer()
    api._timeout_s = 5
    await api.call(MIGRATE, {})
    await api.close()
    assert [call.code for call in calls] == ["ClientTimeout"] * 4 + ["OK"]
    assert max(call.seconds for call in calls[:4]) < 5


async def test_a_proxy_in_the_environment_is_not_used(make_stub: MakeStub, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    stub = await make_stub(lambda _: answer())
    assert await code_of(stub) == "OK"


def test_a_proxy_that_the_sdk_cannot_live_with_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    with pytest.raises(StartError, match="unset ALL_PROXY"):
        make_api("http://127.0.0.1:1")


async def test_the_date_header_tells_how_far_the_clocks_are_apart(make_stub: MakeStub) -> None:
    extra = f"Date: {formatdate(time.time() + 600, usegmt=True)}\r\n"
    stub = await make_stub(lambda _: http(answer().split(b"\r\n\r\n")[1], extra=extra))
    calls: list[ApiCall] = []
    api = make_api(stub.url, calls)
    await api.call(MIGRATE, {})
    stub.script = lambda _: http(answer().split(b"\r\n\r\n")[1], extra="Date: tomorrow\r\n")
    await api.call(MIGRATE, {})
    await api.close()
    assert calls[0].clock_offset_s == pytest.approx(600, abs=2)
    assert calls[1].clock_offset_s is None


async def test_a_refused_token_makes_the_source_look_again(make_stub: MakeStub) -> None:
    stub = await make_stub(lambda _: error("AuthFailure.TokenFailure"))
    environ = {**KEYS, "TENCENTCLOUD_TOKEN": "old"}
    api = make_api(stub.url, environ=environ)
    for token in ("new", "new"):
        with pytest.raises(CloudError):
            await api.call(MIGRATE, {})
        environ["TENCENTCLOUD_TOKEN"] = token
    await api.close()
    assert [asked.headers["x-tc-token"] for asked in stub.asked] == ["old", "new"]


async def test_warm_opens_the_connection_once_and_never_raises(make_stub: MakeStub) -> None:
    stub = await make_stub(lambda _: answer())
    api = make_api(stub.url)
    await api.warm()
    await api.warm()
    await api.call(MIGRATE, {})
    await api.warm()
    await api.close()
    assert [asked.method for asked in stub.asked] == ["GET", "POST"]
    assert len({asked.port for asked in stub.asked}) == 1
    for url, environ in (("http://127.0.0.1:1", KEYS), (stub.url, {})):
        other = make_api(url, environ=environ)
        await other.warm()
        await other.close()
        await other.warm()
    assert len(stub.asked) == 2


async def test_no_secret_reaches_the_log(make_stub: MakeStub, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    stub = await make_stub(lambda _: error("AuthFailure.SignatureFailure", "bad\nsignature\x1b"))
    calls: list[ApiCall] = []
    api = make_api(stub.url, calls, environ={**KEYS, "TENCENTCLOUD_TOKEN": "theToken"})
    with pytest.raises(CloudError) as caught:
        await api.call(MIGRATE, {})
    await api.close()
    told = caplog.text + repr(calls) + str(caught.value) + repr(caught.value.__cause__)
    assert KEYS["TENCENTCLOUD_SECRET_KEY"] not in told
    assert "theToken" not in told
    assert calls[0].detail == "bad signature "


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(  # noqa: ASYNC221 - nothing else runs yet
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {key} -out {cert}"
        " -subj /CN=localhost -addext subjectAltName=DNS:localhost".split(),
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    stub = Stub(lambda _: answer())
    server = await asyncio.start_server(stub.serve, "localhost", 0, ssl=context)
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    api = make_api(url)
    with pytest.raises(CloudError, match="CERTIFICATE_VERIFY_FAILED") as caught:
        await api.call(MIGRATE, {})
    await api.close()
    await stub.stop(server)
    assert caught.value.code == "ClientConnectError"
    assert stub.asked == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["Response", "Error", "Code", "Message", "RequestId", "x"]), inner)
    ),
    max_leaves=8,
)


@limits(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=30) | JSON.map(lambda value: json.dumps(value).encode()))
def test_a_body_of_any_shape_ends_as_an_answer_or_a_cloud_error(body: bytes) -> None:
    async def ask() -> str:
        stub = Stub(lambda _: http(body))
        server = await asyncio.start_server(stub.serve, "127.0.0.1", 0)
        stub.port = server.sockets[0].getsockname()[1]
        code = await code_of(stub)
        await stub.stop(server)
        return code

    code = asyncio.run(ask())
    assert code in ("OK", "ClientBadReply") or code in body.decode()


def test_keepalive_outlives_the_audit_interval() -> None:
    assert settings("").audit_interval_ms / 1000 < transport.KEEPALIVE_EXPIRY_S
