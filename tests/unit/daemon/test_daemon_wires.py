"""What leads to the peers, as the file asks for it."""

from __future__ import annotations

import socket
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hafailover.config import model
from hafailover.daemon import clock
from hafailover.daemon.wires import Wires
from hafailover.election.events import PeerRefused
from hafailover.election.values import Advert, Leaving, NodeName
from hafailover.errors import StartError
from hafailover.heartbeat.presence import Presence, PresenceState
from hafailover.heartbeat.witness import Finding
from tests import ports
from tests.unit.daemon.stage import NODES, NONE, config, until

if TYPE_CHECKING:
    from pathlib import Path

    from hafailover.election.events import Event


MINUTE_US = 60_000_000


def with_broker(folder: Path, *paths: model.HeartbeatPath) -> model.Config:
    plain = config(folder, NONE)
    return replace(plain, mqtt=model.Mqtt("broker", tls=False), heartbeat=replace(plain.heartbeat, paths=paths))


def test_without_a_broker_its_library_is_not_loaded() -> None:
    code = "import sys, hafailover.daemon.supervisor; print('aiomqtt' in sys.modules, 'paho' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False False\n"


async def test_the_paths_are_those_of_the_file_the_fastest_first(tmp_path: Path) -> None:
    def names(made: model.Config) -> tuple[list[str], bool]:
        wires = Wires(made, NODES[0], lambda _event: None)
        return [path.name for path in wires.paths], wires.link is not None

    assert names(config(tmp_path, NONE)) == (["udp"], False)
    assert names(with_broker(tmp_path, "udp", "mqtt")) == (["udp", "mqtt"], True)
    assert names(with_broker(tmp_path, "mqtt")) == (["mqtt"], True)
    assert names(with_broker(tmp_path, "udp")) == (["udp"], True), "events alone"


async def test_how_the_broker_is_belongs_to_the_status_where_there_is_one(tmp_path: Path) -> None:
    assert Wires(config(tmp_path, NONE), NODES[0], lambda _event: None).state() is None
    for paths in (("udp", "mqtt"), ("udp",)):
        wires = Wires(with_broker(tmp_path, *paths), NODES[0], lambda _event: None)
        assert wires.state() == {
            "connected": False,
            "reason": "",
            "connections": 0,
            "failures": 0,
            "lost": 0,
            "round_trip_s": None,
        }
        assert wires.announcer(dict) is not None
        await wires.close()


async def test_what_a_kernel_says_by_udp_bears_on_what_the_broker_says(tmp_path: Path) -> None:
    """Nobody listens on the peer's address, and its kernel, which is this one, says so."""
    told: list[Event] = []
    peer = NodeName(NODES[1].name)
    made = with_broker(tmp_path, "udp", "mqtt")
    nodes = tuple(replace(node, port=ports.free(socket.SOCK_DGRAM, node.host)) for node in NODES)
    wires = Wires(replace(made, nodes=nodes), nodes[0], told.append)
    assert wires.mqtt is not None
    await wires.open(lambda link: link.close())
    me = NodeName(NODES[0].name)
    wires.paths[0].send(Advert(me, bytes(8), 1_000, Leaving.NO, drained=False, hears=(), groups=()))
    await until(lambda: PeerRefused(peer) in told)
    await wires.close()
    witness, now_us = wires.mqtt.witness, clock.now_us()
    witness.heard(peer, now_us - MINUTE_US, news=True)
    online = Presence(peer, PresenceState.ONLINE, b"a boot..", 1)
    witness.saw(online, now_us - MINUTE_US, retained=False)
    witness.saw(replace(online, state=PresenceState.LOST), now_us, retained=False)
    witness.returned(now_us, now_us)
    assert witness.find(peer, now_us, now_us) is Finding.DAEMON_GONE


async def test_a_reload_is_taken_in_by_every_path_or_by_none(tmp_path: Path) -> None:
    made = with_broker(tmp_path, "udp", "mqtt")
    wires = Wires(made, NODES[0], lambda _event: None)
    assert wires.mqtt is not None
    slower = replace(made, heartbeat=replace(made.heartbeat, dead_interval_ms=7_000))
    wires.configure(slower)
    assert wires.mqtt.witness.fresh_us == 7_000_000
    with pytest.raises(StartError, match="heartbeat keys"):
        wires.configure(replace(made, keys=()))
    assert wires.mqtt.witness.fresh_us == 7_000_000
