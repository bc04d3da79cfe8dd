"""Asks the cloud what a failover to this node would meet, and probes the rights that it would need."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from hafailover.cloud import survey
from hafailover.cloud.lookup import eni_of
from hafailover.cloud.outcome import SIGNATURE_EXPIRE
from hafailover.cloud.quota import row_of
from hafailover.doctor import access, addresses, probes, room
from hafailover.doctor.findings import Finding, Note, Seen, joined, judged, unknown
from hafailover.doctor.ground import Ground, moving_enis, placement, security_groups
from hafailover.errors import CloudError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from hafailover.cloud.client import Cloud
    from hafailover.cloud.replies import Eni, Limits
    from hafailover.config.model import Config, Node

DESCRIBE = "DescribeNetworkInterfaces"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What came of it; `ground` is None where the cloud could not be asked at all."""

    ground: Ground | None
    seen: Seen


async def attempt(asking: Awaitable[_T]) -> _T | CloudError:
    """Return what the cloud says, or its refusal."""
    try:
        return await asking
    except CloudError as error:
        return error


async def ask(cloud: Cloud, config: Config, me: Node, instance_id: str | None) -> Surveyed:
    """Ask for everything. `instance_id` is this instance's as the metadata service has it. Raises nothing."""
    ground = await _ground(cloud, config, me, instance_id)
    if isinstance(ground, CloudError) and ground.code == SIGNATURE_EXPIRE:
        ground = await _ground(cloud, config, me, instance_id)  # by the API's clock, which its answer has told
    if isinstance(ground, CloudError):
        return Surveyed(None, Seen((access.of_error(ground, DESCRIBE),)))
    parts = await asyncio.gather(
        _holders(cloud, ground),
        _ranges(cloud, ground),
        _obstacles(cloud, ground),
        _room(cloud, ground),
        _rights(cloud, ground, me),
    )
    looked = (*placement(ground), *moving_enis(ground), *security_groups(ground))
    places = ", ".join(f"{node.name} has {eni.id} in {eni.subnet_id}, {eni.zone}" for node, eni in ground.placed)
    seen = joined((judged(looked, f"the cloud answers: {places}"), *parts))
    return Surveyed(ground, replace(seen, findings=tuple(addresses.causes(seen.findings))))


async def _ground(cloud: Cloud, config: Config, me: Node, instance_id: str | None) -> Ground | CloudError:
    members = [node for node in config.nodes if node.role == "member"]
    asked = (attempt(eni_of(node, instance_id if node is me else None, cloud)) for node in members)
    own: dict[str, str] = {}
    for node, found in zip(members, await asyncio.gather(*asked), strict=True):
        if isinstance(found, CloudError):
            return found
        own[node.name] = found or ""
    enis = await attempt(cloud.describe_enis([*filter(None, own.values()), *config.enis]))
    return enis if isinstance(enis, CloudError) else Ground(config, own, {eni.id: eni for eni in enis})


async def _holders(cloud: Cloud, ground: Ground) -> Seen:
    missing = addresses.missing(ground)
    subnets = sorted({eni.subnet_id for _, eni in ground.placed if eni.subnet_id})
    others: tuple[Eni, ...] | CloudError = ()
    if missing and subnets:
        others = await attempt(cloud.carriers(missing, subnets))
    if isinstance(others, CloudError):
        return Seen(notes=(_untold(DESCRIBE, others, "who has the addresses that no node has"),))
    return judged(addresses.holders(ground, others), "every address is secondary, and on a node's ENI")


async def _ranges(cloud: Cloud, ground: Ground) -> Seen:
    ids = sorted({eni.subnet_id for _, eni in ground.placed if eni.subnet_id})
    if not ids or not ground.addresses:
        return Seen()
    found = await attempt(survey.subnets(cloud, ids))
    if isinstance(found, CloudError):
        return Seen(notes=(_untold("DescribeSubnets", found, "whether the addresses are within the subnet"),))
    objections = addresses.ranges(ground, {subnet.id: subnet for subnet in found})
    return judged(objections, "every address is within the nodes' subnet")


