"""What the surroundings are, by the emulator: real requests, under the filters that the API documents."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hafailover.cloud import survey
from hafailover.cloud.replies import HaVip, Limits, Size
from hafailover.emulator import network, world
from hafailover.emulator.faults import Kind
from hafailover.errors import CloudError
from tests.unit.cloud.test_cloud_emulator import MIGRATE, A, B, rig

INSTANCE = world.PAIR[0].instance_id


async def test_subnets_quota_and_sizes() -> None:
    async with rig() as at:
        (subnet,) = await survey.subnets(at.cloud, [world.SUBNET_ID])
        assert (subnet.id, subnet.vpc_id, subnet.zone) == (world.SUBNET_ID, world.VPC_ID, world.ZONE)
        assert subnet.cidr == "10.0.1.0/24"
        assert await survey.limits(at.cloud, INSTANCE) == Limits(2, 10)
        assert await survey.sizes(at.cloud, [INSTANCE]) == (Size(INSTANCE, 2, 4),)


async def test_havips_and_protection() -> None:
    async with rig() as at:
        assert await survey.havips(at.cloud, [world.VPC_ID]) == ()
        assert await survey.protected(at.cloud, [A, B]) == frozenset()
        model = at.emulator.model
        there = network.HaVip("havip-aaaaaaaa", "h", "10.0.1.9", world.VPC_ID, world.SUBNET_ID, None, (INSTANCE,))
        changed = model.network.with_enis(replace(model.network.enis[B], traffic_protection=True))
        model._keep(replace(changed, havips={there.id: there}), at.emulator.service.now_ms())
        assert await survey.havips(at.cloud, [world.VPC_ID]) == (HaVip(there.id, "10.0.1.9", (INSTANCE,)),)
        assert await survey.protected(at.cloud, [A, B]) == {B}


async def test_a_refusal_is_an_error_with_its_code() -> None:
    async with rig() as at:
        at.befall(Kind.DENIED, "DescribeSubnets")
        with pytest.raises(CloudError) as caught:
            await survey.subnets(at.cloud, [world.SUBNET_ID])
        assert caught.value.code == "UnauthorizedOperation"


async def test_a_probe_says_how_it_was_refused_and_is_sent_once() -> None:
    async with rig() as at:
        parameters: dict[str, object] = {
            "SourceNetworkInterfaceId": B,
            "DestinationNetworkInterfaceId": A,
            "PrivateIpAddress": world.VIP,
        }
        assert await at.cloud.probe(MIGRATE, parameters) == "UnauthorizedOperation.AttachmentNotFound"
        at.befall(Kind.EXPIRED)
        assert await at.cloud.probe(MIGRATE, parameters) == "AuthFailure.TokenFailure"
        assert at.writes() == [MIGRATE] * 2
        assert await at.cloud.probe("DescribeInstancesStatus", {}, "cvm") == "OK"
