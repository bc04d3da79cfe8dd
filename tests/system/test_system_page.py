"""The status page of a running pair in a real browser."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hafailover.http1 import Request, Response, Server
from hafailover.observe import page
from tests.system.browser import Browser, why_not
from tests.system.loopback import LoopbackPair

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hafailover.demo.troupe import Actor

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

WIDTHS = (1280, 390)
OVERFLOW = """[...document.querySelectorAll('body *')].filter(
    element => element.getBoundingClientRect().right > WIDTH + 0.5).map(element => element.outerHTML)"""
SCROLLING = """[...document.querySelectorAll('section')].filter(
    element => element.scrollWidth > element.clientWidth).map(element => element.innerText.slice(0, 80))"""


@pytest.fixture
def browser() -> Iterator[Browser]:
    if why_not():
        pytest.skip(why_not())
    with Browser() as browser:
        yield browser


class Looks:
    """Looks at a node's page as a wide screen and as a phone do."""

    def __init__(self, browser: Browser, pair: LoopbackPair, folder: Path) -> None:
        self._browser = browser
        self._pair = pair
        self._folder = folder

    async def at(self, actor: Actor, name: str) -> tuple[str, str]:
        """Return the title and the text of the page, once it is seen to be as a page has to be."""
        return await asyncio.to_thread(self._look, self._pair.url(actor), name)

    def _look(self, url: str, name: str) -> tuple[str, str]:
        browser = self._browser
        for width in WIDTHS:
            for dark in (False, True):
                browser.look_at(url, width=width, dark=dark)
                browser.picture(self._folder / f"{name}-{width}-{'dark' if dark else 'light'}.png")
                assert browser.value("document.documentElement.scrollWidth") <= width
                assert overflow(browser, width) == []
                assert browser.value(SCROLLING) == []
                assert browser.complaints() == []
                assert browser.requests() == [url]
                assert (light_of(browser) < 0.3) is dark
        return str(browser.value("document.title")), str(browser.value("document.body.innerText"))

    def widths_of_bars(self) -> list[float]:
        """Return the pixels of each segment of the topmost bar."""
        widths = (
            "[...document.querySelector('svg').querySelectorAll('rect')].map(r => r.getBoundingClientRect().width)"
        )
        return [float(each) for each in self._browser.value(widths)]


def overflow(browser: Browser, width: int) -> list[str]:
    """Return the elements that reach beyond the right edge of a window of this width."""
    found: list[str] = browser.value(OVERFLOW.replace("WIDTH", str(width)))
    return found


def light_of(browser: Browser) -> float:
    """Return how light the page's ground is, 0..1: what the style sheet alone decides."""
    colour = browser.value("getComputedStyle(document.body).backgroundColor")
    return sum(int(part) for part in colour.strip("rgb()").split(",")) / (3 * 255)


async def test_the_page_of_a_pair_through_its_states(browser: Browser, tmp_path: Path) -> None:
    async with LoopbackPair(tmp_path, "127.77.40", checked=True) as pair:
        looks = Looks(browser, pair, tmp_path)
        first, second = pair.actors

        title, text = await looks.at(first, "master")
        assert title == "web-a MASTER - hafailover"
        assert "All is well" in text
        assert "Master: web-a (this node). web-a is MASTER" in text
        assert "None that this node has had a part in." in text
        title, text = await looks.at(second, "backup")
        assert title == "web-b BACKUP - hafailover"
        assert "Master: web-a. web-b is BACKUP: the master is heard." in text

        await pair.failover()
        title, text = await looks.at(second, "taken-over")
        assert title == "web-b MASTER - hafailover"
        assert "vip: web-a → web-b" in text
        assert "cloud: the cloud's API and its move" in text
        assert max(looks.widths_of_bars()) > 100  # on a phone: the picture is there

        pair.service(up=False)
        await pair.until(lambda: pair.states() == ["FAULT", "FAULT"])
        title, text = await looks.at(first, "fault")
        assert title == "web-a FAULT - hafailover"
        assert "check service is down" in text
        assert "no node is known as master" in text


PHONE = '<!doctype html><meta name="viewport" content="width=device-width">'
BAD = {
    "/styled": '<body><p style="color:red">x</p></body>',
    "/script": "<body><script>document.title = 'run'</script></body>",
    "/fetch": '<body><img src="/other"></body>',
    "/wide": "<body><p><span>" + "x" * 2_000 + "</span></p></body>",
}


async def test_the_look_sees_what_it_is_there_to_see(browser: Browser) -> None:
    async def answer(request: Request) -> Response:
        return Response(200, (PHONE + BAD.get(request.path, "")).encode(), page.CONTENT_TYPE, page.HEADERS)

    server = Server(answer)
    await server.start("127.77.40.1", 0)
    try:
        for path in BAD:
            await asyncio.to_thread(browser.look_at, f"http://127.77.40.1:{server.port}{path}", width=390)
            complaints = await asyncio.to_thread(browser.complaints)
            assert any("Content Security Policy" in each for each in complaints) is (path != "/wide"), path
            assert (await asyncio.to_thread(overflow, browser, 390) != []) is (path == "/wide"), path
            assert await asyncio.to_thread(browser.value, "document.title") == ""
    finally:
        await server.close()
