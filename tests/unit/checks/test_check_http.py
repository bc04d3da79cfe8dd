"""Servers are real ones on loopback; what they answer is written by hand, so that it can be wrong."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hafailover.checks import http as module
from hafailover.checks.http import HttpProbe, is_loopback
from hafailover.checks.result import Verdict

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has what it wants
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with listener:
        yield f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"


def says(text: str, *, then_wait: bool = False) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(text.replace("\n", "\r\n").encode())
        await writer.drain()
        if then_wait:
            await asyncio.sleep(60)

    return answer


async def ask(answer: Answer, status: int = 200, timeout_s: float = 10) -> Verdict:
    async with server(answer) as address:
        return await HttpProbe(f"http://{address}/healthz", status).run(timeout_s)


OK = "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"


async def test_asks_as_a_client_would() -> None:
    asked: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with server(answer) as address:
        verdict = await HttpProbe(f"http://{address}/a/b?c=d", 204).run(10)
        assert (verdict.passed, verdict.detail) == (True, "HTTP 204")
        await HttpProbe(f"http://{address}", 204).run(10)
    assert asked[0].splitlines()[0] == "GET /a/b?c=d HTTP/1.1"
    assert f"Host: {address}" in asked[0].splitlines()
    assert "Connection: close" in asked[0].splitlines()
    assert asked[1].splitlines()[0] == "GET / HTTP/1.1"


@pytest.mark.parametrize(
    "text",
    [
        OK,
        "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nok\n0\n\n",
        "HTTP/1.0 200 OK\n\nuntil the connection ends",
        "HTTP/1.1 103 Early Hints\nLink: </a>\n\n" + OK,
    ],
)
async def test_a_whole_answer_with_the_status_expected_passes(text: str) -> None:
    assert await ask(says(text)) == Verdict(passed=True, detail="HTTP 200")


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("HTTP/1.1 503 Service Unavailable\nContent-Length: 0\n\n", "HTTP 503, expected 200"),
        ("HTTP/1.1 302 Found\nLocation: /\nContent-Length: 0\n\n", "HTTP 302, expected 200"),
        ("", "not a valid HTTP answer: "),
        ("SSH-2.0-OpenSSH_9.2\n", "not a valid HTTP answer: "),
        ("HTTP/1.1 200 OK\nContent-Length: 10\n\nshort", "not a valid HTTP answer: "),
        ("HTTP/1.1 200 OK\n" + "X: y\n" * 20_000, "not a valid HTTP answer: "),
    ],
)
async def test_anything_else_fails(text: str, detail: str) -> None:
    verdict = await ask(says(text))
    assert not verdict.passed
    assert verdict.detail.startswith(detail)


async def test_a_redirect_can_be_what_is_expected() -> None:
    assert (await ask(says("HTTP/1.1 302 Found\nLocation: /x\nContent-Length: 0\n\n"), 302)).passed


@pytest.mark.parametrize("begun", ["", "HTTP/1.1 200 OK\n", "HTTP/1.1 200 OK\nContent-Length: 9\n\nhang"])
async def test_the_timeout_bounds_the_whole_answer(begun: str) -> None:
    verdict = await ask(says(begun, then_wait=True), timeout_s=0.1)
    assert (verdict.passed, verdict.detail) == (False, "no answer within 100 ms")


async def test_an_answer_in_drops_does_not_extend_the_timeout() -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in OK * 100:
            writer.write(byte.encode())
            await writer.drain()
            await asyncio.sleep(0.03)

    assert (await ask(answer, timeout_s=0.15)).detail == "no answer within 150 ms"


async def test_an_endless_body_is_not_read_to_its_end() -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 10_000)
            await writer.drain()

    assert (await ask(answer)).passed


async def test_nobody_listening_fails() -> None:
    async with server(says(OK)) as address:
        pass
    verdict = await HttpProbe(f"http://{address}/", 200).run(10)
    assert (verdict.passed, verdict.detail) == (False, "Connection refused")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    key = f"-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {path}"
    argv = f"openssl req -x509 {key} -subj /CN=service.example -days 2 -out {path}.crt".split()
    subprocess.run(argv, check=True, capture_output=True, timeout=30)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@asynccontextmanager
async def tls_server(certificate: Path) -> AsyncIterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with server(says(OK), context) as address:
        yield address


async def test_a_certificate_for_another_name_is_good_enough_on_loopback(certificate: Path) -> None:
    async with tls_server(certificate) as address:
        assert await HttpProbe(f"https://{address}/", 200).run(10) == Verdict(passed=True, detail="HTTP 200")


async def test_elsewhere_a_certificate_must_be_valid(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_loopback", lambda _host: False)
    async with tls_server(certificate) as address:
        verdict = await HttpProbe(f"https://{address}/", 200).run(10)
    assert not verdict.passed
    assert "certificate" in verdict.detail.lower()


async def test_plain_http_on_a_tls_port_and_the_reverse_fail(certificate: Path) -> None:
    async with tls_server(certificate) as address:
        assert not (await HttpProbe(f"http://{address}/", 200).run(2)).passed
    async with server(says(OK)) as address:
        assert not (await HttpProbe(f"https://{address}/", 200).run(0.5)).passed


async def test_a_tls_handshake_that_hangs_is_cut_off() -> None:
    async def mute(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async with server(mute) as address:
        verdict = await HttpProbe(f"https://{address}/", 200).run(0.1)
    assert verdict.detail == "no answer within 100 ms"


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "127.0.0.1:80", "http://", "/healthz"])
def test_another_kind_of_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not a http or https URL"):
        HttpProbe(url, 200)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("web.localhost", True),
        ("10.0.1.17", False),
        ("localhost.example", False),
    ],
)
def test_loopback_is_known_for_certain(host: str, expected: bool) -> None:  # noqa: FBT001 - a table
    assert is_loopback(host) is expected
