"""This node's heartbeat paths, and its connection to a broker, as the file asks for them."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

from hafailover.daemon import clock
from hafailover.daemon.announcer import Announcer
from hafailover.election.events import PeerRefused
from hafailover.election.values import NodeName
from hafailover.heartbeat.lineage import Lineages
from hafailover.heartbeat.udp import UdpPath

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from hafailover.broker.link import Link
    from hafailover.config import model
    from hafailover.election.events import Event
    from hafailover.heartbeat.mqtt import MqttPath
    from hafailover.heartbeat.path import Path


class Wires:
    """All that leads to the peers. `deliver` gets what they say.

    The MQTT library is loaded only where there is a broker.
    """

    def __init__(self, config: model.Config, me: model.Node, deliver: Callable[[Event], None]) -> None:
        self._me = me.name
        self._deliver = deliver
        self._boot_id = os.urandom(8)
        self._root = "" if config.mqtt is None else f"{config.mqtt.topic}/{config.cluster.name}"
        self._cluster = config.cluster.name
        self.link: Link | None = None
        self.mqtt: MqttPath | None = None
        self._udp: UdpPath | None = None
        wanted = config.heartbeat.paths
        common: dict[str, Any] = {
            "me": NodeName(me.name),
            "cluster": config.cluster.name,
            "deliver": self._heard,
            "clock_us": clock.now_us,
            "boot_id": self._boot_id,
            "lineages": Lineages(several=len(wanted) > 1),
            **_told(config, me.name),
        }
        if "udp" in wanted:
            self._udp = UdpPath(address=(me.host, me.port), **{**common, "peers": _addresses(config, me.name)})
        if config.mqtt is not None:
            self._connect(config, config.mqtt, common)

    def _connect(self, config: model.Config, mqtt: model.Mqtt, common: dict[str, Any]) -> None:
        from hafailover.broker.link import Link  # noqa: PLC0415 - a megabyte that others do without
        from hafailover.heartbeat.mqtt import MqttPath, keepalive_s  # noqa: PLC0415 - as above

        link = self.link = Link(
            mqtt,
            node=self._me,
            client_id=f"hafailover-{config.cluster.name}-{self._me}",
            keepalive_s=keepalive_s(config.heartbeat.dead_interval_ms),
            rng=random.SystemRandom(),
        )
        if "mqtt" in config.heartbeat.paths:
            alone = len(config.heartbeat.paths) == 1
            self.mqtt = MqttPath(root=self._root, link=link, alone=alone, **common)
            link.will = self.mqtt.will

    def _heard(self, event: Event) -> None:
        """Hand on what a path has brought; what a kernel says bears on what the broker's word is worth."""
        if isinstance(event, PeerRefused) and self.mqtt is not None:
            self.mqtt.witness.refused(event.peer, clock.now_us())
        self._deliver(event)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The heartbeat paths, the fastest first."""
        return tuple(path for path in (self._udp, self.mqtt) if path is not None)

    def announcer(self, status: Callable[[], Mapping[str, Any]]) -> Announcer | None:
        """Return who tells the broker of this node, None without one; `status` is as `status --json` prints it."""
        if self.link is None:
            return None
        return Announcer(
            self.link,
            root=self._root,
            cluster=self._cluster,
            node=self._me,
            boot=self._boot_id.hex(),
            status=status,
        )

    def state(self) -> dict[str, Any] | None:
        """Return how the connection to the broker is, as in `status --json`; None without a broker."""
        if self.link is None:
            return None
        round_trip_s = None if self.mqtt is None else self.mqtt.round_trip_s
        state = self.link.state
        return {
            "connected": state.connected,
            "reason": state.reason,
            "connections": state.connections,
            "failures": state.failures,
            "lost": state.lost,
            "round_trip_s": round_trip_s if state.connected else None,
        }

    def configure(self, config: model.Config) -> None:
        """Take in another version of the file; raises StartError, and then nothing has changed."""
        told = _told(config, self._me)
        if self._udp is not None:
            self._udp.configure(**{**told, "peers": _addresses(config, self._me)})
        if self.mqtt is not None:
            self.mqtt.configure(**told)

    async def open(self, spawn: Callable[[Coroutine[object, object, None]], object]) -> None:
        """Begin to receive; StartError where that cannot work on this machine. A broker may come later."""
        for path in self.paths:
            await path.open()
        if self.link is not None:
            spawn(self.link.run())

    async def close(self) -> None:
        """Take leave of the broker, within a second, and close the rest."""
        if self.link is not None and self.mqtt is not None:
            await self.link.close(*self.mqtt.goodbye())
        for path in self.paths:
            path.close()


def _told(config: model.Config, me: str) -> dict[str, Any]:
    """Return what a heartbeat path is told by the file, now and at each reload."""
    return {
        "peers": tuple(NodeName(node.name) for node in config.nodes if node.name != me),
        "groups": [group.name for group in config.groups],
        "keys": config.keys,
        "silent_after_us": config.heartbeat.dead_interval_ms * 500,
    }


def _addresses(config: model.Config, me: str) -> dict[str, tuple[str, int]]:
    return {node.name: (node.host, node.port) for node in config.nodes if node.name != me}
