"""What may hang, in a thread for which nobody waits."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hafailover.broker.aside import Aside


async def test_what_it_returns_or_raises_is_passed_on_one_after_the_other() -> None:
    aside = Aside("test")
    for number in range(20):
        assert await aside.run(lambda number=number: number, 5) == number  # type: ignore[misc]
    with pytest.raises(ZeroDivisionError):
        await aside.run(lambda: 1 // 0, 5)
    assert await aside.run(threading.current_thread, 5) is not threading.main_thread()


async def test_what_hangs_is_given_up_and_nothing_else_begins_meanwhile() -> None:
    aside, release = Aside("test"), threading.Event()
    with pytest.raises(TimeoutError):
        await aside.run(release.wait, 0.01)
    with pytest.raises(TimeoutError):
        await aside.run(lambda: 1, 5)
    release.set()
    async with asyncio.timeout(5):
        while True:
            try:
                assert await aside.run(lambda: 2, 5) == 2
            except TimeoutError:
                await asyncio.sleep(0.01)
            else:
                return


def test_nobody_waits_for_it_at_the_end() -> None:
    release = threading.Event()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await Aside("test").run(lambda: release.wait(30), 0.01)

    asyncio.run(main())
    hanging = [thread for thread in threading.enumerate() if thread.name == "test" and thread.is_alive()]
    assert [thread.daemon for thread in hanging] == [True]
    release.set()
