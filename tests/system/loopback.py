"""A real pair on loopback beside an emulated cloud: the demo's daemons on addresses of their own."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from hafailover.control import client
from hafailover.demo import troupe
from hafailover.demo.troupe import Actor
from hafailover.emulator import world
from hafailover.emulator.network import InstanceState
from hafailover.emulator.server import Emulator, Options

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATIENCE_S = 60.0
HOLD_DOWN = "1s"  # doubles with every loss, and nothing here waits for ten minutes
LOOK_S = 0.05
KEPT_LINES = 30
METRICS_PORT = 9694
CHECK = """\
[[group.check]]
name = "service"
type = "script"
command = ["/usr/bin/test", "-e", "{folder}/service-is-up"]
interval = "200ms"
timeout = "150ms"
fall = 2
rise = 2
"""


class LoopbackPair:
    """Two daemons, web-a of priority 100 and web-b of 90; `block` is the first three bytes of their addresses.

    A context manager: entered, web-a is master and web-b its backup.
    """

    def __init__(self, folder: Path, block: str, *, checked: bool = False) -> None:
        self._folder = folder
        self._block = block
        self._checked = checked
        self.actors = (
            Actor("web-a", f"{block}.11", "eni-aaaaaaaa", "ins-aaaaaaaa", 100, "AKIDweb-a", "key-of-web-a"),
            Actor("web-b", f"{block}.12", "eni-bbbbbbbb", "ins-bbbbbbbb", 90, "AKIDweb-b", "key-of-web-b"),
        )
        self.emulator = Emulator(world.build(), Options(latency_ms=50, task_ms=300))
        self._said: deque[str] = deque(maxlen=KEPT_LINES)
        self._listening: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self.emulator.start((f"{self._block}.1", 0), (f"{self._block}.1", 0))
        try:
            await self._start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await troupe.end(self.actors)
        await asyncio.gather(*self._listening, return_exceptions=True)
        await self.emulator.close()

    async def _start(self) -> None:
        values: dict[str, object] = {
            "region": world.REGION,
            "api": f"http://{self._block}.1:{self.emulator.api_port}",
            "metadata": f"http://{self._block}.1:{self.emulator.metadata_port}",
            "vip": world.VIP,
        }
        troupe.write_files(self._folder, self.actors, values)
        self.service(up=True)
        for actor in self.actors:
            self.emulator.keys.add(actor.secret_id, actor.secret_key)
            self._adapt(self._folder / f"{actor.name}.toml")
            self._listening.append(await troupe.start(actor, self._folder, self._hear))
            # One after the other: a backup that is up long before the holder's daemon takes the address.
            settled = ["MASTER", "unreachable"] if actor is self.actors[0] else ["MASTER", "BACKUP"]
            await self.until(partial(self._are, settled))

    def _adapt(self, file: Path) -> None:
        text = file.read_text().replace("[[group]]\n", f'[[group]]\nhold_down = "{HOLD_DOWN}"\n')
        file.write_text(text + (CHECK.format(folder=self._folder) if self._checked else ""))

    def service(self, *, up: bool) -> None:
        """Let the checks of both nodes, if there are any, say that the service is up or down."""
        file = self._folder / "service-is-up"
        file.touch() if up else file.unlink()

    def _are(self, states: list[str]) -> bool:
        return self.states() == states

    def states(self) -> list[str]:
        """Return what each daemon says of its state."""
        return [actor.state() for actor in self.actors]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition. Raises TimeoutError, with what the daemons have said last."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - it is true in other processes
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            raise TimeoutError("\n".join(self._said)) from None

    def _hear(self, who: str, line: dict[str, Any]) -> None:
        self._said.append(f"{who} {line}")

    async def failover(self) -> dict[str, Any]:
        """Hand over to the backup, once that could take over, and return the master's answer when that is done.

        Raises TimeoutError, with the reason, where it is refused for all the time.
        """
        await self.until(lambda: sorted(self.states()) == ["BACKUP", "MASTER"])
        master = self.actors[self.states().index("MASTER")]
        asked = {"command": "failover", "group": "vip", "wait": True, "timeout_s": PATIENCE_S}
        deadline_s = time.monotonic() + PATIENCE_S
        while not (reply := await asyncio.to_thread(client.request, master.socket, asked, PATIENCE_S))["ok"]:
            if time.monotonic() > deadline_s:
                raise TimeoutError(reply["error"])
            await asyncio.sleep(LOOK_S)
        return reply

    async def lose_master(self) -> None:
        """Let the master's host be lost, and come back once the other has taken over."""
        states = self.states()
        gone, other = self.actors[states.index("MASTER")], self.actors[states.index("BACKUP")]
        model, now_ms = self.emulator.model, self.emulator.service.now_ms
        troupe.freeze(gone, frozen=True)
        model.set_instance_state(gone.instance, InstanceState.STOPPED, now_ms())
        await self.until(lambda: other.state() == "MASTER")
        model.set_instance_state(gone.instance, InstanceState.RUNNING, now_ms())
        troupe.freeze(gone, frozen=False)
        await self.until(lambda: sorted(self.states()) == ["BACKUP", "MASTER"])

    def url(self, actor: Actor, path: str = "/") -> str:
        """Return the address of a page of a node."""
        return f"http://{actor.host}:{METRICS_PORT}{path}"
