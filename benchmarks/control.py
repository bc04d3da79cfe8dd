"""Whether the control socket can disturb the heartbeats, and how fast it answers.

    python -m benchmarks.control [--seconds 10] [--clients 1000]

A real daemon under a process that plays the cloud sends its heartbeats, one every 100 ms, to a socket that notes by
the kernel's clock when each arrives. Meanwhile so many connections ask for the status again and again, all at once,
and one more sends requests and reads nothing. A heartbeat's delay is by how much the gap before it exceeds the
interval. Then the status is asked for, one request at a time, in each state of the daemon and of the API.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from http.client import HTTPConnection
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from hafailover.control import client
from hafailover.errors import HafailoverError
from tests import ports
from tests.unit.daemon.daemons import PROGRAM, Daemon, make

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

INTERVAL_S = 0.1
PATIENCE_S = 30.0
STATUS = b'{"command":"status"}\n'
ASKED = 200  # requests, one after another, for each figure of the status
SO_TIMESTAMPNS = 35  # asm-generic/socket.h; the socket module does not name it
STAMP = struct.Struct("@qq")


class Ear:
    """Where the daemon's heartbeats arrive: the socket of a peer that never says anything."""

    def __init__(self, port: int) -> None:
        self.arrivals_s: list[float] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.bind(("127.0.0.1", port))
        asyncio.get_running_loop().add_reader(self._socket, self._hear)

    def _hear(self) -> None:
        while True:
            try:
                _, notes, _, _ = self._socket.recvmsg(2048, 64)
            except BlockingIOError:
                return
            seconds, nanoseconds = STAMP.unpack(notes[0][2][: STAMP.size])
            self.arrivals_s.append(seconds + nanoseconds / 1e9)

    def delays_ms(self) -> list[float]:
        """Return by how much each gap since the last call exceeds the interval."""
        arrivals, self.arrivals_s = self.arrivals_s, self.arrivals_s[-1:]
        gaps = (later - earlier for earlier, later in pairwise(arrivals))
        return [max(0.0, gap - INTERVAL_S) * 1000 for gap in gaps]

    def close(self) -> None:
        """Stop listening."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()


async def crowd(path: Path, clients: int, until_s: float) -> tuple[int, int]:
    """Let so many connections ask again and again; return how many answers and polite refusals there were."""
    answered = refused = 0

    async def one() -> None:
        nonlocal answered, refused
        while time.monotonic() < until_s:
            try:
                reader, writer = await asyncio.open_unix_connection(str(path), limit=2**20)
            except OSError:  # a full backlog is not waited for
                await asyncio.sleep(0.05)
                continue
            try:
                while time.monotonic() < until_s:
                    writer.write(STATUS)
                    reply = json.loads(await reader.readline() or b"{}")
                    answered += bool(reply.get("ok"))
                    if not reply.get("ok"):
                        refused += bool(reply)
                        break
            except (OSError, ValueError):
                pass
            finally:
                writer.close()
            await asyncio.sleep(0.1)

    await asyncio.gather(*(one() for _ in range(clients)))
    return answered, refused


def deaf(path: Path) -> socket.socket:
    """Return a connection that has sent as many requests as fit, and reads nothing."""
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(path))
    sock.setblocking(False)
    try:
        for _ in range(100_000):
            sock.send(STATUS * 100)
    except BlockingIOError:
        pass
    return sock


def ask_ms(path: Path) -> list[float]:
    """Return what each of so many requests for the status took, with a connection of its own."""
    took = []
    for _ in range(ASKED):
        began = time.perf_counter()
        client.request(path, {"command": "status"}, PATIENCE_S)
        took.append((time.perf_counter() - began) * 1000)
        time.sleep(0.01)
    return took


def told(name: str, values: list[float], limit_ms: float) -> str:
    """Return a line of figures, with whether the limit held."""
    ordered = sorted(values)
    worst, high = ordered[-1], ordered[int(len(ordered) * 0.99)]
    verdict = "ok" if worst <= limit_ms else f"MISSED: {sum(value > limit_ms for value in values)} above"
    text = f"median {statistics.median(values):.2f}, 99 % {high:.2f}, worst {worst:.2f} ms of {len(values)}"
    return f"  {name:<44} {text}; limit {limit_ms:g} ms {verdict}"


class Cloud:
    """The emulator in a process of its own."""

    def __init__(self) -> None:
        self.port, metadata = ports.free(socket.SOCK_STREAM), ports.free(socket.SOCK_STREAM)
        words = ("emulator", "--latency", "20ms", "--listen", f"127.0.0.1:{self.port}")
        self._process = subprocess.Popen(
            [*PROGRAM, *words, "--metadata-listen", f"127.0.0.1:{metadata}"], stdout=subprocess.PIPE
        )
        if self._process.stdout is not None:
            self._process.stdout.readline()  # it listens

    @property
    def url(self) -> str:
        """Where its API is."""
        return f"http://127.0.0.1:{self.port}"

    def fault(self, **body: object) -> None:
        """Have something go wrong, or with `clear` no longer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        connection.request("POST", "/_emulator/faults", json.dumps(body))
        connection.getresponse().read()
        connection.close()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


