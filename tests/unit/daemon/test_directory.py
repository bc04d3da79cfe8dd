from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hafailover.cloud.client import Cloud
from hafailover.cloud.credentials import EnvironmentCredentials
from hafailover.cloud.lookup import eni_of
from hafailover.config.model import Node
from hafailover.daemon.directory import Directory, find_enis
from hafailover.election.values import Resource, ResourceKind, Sighting
from hafailover.emulator.server import SECRET_ID, SECRET_KEY, Emulator, Options
from hafailover.emulator.world import PAIR, VIP, NodeSpec, build, mac_of
from hafailover.errors import CloudError, GuestError, StartError
from tests.unit.cloud.stub import settings
from tests.unit.daemon.stage import NODES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hafailover.cloud.replies import Eni

KEYS = {"TENCENTCLOUD_SECRET_ID": SECRET_ID, "TENCENTCLOUD_SECRET_KEY": SECRET_KEY}
FIRST, SECOND = PAIR
ADDRESS = Resource(ResourceKind.ADDRESS, VIP)
WITNESS = Node("judge", "127.0.0.3", 7694, role="witness")
ENIS = {"web-a": FIRST.eni_id, "web-b": SECOND.eni_id}


OTHER = NodeSpec("other", "ins-cccccccc", "eni-cccccccc", "10.0.1.50")


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    made = Emulator(build((*PAIR, OTHER)), Options(latency_ms=0, task_ms=0))
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def cloud(emulator: Emulator) -> AsyncIterator[Cloud]:
    made = Cloud(
        settings(f"http://127.0.0.1:{emulator.api_port}"),
        EnvironmentCredentials(KEYS),
        region="ap-guangzhou",
        observer=lambda _call: None,
        rng=random.Random(1),  # noqa: S311 - jitter is not a secret
    )
    yield made
    await made.close()


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


def reads(emulator: Emulator) -> int:
    return len(emulator.service.calls)


async def test_an_address_on_somebody_elses_eni_is_not_nobodys(cloud: Cloud, emulator: Emulator) -> None:
    directory = Directory((FIRST.eni_id, SECOND.eni_id))
    now_ms = emulator.service.now_ms()
    emulator.model.move(VIP, OTHER.eni_id, now_ms)
    assert await directory.read(cloud, (ADDRESS,)) == (Sighting(ADDRESS, OTHER.eni_id),)
    assert reads(emulator) == 2
    assert directory.is_stranger(ADDRESS, OTHER.eni_id)
    assert directory.instance_behind(ADDRESS, OTHER.eni_id) is None  # nobody powers off what is not the cluster's
    emulator.model.move(VIP, None, now_ms)
    assert await directory.read(cloud, (ADDRESS,)) == (Sighting(ADDRESS, None),)
    assert reads(emulator) == 4
    emulator.model.move(VIP, SECOND.eni_id, now_ms)
    assert await directory.read(cloud, (ADDRESS,)) == (Sighting(ADDRESS, SECOND.eni_id),)
    assert reads(emulator) == 5  # one is enough while a node has it
    assert not directory.is_stranger(ADDRESS, SECOND.eni_id)
    assert not directory.is_stranger(ADDRESS, None)
    moving = Resource(ResourceKind.ENI, "eni-x")
    assert directory.is_stranger(moving, "ins-cccccccc")
    assert not Directory((), ("ins-cccccccc",)).is_stranger(moving, "ins-cccccccc")
    assert not directory.is_stranger(moving, None)


async def test_a_secondary_eni_is_told_from_a_primary_one(cloud: Cloud) -> None:
    directory = Directory((FIRST.eni_id, SECOND.eni_id))
    assert not directory.is_secondary(FIRST.eni_id)
    with pytest.raises(GuestError, match=f"the cloud describes no {FIRST.eni_id}"):
        await directory.interface(FIRST.eni_id, cloud)
    await directory.read(cloud, (ADDRESS,))
    assert not directory.is_secondary(FIRST.eni_id)
    with pytest.raises(GuestError, match=f"{FIRST.eni_id} is a primary ENI, which belongs to its CVM for good"):
        await directory.interface(FIRST.eni_id, cloud)


async def test_several_addresses_and_ends_of_addresses_are_told_apart(cloud: Cloud, emulator: Emulator) -> None:
    now_ms = emulator.service.now_ms()
    numbers = ("10.0.1.7", "10.0.1.77", "10.0.1.177", "10.0.1.107", "10.0.1.70", "10.0.1.207", VIP)
    wanted = tuple(Resource(ResourceKind.ADDRESS, each) for each in numbers)
    emulator.model.move("10.0.1.77", OTHER.eni_id, now_ms)
    emulator.model.move("10.0.1.207", OTHER.eni_id, now_ms)
    directory = Directory((FIRST.eni_id, SECOND.eni_id))
    seen = {each.resource.id: each.holder for each in await directory.read(cloud, wanted)}
    assert seen == dict.fromkeys(numbers) | {
        "10.0.1.77": OTHER.eni_id,
        "10.0.1.207": OTHER.eni_id,
        VIP: FIRST.eni_id,
    }
    assert await directory.read(cloud, wanted[:1]) == (Sighting(wanted[0], None),)


async def test_without_an_answer_it_counts_as_nobodys(
    cloud: Cloud, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = Directory((FIRST.eni_id, SECOND.eni_id))
    emulator.model.move(VIP, OTHER.eni_id, emulator.service.now_ms())

    async def refuse(*_args: object) -> tuple[Eni, ...]:
        raise CloudError("UnauthorizedOperation", "only of these ENIs")

    monkeypatch.setattr(Cloud, "carriers", refuse)
    assert await directory.read(cloud, (ADDRESS,)) == (Sighting(ADDRESS, None),)


async def test_the_enis_come_from_the_file_or_the_cloud(near_cloud: Cloud) -> None:
    first, second = NODES
    unnamed = (replace(first, eni=None, instance_id=None), replace(second, eni=None))
    assert await find_enis(unnamed, unnamed[0], FIRST.instance_id, near_cloud) == ENIS
    assert await find_enis(NODES, first, None, near_cloud) == ENIS
    with pytest.raises(StartError, match="node web-a: the cloud names no ENI for it"):
        await find_enis(unnamed, unnamed[1], None, near_cloud)


async def test_a_witness_has_no_eni_and_asks_for_none(near_cloud: Cloud, emulator: Emulator) -> None:
    unnamed = tuple(replace(node, eni=None) for node in (*NODES, WITNESS))
    assert await find_enis(unnamed, unnamed[0], None, near_cloud) == {**ENIS, "judge": ""}
    asked = len(emulator.service.calls)
    assert await find_enis(unnamed, unnamed[2], None, near_cloud) == {"web-a": "", "web-b": "", "judge": ""}
    assert len(emulator.service.calls) == asked > 0
