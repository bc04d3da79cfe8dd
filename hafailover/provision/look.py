"""Asks the cloud for all that a plan is made from."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from hafailover.cloud import survey
from hafailover.cloud.lookup import eni_of
from hafailover.doctor.addresses import missing
from hafailover.doctor.ground import Ground
from hafailover.errors import CloudError
from hafailover.provision import plan
from hafailover.provision.steps import NewEni, Plan, Seen, eni_name, preferred

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hafailover.cloud.client import Cloud
    from hafailover.cloud.replies import Eni, HaVip, Limits
    from hafailover.config.model import Config

SETTLE_S = 20.0  # patience with what the cloud itself is at work on, perhaps for an earlier run
POLL_S = 1.0


async def make_plan(cloud: Cloud, config: Config, wanted: NewEni | None) -> Plan:
    """Look, again while the cloud is at work on something, and return the plan. Raises CloudError."""
    clock = asyncio.get_running_loop().time
    end_s = clock() + SETTLE_S
    while True:
        made = plan.make(await look(cloud, config, wanted), wanted)
        if not made.unsettled or clock() >= end_s:
            return made
        await asyncio.sleep(POLL_S)


async def look(cloud: Cloud, config: Config, wanted: NewEni | None) -> Seen:
    """Return what there is, as far as it concerns what is asked for. Raises CloudError."""
    ground = await _ground(cloud, config)
    nodes = [eni for _, eni in ground.placed]
    vacant = () if wanted else missing(ground)
    subnet_ids = sorted({eni.subnet_id for eni in nodes if eni.subnet_id})
    if vacant and subnet_ids:
        others = await cloud.carriers(vacant, subnet_ids)
        ground = replace(ground, enis={**ground.enis, **{eni.id: eni for eni in others}})
    node = preferred(config)
    instance = ground.instance(node)
    notes: list[str] = []
    return Seen(
        ground,
        {subnet.id: subnet for subnet in await survey.subnets(cloud, subnet_ids)} if subnet_ids else {},
        havips=await _havips(cloud, nodes, notes) if vacant else (),
        limits=None if instance is None else await _limits(cloud, instance, notes),
        attached=None if instance is None else len(await cloud.describe_enis(instance_id=instance)),
        named=await _named(cloud, config, wanted, ground.eni(node)),
        notes=tuple(notes),
    )


async def _ground(cloud: Cloud, config: Config) -> Ground:
    members = [node for node in config.nodes if node.role == "member"]
    own = {node.name: await eni_of(node, None, cloud) or "" for node in members}
    enis = await cloud.describe_enis([*filter(None, own.values()), *config.enis])
    return Ground(config, own, {eni.id: eni for eni in enis})


async def _havips(cloud: Cloud, nodes: Iterable[Eni], notes: list[str]) -> tuple[HaVip, ...]:
    try:
        return await survey.havips(cloud, sorted({eni.vpc_id for eni in nodes if eni.vpc_id}))
    except CloudError as error:
        notes.append(f"whether a HAVIP has one of the addresses is not known: DescribeHaVips: {error}")
        return ()


async def _limits(cloud: Cloud, instance_id: str, notes: list[str]) -> Limits | None:
    try:
        return await survey.limits(cloud, instance_id)
    except CloudError as error:
        notes.append(f"the quota of {instance_id} is not known: DescribeNetworkInterfaceLimit: {error}")
        return None


async def _named(cloud: Cloud, config: Config, wanted: NewEni | None, mine: Eni | None) -> tuple[Eni, ...]:
    if wanted is None or mine is None:
        return ()
    return await survey.named(cloud, eni_name(config.cluster.name, wanted.group), mine.vpc_id)
