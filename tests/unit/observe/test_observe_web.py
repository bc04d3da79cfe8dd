from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hafailover.http1 import Server
from hafailover.observe.metrics import Metrics
from hafailover.observe.page import HEADERS
from hafailover.observe.web import Web
from tests.unit.observe.samples import a_failover

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

STATUS: dict[str, Any] = {
    "groups": [
        {"name": "vip", "state": "MASTER"},
        {"name": "db east", "state": "BACKUP"},
        {"name": "a/b", "state": "RELEASING"},
    ]
}


class Site:
    """A served Web, and what it is told of the daemon."""

    def __init__(self) -> None:
        self.alive = True
        self.missing: dict[str, str] = {}
        web = Web(
            Metrics("web", "web-a"),
            lambda: STATUS,
            lambda: self.alive,
            lambda: self.missing,
            lambda: [a_failover()],
        )
        self.server = Server(web.handle)

    async def ask(self, path: str, method: str = "GET") -> tuple[int, str, str]:
        """Return the status code, the head and the body."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        async with asyncio.timeout(10):
            text = (await reader.read()).decode()
        writer.close()
        await writer.wait_closed()
        head, _, body = text.partition("\r\n\r\n")
        return int(head.split()[1]), head.lower(), body


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    await site.server.start("127.0.0.1", 0)
    yield site
    await site.server.close()


async def test_metrics_are_what_prometheus_reads(site: Site) -> None:
    code, head, body = await site.ask("/metrics")

    assert code == 200
    assert "content-type: text/plain; version=0.0.4; charset=utf-8" in head
    families = {family.name: family for family in text_string_to_metric_families(body)}
    assert families["hafailover_group_is_master"].samples[0].labels["group"] == "vip"


async def test_healthz_says_whether_the_loop_turns(site: Site) -> None:
    code, _, body = await site.ask("/healthz")
    assert (code, body) == (200, "ok\n")
    site.alive = False
    assert (await site.ask("/healthz"))[0] == 503


async def test_readyz_says_what_is_missing(site: Site) -> None:
    code, head, body = await site.ask("/readyz")
    assert (code, body) == (200, '{"ready": true, "missing": {}}\n')
    assert "content-type: application/json" in head

    site.missing = {"credentials": "the metadata service does not answer"}
    code, _, body = await site.ask("/readyz")
    assert code == 503
    assert body == '{"ready": false, "missing": {"credentials": "the metadata service does not answer"}}\n'


@pytest.mark.parametrize(
    ("path", "code", "body"),
    [
        ("/master/vip", 200, "MASTER\n"),
        ("/backup/vip", 503, "MASTER\n"),
        ("/master/db%20east", 503, "BACKUP\n"),
        ("/backup/db%20east", 200, "BACKUP\n"),
        ("/master/a/b", 503, "RELEASING\n"),
        ("/backup/a/b", 503, "RELEASING\n"),
        ("/master/none", 404, "no such group\n"),
        ("/master/", 404, "no such group\n"),
        ("/master", 404, "no such page\n"),
        ("/fault/vip", 404, "no such page\n"),
        ("/metrics/", 404, "no such page\n"),
        ("*", 404, "no such page\n"),
    ],
)
async def test_a_load_balancer_is_told_the_role(site: Site, path: str, code: int, body: str) -> None:
    got = await site.ask(path)

    assert (got[0], got[2]) == (code, body)


async def test_people_get_a_page_that_nothing_may_keep_embed_or_add_to(site: Site) -> None:
    code, head, body = await site.ask("/?group=vip")

    assert code == 200
    assert "content-type: text/html; charset=utf-8" in head
    for name, value in HEADERS:
        assert f"{name}: {value}".lower() in head
    assert body.startswith("<!doctype html>")
    assert body.count("<svg") == 1
    assert 'content="5"' not in (await site.ask("/?refresh=off"))[2]
    assert (await site.ask("/", "HEAD"))[::2] == (200, "")


async def test_head_is_get_without_the_body(site: Site) -> None:
    code, _, body = await site.ask("/master/vip", "HEAD")

    assert (code, body) == (200, "")


async def test_nothing_can_be_changed(site: Site) -> None:
    code, head, _ = await site.ask("/metrics", "POST")

    assert code == 405
    assert "allow: get, head" in head
