"""The lab itself: it behaves like a VPC, not like a LAN."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.lab.lab import ADDRESS, CLIENT, pause
from tests.lab.processes import Process, inside

if TYPE_CHECKING:
    from tests.lab.lab import Lab

pytestmark = pytest.mark.lab

PORT = 9
RECEIVE = (
    "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('0.0.0.0', {port}));"
    "print('ready', flush=True); print(s.recv(64).decode(), flush=True)"
)
SEND = (
    "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('{source}', 0));"
    "s.sendto(b'{text}', ('{target}', {port}))"
)


def _send(lab: Lab, name: str, text: str) -> None:
    code = SEND.format(source=ADDRESS, text=text, target=CLIENT.address, port=PORT)
    assert lab.hosts[name].start("sender", [sys.executable, "-c", code]).wait() == 0


def test_address_is_where_the_cloud_says_whoever_carries_it(lab: Lab) -> None:
    for name in lab.hosts:
        lab.fabric.add_guest_address(name, ADDRESS)
    with lab.probe() as probe:
        pause(0.2)
        lab.cloud.move_by_hand("web-b")
        pause(0.2)
    assert [who for _, who in probe.report.switches] == ["web-a", "web-b"]
    assert probe.report.lost == 0
    (move,) = lab.cloud.applied()
    assert move.routed_ns - move.at_ns < 50e6


def test_source_that_is_not_bound_to_the_port_is_dropped(lab: Lab) -> None:
    for name in lab.hosts:
        lab.fabric.add_guest_address(name, ADDRESS)
    client = inside(lab.fabric.namespace("client"), [sys.executable, "-c", RECEIVE.format(port=PORT)])
    receiver = Process(client, lab.directory / "receiver.log", talks=True)
    try:
        receiver.line()
        _send(lab, "web-b", "spoofed")
        _send(lab, "web-a", "bound")
        assert receiver.line() == "bound"
    finally:
        receiver.kill()


def test_prober_sees_an_outage_as_long_as_it_was(lab: Lab) -> None:
    lab.fabric.add_guest_address("web-a", ADDRESS)
    with lab.probe() as probe:
        pause(0.2)
        lab.fabric.lose("web-a")
        pause(0.5)
        lab.fabric.regain("web-a")
        pause(0.2)
    assert 450 < probe.report.gap_ms < 900
    assert probe.report.lost > 200
