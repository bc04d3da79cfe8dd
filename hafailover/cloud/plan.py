"""What to ask of the cloud next, and who holds what according to its answer.

Strategy "migrate" is one call that names the holder just seen and that the cloud refuses where this is no
longer so (MigratePrivateIpAddress, MigrateNetworkInterface). Strategy "reassign" releases first and takes
then, for accounts or resources for which a migration is not available; what dies half way is completed by
whoever is next, because a resource that nobody holds needs only the second call. For IPv6 addresses the API
has no other way (UnassignIpv6Addresses, AssignIpv6Addresses).

Releases and takes of addresses name up to ten of them in one call; migrations are for one resource each.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

from hafailover.election.values import Resource, ResourceKind, Sighting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hafailover.cloud.replies import Eni

Strategy = Literal["migrate", "reassign"]

# States in which the cloud itself is at work on an address or ENI (API documents: NetworkInterface.State,
# PrivateIpAddressSpecification.State). Any other, also one not yet invented, counts as settled.
TRANSIENT = frozenset({"PENDING", "MIGRATING", "DELETING", "ATTACHING", "DETACHING"})
_ARRIVING = frozenset({"PENDING", "ATTACHING"})


class Verb(Enum):
    """What a call does with a resource."""

    MIGRATE = "migrate"  # from the named holder to the target, or not at all
    TAKE = "take"  # from nobody to the target
    RELEASE = "release"  # from the named holder to nobody


MAX_BATCH = 10  # addresses in one release or take (API documents: AssignPrivateIpAddresses and its kin)

_IPV6_ACTIONS: Mapping[Verb, str] = {Verb.TAKE: "AssignIpv6Addresses", Verb.RELEASE: "UnassignIpv6Addresses"}
_ACTIONS: Mapping[tuple[ResourceKind, Verb], str] = {
    (ResourceKind.ADDRESS, Verb.MIGRATE): "MigratePrivateIpAddress",
    (ResourceKind.ADDRESS, Verb.TAKE): "AssignPrivateIpAddresses",
    (ResourceKind.ADDRESS, Verb.RELEASE): "UnassignPrivateIpAddresses",
    (ResourceKind.ENI, Verb.MIGRATE): "MigrateNetworkInterface",
    (ResourceKind.ENI, Verb.TAKE): "AttachNetworkInterface",
    (ResourceKind.ENI, Verb.RELEASE): "DetachNetworkInterface",
}


def is_ipv6(resource: Resource) -> bool:
    """Return whether a resource is an IPv6 address."""
    return resource.kind is ResourceKind.ADDRESS and ":" in resource.id


def action_of(resource: Resource, verb: Verb) -> str:
    """Return the API's name of the call that does this with such a resource."""
    return _IPV6_ACTIONS[verb] if is_ipv6(resource) else _ACTIONS[resource.kind, verb]


@dataclass(frozen=True, slots=True)
class Call:
    """One write. `source` and `target` are ENI ids for addresses, instance ids for an ENI, "" for nobody.

    `resources`: 1..MAX_BATCH addresses of one family where they are released or taken, else one.
    """

    verb: Verb
    resources: tuple[Resource, ...]
    source: str
    target: str

    @property
    def action(self) -> str:
        """Return the API's name of the call."""
        return action_of(self.resources[0], self.verb)

    def parameters(self, token: str = "") -> dict[str, object]:
        """Return the request's body (API documents: input parameters of the actions).

        `token` is a ClientToken, up to 64 ASCII characters: sent where the action has one.
        """
        first = self.resources[0]
        if first.kind is ResourceKind.ENI:
            return self._eni_parameters(first, token)
        if self.verb is Verb.MIGRATE:
            return {
                "SourceNetworkInterfaceId": self.source,
                "DestinationNetworkInterfaceId": self.target,
                "PrivateIpAddress": first.id,
            }
        listed, key = ("Ipv6Addresses", "Address") if is_ipv6(first) else ("PrivateIpAddresses", "PrivateIpAddress")
        body: dict[str, object] = {
            "NetworkInterfaceId": self.source or self.target,
            listed: [{key: each.id} for each in self.resources],
        }
        return body | _tokened(token if self.verb is Verb.TAKE else "")

    def _eni_parameters(self, eni: Resource, token: str) -> dict[str, object]:
        if self.verb is Verb.MIGRATE:
            return {
                "NetworkInterfaceId": eni.id,
                "SourceInstanceId": self.source,
                "DestinationInstanceId": self.target,
            }
        return {"NetworkInterfaceId": eni.id, "InstanceId": self.source or self.target} | _tokened(token)

    @property
    def holder_after(self) -> str | None:
        """Return who holds the resource once the call is applied."""
        return self.target or None


def _tokened(token: str) -> dict[str, object]:
    return {"ClientToken": token} if token else {}


def next_call(resource: Resource, believed_holder: str | None, target: str, strategy: Strategy) -> Call | None:
    """Return the next call on the way from the believed holder to the target; None where it has arrived.

    Holders and targets are ENI ids for an address and instance ids for an ENI. At most two calls lead there:
    feed the `holder_after` of each call that was applied back in as the believed holder.
    """
    if believed_holder == target:
        return None
    if believed_holder is None:
        return Call(Verb.TAKE, (resource,), "", target)
    if strategy == "migrate" and not is_ipv6(resource):
        return Call(Verb.MIGRATE, (resource,), believed_holder, target)
    return Call(Verb.RELEASE, (resource,), believed_holder, "")


def touched(call: Call) -> tuple[str, ...]:
    """Return the ENIs that a write makes the cloud work on; it allows one write per ENI at a time."""
    first = call.resources[0]
    if first.kind is ResourceKind.ENI:
        return (first.id,)
    return tuple(eni_id for eni_id in (call.source, call.target) if eni_id)


def sightings(resources: Sequence[Resource], enis: Sequence[Eni]) -> tuple[Sighting, ...]:
    """Say for each resource who holds it according to one read of the ENIs; in the order of `resources`."""
    return tuple(_SIGHT[resource.kind](resource, enis) for resource in resources)


def _sight_address(resource: Resource, enis: Sequence[Eni]) -> Sighting:
    found = [(eni.id, held.state) for eni in enis for held in eni.addresses if held.ip == resource.id]
    resting = [eni_id for eni_id, state in found if state not in TRANSIENT]
    if resting:
        arriving = any(state in _ARRIVING for _, state in found)
        return Sighting(resource, resting[0], settled=len(resting) == 1 and not arriving)
    if found:
        staying = [eni_id for eni_id, state in found if state != "DELETING"]
        return Sighting(resource, (staying or [found[0][0]])[0], settled=False)
    return Sighting(resource, None)


def _sight_eni(resource: Resource, enis: Sequence[Eni]) -> Sighting:
    for eni in enis:
        if eni.id == resource.id:
            return Sighting(resource, eni.instance_id, settled=eni.state not in TRANSIENT)
    return Sighting(resource, None)


_SIGHT: Mapping[ResourceKind, Callable[[Resource, Sequence[Eni]], Sighting]] = {
    ResourceKind.ADDRESS: _sight_address,
    ResourceKind.ENI: _sight_eni,
}
