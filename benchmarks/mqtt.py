"""What a broker costs and saves: the outage with both paths, ten nodes on one broker, three of them killed.

    python -m benchmarks.mqtt [--runs 5] [--nodes 10] [--groups 20] [--killed 3] [--seconds 10]

Needs root (network namespaces) and Debian's iproute2, nftables and mosquitto. The outages are those of
`benchmarks.failover`: heartbeats every 100 ms, dead after 300 ms, 100 ms per request and 500 ms per move. The ten
nodes run on loopback with the broker as their only path: heartbeats every 100 ms, dead after 1 s, 50 ms per request
and 200 ms per move; the cloud, the broker and all nodes share this machine's cores.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import mean, median

from benchmarks.events import EVENTS
from benchmarks.failover import strike
from benchmarks.systems import Hafailover, ready
from tests.lab.broker import MQTT, Broker
from tests.lab.crowd import Crowd
from tests.lab.fabric import LabError
from tests.lab.lab import Lab
from tests.lab.pair import PairSettings
from tests.lab.processes import wait_for

HOST_LOST = next(event for event in EVENTS if event.name == "host lost")
GUARDS = {
    "UDP": ("vip", "cloud"),
    "UDP and MQTT": ("vip", "cloud"),
    "UDP and MQTT, guard mqtt": ("vip", "cloud", "mqtt"),
}


class WithBroker(Hafailover):
    """A pair that also has a broker; it is ready when both hear each other there."""

    def start(self) -> None:
        """Start everything and wait until all is well."""
        super().start()
        for name in self.lab.hosts:
            wait_for(f"{name} hears its peer by MQTT", partial(self._hears, name))

    def _hears(self, name: str) -> bool:
        peers = self.pair.status(name).get("peers") or [{}]
        return bool(peers[0].get("paths", {}).get("mqtt", {}).get("up"))


def outage(how: str, offset_s: float) -> float:
    """Return how long a client waits after the loss of the master's host. Raises LabError."""
    with Lab() as lab:
        if how == "UDP":
            return strike(lab, Hafailover(lab, PairSettings(guards=GUARDS[how])), HOST_LOST, offset_s).outage_s
        with Broker.of(lab):
            settings = PairSettings(guards=GUARDS[how], more=MQTT)
            return strike(lab, WithBroker(lab, settings), HOST_LOST, offset_s).outage_s


def outages(runs: int) -> list[str]:
    """Return lines on the outage with one path and with both, run in turn."""
    offsets = random.Random(1)  # noqa: S311 - spreads strikes over a second, nothing secret
    found: dict[str, list[float]] = {how: [] for how in GUARDS}
    for _ in range(runs):
        offset_s = offsets.random()
        for how, values in found.items():
            values.append(outage(how, offset_s))
            sys.stderr.write(f"  host lost, {how}: {values[-1]:.3f} s\n")
    return [
        f"  {how:<26} median {median(values):.3f} s, worst {max(values):.3f} s of {len(values)}"
        for how, values in found.items()
    ]


def _received(statuses: list[dict[str, object]]) -> int:
    return sum(path["received"] for each in statuses for peer in each["peers"] for path in peer["paths"].values())  # type: ignore[attr-defined]


async def crowd(args: argparse.Namespace) -> list[str]:
    """Return lines on many nodes: what they cost at rest, and what happens when some are killed."""
    with tempfile.TemporaryDirectory() as folder:
        async with Crowd(Path(folder), args.nodes, args.groups) as made:
            await made.spread()
            lines = await _at_rest(made, args.seconds)
            killed = list(made.daemons)[1 : 1 + args.killed]
            had = made.held_by(killed)
            began_s = time.monotonic()
            made.kill(killed)
            await made.until("all groups are held again", lambda: not made.held_by(killed))
            took_s = time.monotonic() - began_s
            await asyncio.sleep(3)
            lines.append(
                f"  {args.killed} nodes with {len(had)} groups killed: all held again after {took_s:.2f} s, "
                f"{made.moves} moves"
            )
            return lines


async def _at_rest(made: Crowd, seconds: float) -> list[str]:
    before, cpu, began_s = _received(await made.said()), made.cpu_s(), time.monotonic()
    await asyncio.sleep(seconds)
    spent_s = time.monotonic() - began_s
    used = {name: 100 * (now_s - cpu[name]) / spent_s for name, now_s in made.cpu_s().items()}
    rate = (_received(await made.said()) - before) / spent_s / len(made.daemons)
    broker = used.pop("mosquitto")
    rss = made.rss_mib().values()
    return [
        f"  {rate:.0f} heartbeats a second come to each daemon",
        f"  CPU per daemon {mean(used.values()):.1f} % of a core (most {max(used.values()):.1f} %)",
        f"  CPU of the broker {broker:.1f} % of a core",
        f"  RSS per daemon {mean(rss):.1f} MiB (most {max(rss):.1f} MiB)",
        f"  {made.moves} moves meanwhile",
    ]


def main() -> int:
    """Print the page; exit code 2 where it cannot run here."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="losses of a host for each way (default 5); 0: none")
    parser.add_argument("--nodes", type=int, default=10)
    parser.add_argument("--groups", type=int, default=20)
    parser.add_argument("--killed", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="of rest, for CPU and messages")
    args = parser.parse_args()
    if not ready():
        return 2
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} when this began")
    try:
        if args.runs:
            print("\noutage seen by a client when the master's host is lost")
            print("\n".join(outages(args.runs)))
        print(f"\n{args.nodes} nodes, {args.groups} groups, one broker, no UDP")
        print("\n".join(asyncio.run(crowd(args))))
    except (LabError, TimeoutError) as error:
        print(f"the lab failed: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
