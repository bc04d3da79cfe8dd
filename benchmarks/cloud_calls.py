"""What a call to the cloud costs: time from `move` to the first byte, CPU and memory, over a warm connection.

    python -m benchmarks.cloud_calls [CALLS]

The API is a process of its own that answers everything with "SUCCESS" at once and says when a request's first
byte arrived; both clocks are the machine's monotonic one.
"""

from __future__ import annotations

import asyncio
import random
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

from hafailover.cloud.client import Cloud
from hafailover.cloud.credentials import EnvironmentCredentials
from hafailover.config.model import Cloud as Settings
from hafailover.election.values import Outcome, Resource, ResourceKind

if TYPE_CHECKING:
    from hafailover.cloud.api import ApiCall

KEYS = {"TENCENTCLOUD_SECRET_ID": "id", "TENCENTCLOUD_SECRET_KEY": "key"}
VIP = Resource(ResourceKind.ADDRESS, "10.0.1.100")
ENIS = ("eni-aaaaaaaa", "eni-bbbbbbbb")
BODY = b'{"Response": {"RequestId": "r", "Status": "SUCCESS"}}'
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY


class Arrivals(asyncio.Protocol):
    """Prints when the first byte of each request arrived, and answers it; needs no more than its head."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self._transport = transport
        self._got = b""
        self._at_s = 0.0

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        if not self._got:
            self._at_s = time.monotonic()
        self._got += data
        head, end, body = self._got.partition(b"\r\n\r\n")
        lengths = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if end and len(body) >= sum(lengths):
            self._got = b""
            print(repr(self._at_s), flush=True)
            if isinstance(self._transport, asyncio.WriteTransport):
                self._transport.write(REPLY)


async def serve() -> None:
    """Be the API; the first line of output is the port."""
    server = await asyncio.get_running_loop().create_server(Arrivals, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def cpu_ms() -> float:
    """Return the CPU time that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) * 1000


def rss_mib() -> float:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


async def measure(port: int, arrivals: IO[str], moves: int) -> str:
    """Move an address to and fro and say what that took; a move is a write and the question how it went."""
    calls: list[ApiCall] = []
    url = f"http://127.0.0.1:{port}"
    settings = Settings(endpoint=url, cvm_endpoint=url)
    rng = random.Random(1)  # noqa: S311 - jitter is not a secret
    source = EnvironmentCredentials(KEYS)
    cloud = Cloud(settings, source, region="ap-guangzhou", observer=calls.append, rng=rng)
    await cloud.warm()
    arrivals.readline()
    first_ms: list[float] = []
    used_ms, used_mib = cpu_ms(), rss_mib()
    for number in range(moves):
        here, there = ENIS[number % 2], ENIS[(number + 1) % 2]
        asked_s = time.monotonic()
        result = await cloud.move(VIP, here, there, deadline_s=5)
        if result.outcome is not Outcome.APPLIED:
            raise RuntimeError(f"the move ended as {result}")
        first_ms.append((float(arrivals.readline()) - asked_s) * 1000)
        arrivals.readline()
    per_call_ms = (cpu_ms() - used_ms) / len(calls)
    await cloud.close()
    return (
        f"move() to first byte at the API, warm, {moves} moves: median {statistics.median(first_ms):.2f} ms,"
        f" worst {max(first_ms):.2f} ms; CPU per call {per_call_ms:.2f} ms;"
        f" RSS {rss_mib():.1f} MiB, {rss_mib() - used_mib:+.1f} over {len(calls)} calls"
    )


def main(moves: int) -> None:
    """Start the API and measure against it."""
    command = [sys.executable, "-m", "benchmarks.cloud_calls", "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            if server.stdout is not None:
                print(asyncio.run(measure(int(server.stdout.readline()), server.stdout, moves)))
        finally:
            server.terminate()


if __name__ == "__main__":
    wanted = sys.argv[1] if len(sys.argv) > 1 else "100"
    if wanted == "serve":
        asyncio.run(serve())
    else:
        main(int(wanted))
