"""`hafailover demo`: a planned hand-over and a lost node, measured by a client; on loopback and without root."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hafailover.control import client as control
from hafailover.demo import troupe
from hafailover.demo.client import Client
from hafailover.demo.fabric import Fabric
from hafailover.demo.timeline import Timeline
from hafailover.demo.troupe import Actor
from hafailover.emulator import world
from hafailover.emulator.network import InstanceState
from hafailover.emulator.server import Emulator, Options
from hafailover.errors import HafailoverError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable

    from hafailover.demo.client import Seen

API_MS, TASK_MS, DEAD_MS, SLACK_MS = 100, 500, 300, 20
PROMISE_S = (DEAD_MS + API_MS + TASK_MS + SLACK_MS) / 1000
DOOR = ("127.77.0.100", 8080)  # where the client reaches the address
CLOUD = ("127.77.0.1", 9080)
METADATA = ("127.77.0.1", 9081)
SETTLE_S = 1.0
ACT_S = 10.0
LOOK_S = 0.05


def add_arguments(parser: ArgumentParser) -> None:
    """Add what `run` reads."""
    parser.add_argument("--keep", action="store_true", help="leave it running and print what to try, until Ctrl-C")


def run(args: Namespace) -> int:
    """Show it; return 0 if what was seen is what is promised."""
    line = Timeline()
    try:
        with tempfile.TemporaryDirectory(prefix="hafailover-demo-") as folder:
            return asyncio.run(Demo(Path(folder), line).run(keep=args.keep))
    except KeyboardInterrupt:
        return 0
    except asyncio.CancelledError:
        return 1
    except (OSError, HafailoverError, TimeoutError) as error:
        line.say(f"hafailover demo: {error or 'it took too long'}")
        return 1


class Demo:
    """The stage: an emulated cloud, two daemons, the fabric between them and a client."""

    def __init__(self, folder: Path, line: Timeline) -> None:
        self._folder = folder
        self._line = line
        self._kept: list[str] = []
        self.actors = (
            Actor("web-a", "127.77.0.11", "eni-aaaaaaaa", "ins-aaaaaaaa", 100, "AKIDweb-a", "demo-key-of-web-a"),
            Actor("web-b", "127.77.0.12", "eni-bbbbbbbb", "ins-bbbbbbbb", 90, "AKIDweb-b", "demo-key-of-web-b"),
        )
        options = Options(latency_ms=API_MS, task_ms=TASK_MS)
        self._emulator = Emulator(world.build(), options, on_change=lambda _change: self._changed())
        self._fabric = Fabric(DOOR, self.holder)
        self._client = Client(DOOR)
        self._tasks: set[asyncio.Task[None]] = set()

    def holder(self) -> str | None:
        """Return the node whose ENI truly carries the address."""
        eni = self._emulator.model.network.holder_of(world.VIP)
        return next((actor.name for actor in self.actors if actor.eni == eni), None)

    def _changed(self) -> None:
        self._line.note("cloud", f"{world.VIP} is on {self.holder()}")

    def _spawn(self, work: Any) -> None:  # noqa: ANN401 - any coroutine
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def run(self, *, keep: bool) -> int:
        """Play all acts. Raises CancelledError where the demo is told to end before: its daemons end with it."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this is one
        for number in (signal.SIGTERM, signal.SIGHUP):  # `kill`, and a terminal that is closed
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        try:
            await self._open()
            kept = [await self._planned(), await self._lost(), await self._returned()]
            self._line.say("\neverything as promised" if all(kept) else "\nNOT as promised: see above")
            if keep:
                await self._keep()
            return 0 if all(kept) else 1
        finally:
            await self._close()

    async def _open(self) -> None:
        self._line.title(f"two nodes, one address ({world.VIP}), an emulated cloud")
        self._line.say(f"  an API request takes {API_MS} ms, a move has effect {TASK_MS} ms after it was accepted,")
        self._line.say(f"  a silent peer is dead after {DEAD_MS} ms; a client asks the address every 4 ms")
        await self._emulator.start(CLOUD, METADATA)
        for actor in self.actors:
            self._emulator.keys.add(actor.secret_id, actor.secret_key)
        await self._fabric.start()
        values: dict[str, object] = {
            "region": world.REGION,
            "api": f"http://{CLOUD[0]}:{CLOUD[1]}",
            "metadata": f"http://{METADATA[0]}:{METADATA[1]}",
            "vip": world.VIP,
        }
        troupe.write_files(self._folder, self.actors, values)
        first, second = self.actors
        self._spawn(await troupe.start(first, self._folder, self._line.hear))
        await self._until(lambda: first.state() == "MASTER", troupe.START_S)  # alone, else the second may take it
        self._spawn(await troupe.start(second, self._folder, self._line.hear))
        self._spawn(self._client.run())
        await self._until(lambda: self._states() == ["MASTER", "BACKUP"], troupe.START_S)
        await asyncio.sleep(SETTLE_S)

    async def _close(self) -> None:
        await troupe.end(self.actors)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._fabric.close()
        await self._emulator.close()

    def _states(self) -> list[str]:
        return [actor.state() for actor in self.actors]

    async def _until(self, condition: Callable[[], bool], limit_s: float) -> None:
        """Wait for a condition. Raises TimeoutError."""
        async with asyncio.timeout(limit_s):
            while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - it is true in other processes
                await asyncio.sleep(LOOK_S)

    def _begin(self, title: str) -> None:
        self._line.title(title)
        self._client.begin()
        self._line.begin()

    def _verdict(self, promise: str, *, kept: bool) -> bool:
        self._line.say(f"  promised: {promise}   {'ok' if kept else 'BROKEN'}")
        return kept

    def _tell_seen(self, seen: Seen) -> None:
        answered = ", ".join(f"{count} by {node}" for node, count in seen.answered)
        self._line.say(
            f"  client: {seen.sent} questions, {seen.lost} lost ({answered}); "
            f"outage {seen.outage_s * 1000:.0f} ms, longest pause {seen.pause_s * 1000:.0f} ms"
        )

    async def _planned(self) -> bool:
        first, second = self.actors
        self._begin(f"1. hafailover failover vip --to {second.name} --wait")
        asked = {"command": "failover", "group": "vip", "to": second.name, "wait": True, "timeout_s": ACT_S}
        reply = await asyncio.to_thread(control.request, first.socket, asked, ACT_S)
        await asyncio.sleep(SETTLE_S)
        seen = self._client.seen()
        self._tell_seen(seen)
        done = reply.get("master") == second.name and self.holder() == second.name
        return self._verdict("0 lost", kept=done and seen.lost == 0 and seen.sent > 0)

    async def _lost(self) -> bool:
        first, second = self.actors
        self._begin(f"2. the host of {second.name} is lost: no heartbeat, no service, no goodbye")
        self._line.note(second.name, "is gone")
        troupe.freeze(second, frozen=True)
        self._fabric.switch(second.name, on=False)
        self._power(second, InstanceState.STOPPED)
        await self._until(lambda: first.state() == "MASTER", ACT_S)
        await asyncio.sleep(SETTLE_S)
        seen = self._client.seen()
        self._tell_seen(seen)
        status = await asyncio.to_thread(first.status)
        self._line.split(seen.outage_s, status["groups"][0]["last_failover"]["phases_s"]["guard"])
        promise = (
            f"{PROMISE_S * 1000:.0f} ms = dead interval {DEAD_MS} + request {API_MS} + task {TASK_MS} + {SLACK_MS}"
        )
        return self._verdict(promise, kept=0 < seen.outage_s <= PROMISE_S)

    async def _returned(self) -> bool:
        first, second = self.actors
        moves = len(self._emulator.model.history)
        self._begin(f"3. {second.name} comes back, still believing that it is master")
        self._power(second, InstanceState.RUNNING)
        self._fabric.switch(second.name, on=True)
        troupe.freeze(second, frozen=False)
        await self._until(lambda: self._states() == ["MASTER", "BACKUP"], ACT_S)
        await asyncio.sleep(SETTLE_S)
        seen = self._client.seen()
        self._tell_seen(seen)
        moved = len(self._emulator.model.history) - moves
        kept = moved == 0 and seen.lost == 0 and self.holder() == first.name
        return self._verdict("no move, 0 lost", kept=kept)

    def _power(self, actor: Actor, state: InstanceState) -> None:
        """Let the cloud say what has become of a host."""
        self._emulator.model.set_instance_state(actor.instance, state, self._emulator.service.now_ms())

    async def _keep(self) -> None:
        sockets = {actor.name: actor.socket for actor in self.actors}
        program = "hafailover" if shutil.which("hafailover") else sys.argv[0]
        api = f"http://{CLOUD[0]}:{CLOUD[1]}/_emulator"
        self._line.title("it goes on until Ctrl-C; try in another terminal:")
        for command in (
            f"{program} status --socket {sockets['web-a']}",
            f"{program} failover vip --wait --socket {sockets['web-b']}",
            f"{program} history --socket {sockets['web-b']}",
            f"curl http://{self.actors[0].host}:9694/metrics",
            f"curl {api}/state",
            f'curl -d \'{{"kind": "throttle", "count": 3}}\' {api}/faults',
        ):
            self._line.say(f"  {command}")
        pages = " and ".join(f"http://{actor.host}:9694/" for actor in self.actors)
        self._line.say(f"and in a browser: {pages}")
        self._line.begin()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