@asynccontextmanager
async def running(folder: Path, cloud: Cloud) -> AsyncIterator[tuple[Daemon, Ear]]:
    """Run the first daemon of a pair, and listen in the place of the second."""
    first, second = make(folder, api=cloud.url)
    text = first.config.read_text().replace('audit_interval = "30s"', "")
    first.config.write_text(text.replace("[cloud]", '[cloud]\naudit_interval = "1s"'))
    ear = Ear(second.port)
    await first.start()
    try:
        await first.until("MASTER")
        yield first, ear
    finally:
        await first.end()
        ear.close()


async def measure(seconds: float, clients: int) -> list[str]:
    """Return the page, line by line."""
    cloud = Cloud()
    lines = [
        f"{os.cpu_count()} cores, heartbeats every {INTERVAL_S * 1000:g} ms; {clients} connections at once",
        "",
    ]
    try:
        with tempfile.TemporaryDirectory() as folder:
            async with running(Path(folder), cloud) as (daemon, ear):
                lines += await _heartbeats(daemon, ear, seconds, clients)
                lines += await _status(daemon, cloud)
    finally:
        cloud.close()
    return lines


async def _heartbeats(daemon: Daemon, ear: Ear, seconds: float, clients: int) -> list[str]:
    ear.delays_ms()
    await asyncio.sleep(seconds)
    quiet = ear.delays_ms()
    worker = await asyncio.create_subprocess_exec(
        *("nice", sys.executable, "-m", "benchmarks.control", "--crowd", str(daemon.socket)),
        *("--seconds", str(seconds), "--clients", str(clients)),
        stdout=asyncio.subprocess.PIPE,
    )
    silent = await asyncio.to_thread(deaf, daemon.socket)
    said, _ = await asyncio.wait_for(worker.communicate(), seconds + PATIENCE_S)
    silent.close()
    return [
        "by how much a heartbeat is late",
        told("at rest", quiet, 20),
        told(f"{clients} connections, one that never reads", ear.delays_ms(), 20),
        f"  meanwhile: {said.decode().strip()}",
        "",
    ]


async def _status(daemon: Daemon, cloud: Cloud) -> list[str]:
    async def figure(name: str) -> str:
        return told(name, await asyncio.to_thread(ask_ms, daemon.socket), 50)

    lines = ["until the status is there, connection included", await figure("master, at rest")]
    cloud.fault(kind="hang-before", ms=20_000)
    await asyncio.sleep(1.5)
    lines.append(await figure("master, an API call hangs"))
    cloud.fault(clear=True)
    reply = await daemon.ask("drain")
    lines.append(await figure(f"drained ({reply['groups'][0]['fate']})"))
    return lines


def main() -> int:
    """Print the page; return 1 where a limit was missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=1_000)
    parser.add_argument("--crowd", type=Path, help="only be the crowd at this socket")
    args = parser.parse_args()
    if args.crowd is not None:
        answered, refused = asyncio.run(crowd(args.crowd, args.clients, time.monotonic() + args.seconds))
        sys.stdout.write(
            f"{answered / args.seconds:.0f} answers and {refused / args.seconds:.0f} refusals a second\n"
        )
        return 0
    try:
        lines = asyncio.run(measure(args.seconds, args.clients))
    except HafailoverError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if any("MISSED" in line for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
