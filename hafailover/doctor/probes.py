"""Which requests prove a permission without doing anything, and what their refusals prove. PURE.

Each write that a failover of this configuration to this node needs is sent once, with the ids that the policy has
to name and with arguments that the cloud refuses for a state that never changes. Every probe is refused for two
reasons of which each suffices; docs/doctor.md goes through them. Where there are no such arguments for the
configured ids (attach, detach, stop), others are named, and a denial then proves nothing: it becomes a note.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hafailover.cloud import announced
from hafailover.cloud.api import OK
from hafailover.cloud.outcome import Remedy, classify
from hafailover.cloud.plan import Call, Verb
from hafailover.cloud.policy import releases_eips, verbs_of
from hafailover.doctor.findings import Note, Seen, failure, unknown
from hafailover.election.values import Outcome, Refusal, Resource, ResourceKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hafailover.cloud.replies import Eni
    from hafailover.config.model import Node
    from hafailover.doctor.ground import Ground

NO_TASK = "00000000-0000-4000-8000-000000000000"
NO_INSTANCE = "ins-00000000"
NO_ENI = "eni-00000000"
NO_EIP = "eip-00000000"
NO_EIP_TASK = 0
NO_IPV6 = "100::1"  # of the prefix that is thrown away, RFC 6666: in no subnet


@dataclass(frozen=True, slots=True)
class Probe:
    """One request. `about` says on what; `reads`: it may be granted, for it changes nothing in any case.

    `exact`: it names what a policy has to name, so that a denial proves that the permission is missing.
    """

    action: str
    parameters: Mapping[str, object]
    about: str
    service: str = "vpc"
    exact: bool = True
    reads: bool = False


def probes(ground: Ground, me: Node) -> tuple[Probe, ...]:
    """Return the probes for what a failover to this node needs; those that want what is not known are left out."""
    own = ground.eni(me)
    found = [*_reads(ground)]
    if own is not None:
        found += [*_addresses(ground, own), *_enis(ground, own), *_eips(ground, own)]
    if any(group.fence == "stop-instance" for group in ground.config.groups):
        parameters = {"InstanceIds": [NO_INSTANCE], "StopType": "HARD"}
        found.append(Probe("StopInstances", parameters, NO_INSTANCE, "cvm", exact=False))
    return tuple(found)


def _reads(ground: Ground) -> Iterator[Probe]:
    yield Probe("DescribeVpcTaskResult", {"TaskId": NO_TASK}, "a task that there is not", reads=True)
    subnets = sorted({ground.enis[eni].subnet_id for eni in ground.moving if eni in ground.enis})
    if subnets:
        yield Probe("DescribeSubnets", {"SubnetIds": subnets}, ", ".join(subnets), reads=True)
    groups = ground.config.groups
    instances = [instance for instance in map(ground.instance, ground.members) if instance is not None]
    if instances and any("cloud" in group.guards or group.fence == "stop-instance" for group in groups):
        parameters: dict[str, object] = {"InstanceIds": instances, "Offset": 0, "Limit": len(instances)}
        yield Probe("DescribeInstancesStatus", parameters, ", ".join(instances), "cvm", reads=True)
    if instances and "repair" in ground.config.announced.sources:
        parameters = {"InstanceIds": instances, "Offset": 0, "Limit": 1}
        yield Probe(announced.ACTION, parameters, ", ".join(instances), "cvm", reads=True)


def _primary(eni: Eni) -> str | None:
    return next((held.ip for held in eni.addresses if held.primary and ":" not in held.ip), None)


def _addresses(ground: Ground, own: Eni) -> Iterator[Probe]:
    """Probe once for each action, with addresses that cannot move."""
    peers = [eni for _, eni in ground.placed if eni.id != own.id]
    for ipv6 in sorted({":" in address for address in ground.addresses}):
        stand_in = NO_IPV6 if ipv6 else _primary(own)
        if stand_in is None:
            continue
        address = Resource(ResourceKind.ADDRESS, stand_in)
        for verb in verbs_of(ground.config, address):
            yield from _of_address(verb, address, own, peers)


def _of_address(verb: Verb, address: Resource, own: Eni, peers: Sequence[Eni]) -> Iterator[Probe]:
    if verb is Verb.TAKE:
        yield _probe(Call(verb, (address,), "", own.id), f"on {own.id}")
        return
    for peer in peers:
        target = own.id if verb is Verb.MIGRATE else ""
        yield _probe(Call(verb, (address,), peer.id, target), f"from {peer.id} to {own.id}")


def _enis(ground: Ground, own: Eni) -> Iterator[Probe]:
    instance = own.instance_id
    if instance is None or not ground.moving:
        return
    for verb in verbs_of(ground.config, Resource(ResourceKind.ENI, own.id)):
        if verb is Verb.MIGRATE:
            for eni in (ground.enis.get(eni_id) for eni_id in ground.moving):
                if eni is not None and eni.instance_id not in (None, instance):
                    call = Call(verb, (Resource(ResourceKind.ENI, eni.id),), instance, instance)
                    yield _probe(call, f"{eni.id} to {instance}")
        elif own.primary:
            yield from _on_primary(ground, own, verb, instance)


def _on_primary(ground: Ground, own: Eni, verb: Verb, instance: str) -> Iterator[Probe]:
    """Probe with this node's primary ENI, which neither leaves its CVM nor can be attached to it again."""
    resource = Resource(ResourceKind.ENI, own.id)
    others = [eni.instance_id for _, eni in ground.placed if eni.instance_id not in (None, instance)]
    if verb is Verb.TAKE:
        yield _probe(Call(verb, (resource,), "", instance), f"{own.id} to {instance}", exact=False)
    elif others:
        yield _probe(Call(verb, (resource,), str(others[0]), ""), f"{own.id} from {others[0]}", exact=False)