async def _obstacles(cloud: Cloud, ground: Ground) -> Seen:
    vpcs = sorted({eni.vpc_id for _, eni in ground.placed if eni.vpc_id})
    ids = sorted({*(eni.id for _, eni in ground.placed), *(eni for eni in ground.moving if eni in ground.enis)})
    if not ids:
        return Seen()
    havips, protected = await asyncio.gather(
        attempt(survey.havips(cloud, vpcs)), attempt(survey.protected(cloud, ids))
    )
    found: list[Finding] = []
    notes: list[Note] = []
    if isinstance(havips, CloudError):
        notes.append(_untold("DescribeHaVips", havips, "whether a HAVIP is in the way"))
    else:
        found += addresses.in_the_way(ground, havips)
    if isinstance(protected, CloudError):
        notes.append(_untold(DESCRIBE, protected, "which ENIs have traffic protection"))
    else:
        found += addresses.protection(sorted(protected))
    proven = () if found or notes else ("no HAVIP and no traffic protection is in the way",)
    return Seen(tuple(found), tuple(notes), proven)


def _untold(action: str, error: CloudError, what: str) -> Note:
    return Note(action, f"{what} is not known: {error}")


async def _room(cloud: Cloud, ground: Ground) -> Seen:
    nodes = [(node, instance) for node in ground.members if (instance := ground.instance(node)) is not None]
    answers = await asyncio.gather(*(attempt(survey.limits(cloud, instance)) for _, instance in nodes))
    asked = zip(nodes, answers, strict=True)
    allowed, unanswered = {}, []
    for (node, instance), said in asked:
        if isinstance(said, CloudError):
            unanswered.append((node, instance, said))
        else:
            allowed[node.name] = room.by_api(said)
    by_size, untold = await _by_size(cloud, unanswered)
    allowed |= by_size
    attached = await _attached(cloud, nodes) if ground.moving else {}
    found = (*room.addresses(ground, allowed), *room.enis(ground, allowed, attached), *untold)
    return judged(found, "there is room on every node for all that may move there")


async def _by_size(
    cloud: Cloud, unanswered: Sequence[tuple[Node, str, CloudError]]
) -> tuple[dict[str, room.Allowed], list[Finding]]:
    """Return what the product pages say of the instances of which the API says nothing."""
    if not unanswered:
        return {}, []
    sizes = await attempt(survey.sizes(cloud, [instance for _, instance, _ in unanswered]))
    known = {} if isinstance(sizes, CloudError) else {size.instance_id: size for size in sizes}
    allowed, untold = {}, []
    for node, instance, error in unanswered:
        if instance in known:
            size = known[instance]
            allowed[node.name] = room.by_table(row_of(size.cpu, size.memory_gb))
        else:
            also = f"; DescribeInstances: {sizes}" if isinstance(sizes, CloudError) else ""
            found = f"how much {instance} may have is not known: DescribeNetworkInterfaceLimit: {error}{also}"
            untold.append(unknown("quota-addresses", node.name, found))
    return allowed, untold


async def _attached(cloud: Cloud, nodes: Sequence[tuple[Node, str]]) -> dict[str, frozenset[str]]:
    """Return the ENIs of each node's instance, without the nodes of which that cannot be told."""
    answers = await asyncio.gather(*(attempt(cloud.describe_enis(instance_id=instance)) for _, instance in nodes))
    return {
        node.name: frozenset(eni.id for eni in said)
        for (node, _), said in zip(nodes, answers, strict=True)
        if not isinstance(said, CloudError)
    }


async def _rights(cloud: Cloud, ground: Ground, me: Node) -> Seen:
    """Send the probes, one after the other: some work on the same ENI, which the cloud would call busy."""
    parts = []
    for probe in probes.probes(ground, me):
        code = await cloud.probe(probe.action, dict(probe.parameters), probe.service)
        parts.append(probes.verdict(probe, code))
    wide = probes.width(ground, me)
    code = "" if wide is None else await cloud.probe(wide.action, dict(wide.parameters), wide.service)
    return joined((*parts, Seen(notes=(probes.excess(wide, code),))))


async def limits_of(cloud: Cloud, instance_id: str | None) -> Limits | None:
    """Return an instance's quota, None where it is not to be had."""
    said = None if instance_id is None else await attempt(survey.limits(cloud, instance_id))
    return None if isinstance(said, CloudError) else said
