"""Takes the picture of the status page that the README shows.

python -m tests.system.shot docs/status-page.png && pngquant --force --ext .png --strip 128 docs/status-page.png
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.system.browser import Browser
from tests.system.loopback import LoopbackPair

WIDTH = 900
SETTLE_S = 1.0


async def take(file: Path) -> None:
    """Let web-a take over from a lost host and, before and after that, by request; then look at it."""
    with tempfile.TemporaryDirectory() as folder, Browser() as browser:
        async with LoopbackPair(Path(folder), "127.77.41", checked=True) as pair:
            first, _ = pair.actors
            for _ in range(3):
                await pair.failover()
            await pair.lose_master()
            await asyncio.sleep(SETTLE_S)
            await asyncio.to_thread(browser.look_at, pair.url(first, "/?refresh=off"), width=WIDTH)
            await asyncio.to_thread(browser.picture, file)


if __name__ == "__main__":
    asyncio.run(take(Path(sys.argv[1])))
