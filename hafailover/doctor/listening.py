"""Listening for the peers in the place of a daemon that does not run: bound as it would be, and sending nothing.

Nothing, because the peers would take a datagram of this node for a sign of life of its daemon, and might put off
the claim that they are about to make.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

from hafailover.doctor.peers import Listened
from hafailover.election.events import AdvertReceived
from hafailover.election.values import GroupName, NodeName
from hafailover.errors import StartError
from hafailover.heartbeat.udp import UdpPath

if TYPE_CHECKING:
    from collections.abc import Callable

    from hafailover.config.model import Config, Node
    from hafailover.election.events import Event

LEAST_S, MOST_S = 1.0, 5.0
INTERVALS = 5  # of which each brings a datagram of each peer


async def listen(config: Config, me: Node) -> Listened:
    """Listen for some intervals, 1 to 5 s."""
    heard: dict[str, str] = {}

    def deliver(event: Event) -> None:
        if isinstance(event, AdvertReceived):
            heard[event.advert.node] = event.advert.config_digest.hex()

    path = _path(config, me, deliver)
    try:
        await path.open()
    except StartError as error:
        return Listened(error=str(error))
    seconds = min(max(INTERVALS * config.heartbeat.interval_ms / 1000, LEAST_S), MOST_S)
    try:
        await asyncio.sleep(seconds)
    finally:
        path.close()
    return Listened(seconds, heard, dict(path.rejected))


def _path(config: Config, me: Node, deliver: Callable[[Event], None]) -> UdpPath:
    return UdpPath(
        me=NodeName(me.name),
        cluster=config.cluster.name,
        address=(me.host, me.port),
        peers={NodeName(node.name): (node.host, node.port) for node in config.nodes if node is not me},
        groups=[GroupName(group.name) for group in config.groups],
        keys=config.keys,
        deliver=deliver,
        clock_us=lambda: time.monotonic_ns() // 1000,
        boot_id=os.urandom(8),
        silent_after_us=config.heartbeat.dead_interval_ms * 500,
    )
