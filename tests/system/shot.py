"""Takes the picture of the status page that the README shows: python -m tests.system.shot docs/status-page.png"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from hafailover.demo import troupe
from hafailover.emulator.network import InstanceState
from tests.system.browser import Browser
from tests.system.loopback import LoopbackPair

WIDTH = 900


async def take(file: Path) -> None:
    """Let web-a take over from a lost host and, before and after that, by request; then look at it."""
    with tempfile.TemporaryDirectory() as folder, Browser() as browser:
        async with LoopbackPair(Path(folder), "127.77.41", checked=True) as pair:
            first, _ = pair.actors
            for _ in range(3):
                await pair.failover()
            await _lose_host_of_second(pair)
            await asyncio.to_thread(browser.look_at, pair.url(first, "/?refresh=off"), width=WIDTH)
            await asyncio.to_thread(browser.picture, file)


async def _lose_host_of_second(pair: LoopbackPair) -> None:
    first, second = pair.actors
    model, now_ms = pair.emulator.model, pair.emulator.service.now_ms
    troupe.freeze(second, frozen=True)
    model.set_instance_state(second.instance, InstanceState.STOPPED, now_ms())
    await pair.until(lambda: first.state() == "MASTER")
    model.set_instance_state(second.instance, InstanceState.RUNNING, now_ms())
    troupe.freeze(second, frozen=False)
    await pair.until(lambda: pair.states() == ["MASTER", "BACKUP"])
    await asyncio.sleep(1)


if __name__ == "__main__":
    asyncio.run(take(Path(sys.argv[1])))