def _eips(ground: Ground, own: Eni) -> Iterator[Probe]:
    """Probe what binds an EIP again, with one that does not exist: the policy names none."""
    primary = _primary(own)
    if primary is None or not releases_eips(ground.config):
        return
    yield Probe("DescribeAddresses", {"AddressIds": [NO_EIP]}, NO_EIP, reads=True)
    yield Probe("DescribeTaskResult", {"TaskId": NO_EIP_TASK}, "a task that there is not", reads=True)
    binding = {"AddressId": NO_EIP, "NetworkInterfaceId": own.id, "PrivateIpAddress": primary}
    yield Probe("AssociateAddress", binding, NO_EIP)


def _probe(call: Call, about: str, *, exact: bool = True) -> Probe:
    return Probe(call.action, call.parameters(), about, exact=exact)


def width(ground: Ground, me: Node) -> Probe | None:
    """Return a probe of an ENI that does not exist: a role that names its ENIs denies it."""
    own = ground.eni(me)
    primary = None if own is None else _primary(own)
    if primary is None or not ground.addresses:
        return None
    address = Resource(ResourceKind.ADDRESS, primary)
    verb = verbs_of(ground.config, address)[0]
    target = NO_ENI if verb is Verb.MIGRATE else ""
    return _probe(Call(verb, (address,), NO_ENI, target), NO_ENI)


def verdict(probe: Probe, code: str) -> Seen:
    """Say what the refusal of a probe proves."""
    if code == OK:
        found = f"{probe.about}: it was accepted, although nothing can come of it"
        return _granted(probe) if probe.reads else Seen((failure("probe-accepted", probe.action, found),))
    kind = classify(code, probe.action)
    if kind.remedy is Remedy.GRANT_PERMISSION:
        return _denied(probe, code)
    if kind.refusal is Refusal.PERMISSION:
        return Seen((failure("permission", probe.action, f"{probe.about}: refused with {code}"),))
    if kind.refusal is None and not (probe.reads and code == "ResourceNotFound"):
        found = f"{probe.about}: the answer was {code}, which says nothing of rights"
        return Seen((unknown("permission", probe.action, found),))
    return _granted(probe)


def _granted(probe: Probe) -> Seen:
    return Seen(proven=(f"the role may {probe.action} ({probe.about})",))


def _denied(probe: Probe, code: str) -> Seen:
    if probe.exact:
        return Seen((failure("permission", probe.action, f"{probe.about}: denied with {code}"),))
    text = (
        f"it is denied for {probe.about}, as a policy does that names only what is configured; for that there are "
        "no arguments with which the request is harmless in every case"
    )
    return Seen(notes=(Note(probe.action, text),))


def excess(probe: Probe | None, code: str) -> Note:
    """Say what can and what cannot be known of rights that the role should not have."""
    text = "whether it may do more than `hafailover policy` prints is not asked: it would be done where it may"
    kind = None if probe is None else classify(code, probe.action)
    if probe is not None and kind is not None and kind.outcome is Outcome.REFUSED and kind.remedy is Remedy.NONE:
        text += (
            f"; it seems to allow {probe.action} on any ENI: for one that does not exist the answer was {code}"
            " and no denial"
        )
    return Note("role", text)
