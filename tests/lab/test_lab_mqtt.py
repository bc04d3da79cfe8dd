"""Heartbeats by a broker beside UDP: what its loss costs, and what it saves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.lab.broker import MQTT, Broker
from tests.lab.lab import pause
from tests.lab.pair import PairSettings
from tests.lab.processes import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.lab import Lab
    from tests.lab.pair import Pair

pytestmark = pytest.mark.lab

CUT_S = 20.0
BACK_S = 5.0
UNGUARDED = PairSettings(guards=(), more=MQTT)
GUARDED = PairSettings(guards=("mqtt",), more=MQTT)
unguarded = pytest.mark.parametrize("settings", [UNGUARDED], ids=["unguarded"])
guarded = pytest.mark.parametrize("settings", [GUARDED], ids=["guarded"])


@pytest.fixture(autouse=True)
def broker(lab: Lab) -> Iterator[Broker]:
    with Broker.of(lab) as made:
        yield made


def path(pair: Pair, name: str, which: str = "mqtt") -> dict[str, Any]:
    peers = pair.status(name).get("peers") or [{}]
    found: dict[str, Any] = peers[0].get("paths", {}).get(which, {})
    return found


def wait_path(pair: Pair, name: str, which: str = "mqtt", *, up: bool = True, timeout_s: float = 10.0) -> float:
    what = f"{name} hears its peer by {which}: {up}"
    return wait_for(what, lambda: path(pair, name, which).get("up") is up, timeout_s, pause_s=0.05)


@unguarded
def test_a_cut_of_udp_moves_nothing_while_the_broker_is_there(lab: Lab, pair: Pair) -> None:
    for name in lab.hosts:
        wait_path(pair, name)
    with lab.probe() as probe:
        lab.part("web-a", "web-b")
        for name in lab.hosts:
            wait_path(pair, name, "udp", up=False)
        pause(CUT_S)
        assert path(pair, "web-b")["up"]
        lab.join("web-a", "web-b")
        wait_path(pair, "web-b", "udp")
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0


@unguarded
def test_a_broker_that_dies_and_comes_back_moves_nothing(lab: Lab, pair: Pair, broker: Broker) -> None:
    for name in lab.hosts:
        wait_path(pair, name)
    with lab.probe() as probe:
        broker.kill()
        for name in lab.hosts:
            wait_path(pair, name, up=False)
            pair.wait_said(name, "mqtt_down")
        pause(5)
        broker.start()
        assert max(wait_path(pair, name) for name in lab.hosts) < BACK_S
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0
