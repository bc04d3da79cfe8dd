"""What leads to the peers, as the file asks for it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hafailover.config import model
from hafailover.daemon.wires import Wires
from hafailover.errors import StartError
from tests.unit.daemon.stage import NODES, NONE, config

if TYPE_CHECKING:
    from pathlib import Path


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
