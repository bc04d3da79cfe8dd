"""What a broker costs and saves: the outage with both paths, ten nodes on one broker, three of them gone at once.

    python -m benchmarks.mqtt [--runs 5] [--nodes 10] [--groups 20] [--gone 3] [--seconds 10]

Needs root (network namespaces) and Debian's iproute2, nftables and mosquitto. The outages are those of
`benchmarks.failover`: heartbeats every 100 ms, dead after 300 ms, 100 ms per request and 500 ms per move. The ten
nodes run on loopback with the broker as their only path: heartbeats every 100 ms, dead after 1 s, 50 ms per request
and 200 ms per move; the cloud, the broker and all nodes share this machine's cores. They go in two ways: as lost
hosts do, whose connections hang, and as killed daemons do, whose kernel closes them. The cloud works on an address
or on an ENI for one request at a time: on which is not documented.
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
from typing import TYPE_CHECKING

from benchmarks.events import EVENTS
from benchmarks.failover import strike
from benchmarks.systems import SECOND, Hafailover, ready
from tests.lab.broker import MQTT, Broker
from tests.lab.crowd import Crowd
from tests.lab.fabric import LabError
from tests.lab.lab import Lab
from tests.lab.pair import PairSettings
from tests.lab.processes import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

REST_S = 3.0  # of the ten nodes, before some go and after
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


def outage(how: str, offset_s: float) -> tuple[float, float]:
    """Return how long a client waits after the loss of the master's host, and the part before the first request.

    That part counts from the last heartbeat that was heard, not from the loss, which comes up to an interval later.
    Raises LabError.
    """
    with Lab() as lab:
        if how == "UDP":
            return _outage(lab, Hafailover(lab, PairSettings(guards=GUARDS[how])), offset_s)
        with Broker.of(lab):
            return _outage(lab, WithBroker(lab, PairSettings(guards=GUARDS[how], more=MQTT)), offset_s)


def _outage(lab: Lab, system: Hafailover, offset_s: float) -> tuple[float, float]:
    outage_s = strike(lab, system, HOST_LOST, offset_s).outage_s
    phases_s = system.pair.status(SECOND)["groups"][0]["last_failover"]["phases_s"]
    return outage_s, sum(phases_s[phase] for phase in ("detect", "guard", "guest"))


def outages(runs: int) -> list[str]:
    """Return lines on the outage with one path and with both, run in turn."""
    offsets = random.Random(1)  # noqa: S311 - spreads strikes over a second, nothing secret
    found: dict[str, list[tuple[float, float]]] = {how: [] for how in GUARDS}
    for _ in range(runs):
        offset_s = offsets.random()
        for how, values in found.items():
            values.append(outage(how, offset_s))
            sys.stderr.write(f"  host lost, {how}: {values[-1][0]:.3f} s\n")
    return [_told(how, *zip(*values, strict=True)) for how, values in found.items()]


def _told(how: str, outages_s: tuple[float, ...], before_s: tuple[float, ...]) -> str:
    whole = f"median {median(outages_s):.3f} s, worst {max(outages_s):.3f} s of {len(outages_s)}"
    before = f"median {median(before_s):.3f} s, worst {max(before_s):.3f} s"
    return f"  {how:<26} {whole}; from the last heartbeat to the first request {before}"


def _received(statuses: list[dict[str, object]]) -> int:
    return sum(path["received"] for each in statuses for peer in each["peers"] for path in peer["paths"].values())  # type: ignore[attr-defined]


async def crowd(args: argparse.Namespace) -> list[str]:
    """Return lines on many nodes: what they cost at rest, and what happens when some go at once."""
    with tempfile.TemporaryDirectory() as folder:
        async with Crowd(Path(folder), args.nodes, args.groups) as made:
            await made.spread()
            lines = await _at_rest(made, args.seconds)
            names = list(made.daemons)[1 : 1 + args.gone]
            for serialise, one in (("ip", "address"), ("eni", "ENI")):
                made.cloud.model.rules.serialise = serialise
                for how, go in (("hosts lost", made.lose), ("daemons killed", made.kill)):
                    lines.append(f"  {how}, the cloud works on an {one} for one request at a time")
                    lines += await _gone(made, names, go)
                    await made.bring_back(names)
            return lines


async def _gone(made: Crowd, names: list[str], go: Callable[[list[str]], None]) -> list[str]:
    """Have nodes go, and return lines on what becomes of their groups."""
    await asyncio.sleep(REST_S)
    had, began_s = made.held_by(names), time.monotonic()
    go(names)
    await made.until("all groups are held again", lambda: not made.held_by(names))
    took_s = time.monotonic() - began_s
    await asyncio.sleep(REST_S)
    claims = (await made.claims(had)).values()
    phases_s = [claim["phases_s"] for claim in claims]
    decided_s = [sum(each[phase] for phase in ("detect", "guard", "guest")) for each in phases_s]
    takers = len({claim["to"] for claim in claims})
    whole = f"all held again after {took_s:.2f} s, by {made.moves} moves to {takers} node{'s' * (takers > 1)}"
    before = f"median {median(decided_s):.2f} s, worst {max(decided_s):.2f} s"
    cloud_s = sorted(each["cloud"] for each in phases_s)
    return [
        f"    {len(names)} nodes with {len(had)} groups: {whole}",
        f"    from the last heartbeat to the request: {before}",
        f"    from there until the cloud says that it is done: first {cloud_s[0]:.2f} s, last {cloud_s[-1]:.2f} s",
    ]


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
    parser.add_argument("--gone", type=int, default=3)
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
