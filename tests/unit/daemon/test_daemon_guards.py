from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from hafailover.daemon.guards import ask_cloud, ask_vip
from hafailover.election.values import GuardVerdict
from hafailover.emulator.faults import Fault, Kind
from hafailover.emulator.network import InstanceState
from tests.unit.daemon.stage import FIRST

if TYPE_CHECKING:
    from hafailover.cloud.client import Cloud
    from hafailover.emulator.server import Emulator

LONG_S, SHORT_S = 5.0, 0.05


async def test_a_service_that_answers_on_any_address_objects() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert await ask_vip(["127.0.0.1"], port, LONG_S) is GuardVerdict.DENY
        assert await ask_vip(["127.0.0.2", "127.0.0.1"], port, LONG_S) is GuardVerdict.DENY


async def test_a_refused_connection_is_no_objection() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound, but nobody listens
        assert await ask_vip(["127.0.0.1"], bound.getsockname()[1], LONG_S) is GuardVerdict.ALLOW


async def test_silence_is_no_objection_and_ends_in_time() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()):  # the backlog is full: no more handshakes
            assert await ask_vip(["127.0.0.1"], full.getsockname()[1], SHORT_S) is GuardVerdict.ALLOW


async def test_a_group_without_addresses_has_nothing_that_could_object() -> None:
    assert await ask_vip([], 80, SHORT_S) is GuardVerdict.ALLOW


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        (InstanceState.STOPPED, GuardVerdict.ALLOW),
        (InstanceState.RUNNING, GuardVerdict.UNKNOWN),
        (InstanceState.STARTING, GuardVerdict.UNKNOWN),
        (InstanceState.STOPPING, GuardVerdict.UNKNOWN),
        (InstanceState.REBOOTING, GuardVerdict.UNKNOWN),
    ],
)
async def test_only_an_instance_that_is_off_lets_the_cloud_say_so(
    emulator: Emulator, near_cloud: Cloud, state: InstanceState, verdict: GuardVerdict
) -> None:
    emulator.model.set_instance_state(FIRST.instance_id, state, emulator.service.now_ms())
    assert await ask_cloud(near_cloud, FIRST.instance_id, LONG_S) is verdict


async def test_a_cloud_that_does_not_say_knows_nothing(emulator: Emulator, near_cloud: Cloud) -> None:
    assert await ask_cloud(near_cloud, None, LONG_S) is GuardVerdict.UNKNOWN
    assert not emulator.service.calls
    assert await ask_cloud(near_cloud, "ins-zzzzzzzz", LONG_S) is GuardVerdict.UNKNOWN
    emulator.settings.latency_ms = 1_000
    assert await ask_cloud(near_cloud, FIRST.instance_id, SHORT_S) is GuardVerdict.UNKNOWN
    emulator.settings.latency_ms = 0
    emulator.faults.add(Fault(Kind.ERROR, code="UnauthorizedOperation"))
    assert await ask_cloud(near_cloud, FIRST.instance_id, LONG_S) is GuardVerdict.UNKNOWN
