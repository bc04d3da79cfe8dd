from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from hafailover.cloud.client import Cloud
from hafailover.cloud.credentials import EnvironmentCredentials
from hafailover.config.model import Node
from hafailover.daemon.directory import Directory, eni_of
from hafailover.election.values import Resource, ResourceKind, Sighting
from hafailover.emulator.server import SECRET_ID, SECRET_KEY, Emulator, Options
from hafailover.emulator.world import PAIR, VIP, build, mac_of
from tests.unit.cloud.stub import settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEYS = {"TENCENTCLOUD_SECRET_ID": SECRET_ID, "TENCENTCLOUD_SECRET_KEY": SECRET_KEY}
FIRST, SECOND = PAIR
ADDRESS = Resource(ResourceKind.ADDRESS, VIP)


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    emulator = Emulator(build(), Options(latency_ms=0, task_ms=0))
    await emulator.start()
    made = Cloud(
        settings(f"http://127.0.0.1:{emulator.api_port}"),
        EnvironmentCredentials(KEYS),
        region="ap-guangzhou",
        observer=lambda _call: None,
        rng=random.Random(1),  # noqa: S311 - jitter is not a secret
    )
    yield made
    await made.close()
    await emulator.close()


@pytest.mark.parametrize(
    ("node", "own_id", "eni"),
    [
        (Node("a", "10.0.1.99", 1, eni="eni-zzzzzzzz"), None, "eni-zzzzzzzz"),
        (Node("a", "10.0.1.99", 1, instance_id=SECOND.instance_id), None, SECOND.eni_id),
        (Node("a", "10.0.1.99", 1), FIRST.instance_id, FIRST.eni_id),
        (Node("b", SECOND.address, 1), None, SECOND.eni_id),
        (Node("b", "10.0.1.99", 1), None, None),
        (Node("b", "10.0.1.99", 1, instance_id="ins-zzzzzzzz"), None, None),
    ],
)
async def test_a_nodes_eni_is_configured_or_looked_up(
    cloud: Cloud, node: Node, own_id: str | None, eni: str | None
) -> None:
    assert await eni_of(node, own_id, cloud) == eni


async def test_one_read_tells_holders_macs_and_instances(cloud: Cloud) -> None:
    directory = Directory((FIRST.eni_id, SECOND.eni_id))
    assert directory.mac(FIRST.eni_id) is None
    assert directory.instance(FIRST.eni_id) is None
    assert await directory.read(cloud, (ADDRESS,)) == (Sighting(ADDRESS, FIRST.eni_id),)
    assert directory.mac(SECOND.eni_id) == mac_of(SECOND.eni_id).lower()
    assert directory.instance(SECOND.eni_id) == SECOND.instance_id
    assert directory.instance(None) is None
