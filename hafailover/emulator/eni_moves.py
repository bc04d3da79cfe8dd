"""The writes that attach ENIs to instances, with the error codes of their lists in the VPC API.

An ENI is named together with the instance that it is taken from, which is checked when the request is accepted and
when it takes effect. While it moves it still counts as held by the instance that it comes from, and already counts
against the quota of the one that it goes to. Its addresses, EIPs and security groups stay with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from hafailover.emulator.network import Eni, EniState, Instance, InstanceState, Network
from hafailover.emulator.params import Params
from hafailover.emulator.values import ApiError
from hafailover.emulator.writing import INVALID_STATE, MUTEX, known_eni, require_settled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hafailover.emulator.writing import Parser

PLUGGABLE = frozenset({InstanceState.RUNNING, InstanceState.STOPPED})
NOT_ATTACHED = "UnsupportedOperation.AttachmentNotFound"


@dataclass(frozen=True, slots=True)
class MoveEni:
    """One request to attach, detach or migrate an ENI; `source` or `target` is "" where it names no such instance.

    `INVALID` is the refusal of an ENI that is in a passing state, `UNFIT` that of an instance that is in one.
    """

    eni: str
    source: str = ""
    target: str = ""

    PASSING: ClassVar[EniState] = EniState.DETACHING
    INVALID: ClassVar[str] = INVALID_STATE
    UNFIT: ClassVar[str] = "UnsupportedOperation.ResourceIsInvalidState"

    @property
    def enis(self) -> tuple[str, ...]:
        """The ENI."""
        return (self.eni,)

    @property
    def touches(self) -> tuple[str, ...]:
        """The ENI, whose holder is an instance."""
        return (self.eni,)

    def busy(self, network: Network) -> str:
        """Say first what is wrong with the request; an ENI that is on its way says so itself."""
        self.begin(network)
        return MUTEX

    def begin(self, network: Network) -> Network:
        """Mark the ENI as on its way."""
        eni = known_eni(network, self.eni)
        require_settled(network, eni.id, self.INVALID)
        self._check(network, eni)
        marked = replace(eni, state=self.PASSING, bound_for=self.target or None)
        return network.with_enis(marked)

    def _check(self, network: Network, eni: Eni) -> None:
        if eni.primary:
            raise ApiError("UnsupportedOperation", f"{eni.id} is a primary ENI, which stays with its instance.")
        self._check_source(network, eni)
        if self.target:
            require_place(network, eni, self.target, self.UNFIT)
            require_slot(network, self.target, besides=eni.id)

    def _check_source(self, network: Network, eni: Eni) -> None:
        """See that the ENI is where the request says."""
        known_instance(network, self.source)
        if eni.instance_id != self.source:
            raise ApiError(NOT_ATTACHED, f"{eni.id} is not attached to {self.source}.")
        require_loose(network, eni)

    def finish(self, network: Network) -> Network:
        """Let it go, or give it to the target, if it still is where it was."""
        eni = known_eni(network, self.eni)
        self._check(network, eni)
        return network.with_enis(plugged(network, eni, self.target or None))

    def cancel(self, network: Network) -> Network:
        """Leave it where it is."""
        eni = network.enis.get(self.eni)
        if eni is None:
            return network
        return network.with_enis(replace(eni, state=EniState.AVAILABLE, bound_for=None))

    def reply(self, _network: Network) -> dict[str, Any]:
        """Nothing but the RequestId."""
        return {}


def known_instance(network: Network, instance_id: str) -> Instance:
    """Return an instance by its id. Raises ApiError where there is none."""
    if instance_id not in network.instances:
        raise ApiError("ResourceNotFound", f"{instance_id} does not exist.")
    return network.instances[instance_id]


def require_loose(network: Network, eni: Eni) -> None:
    """Raise ApiError where an attached ENI is held by a HAVIP's drift range, or by its own traffic.

    What the threshold of the traffic is, no document says; here an instance that runs is above it.
    """
    for havip in network.havips.values():
        if eni.id in havip.drift_range or eni.instance_id in havip.drift_range:
            code = "UnsupportedOperation.InstanceAssociateHavip"
            raise ApiError(code, f"{eni.id} or its instance is in the drift range of {havip.id}.")
    if eni.traffic_protection and network.instances[eni.instance_id or ""].state is InstanceState.RUNNING:
        raise ApiError("OperationDenied.TrafficExceedThreshold", f"{eni.id} is protected and has traffic.")


def require_place(network: Network, eni: Eni, instance_id: str, unfit: str) -> None:
    """Raise ApiError where an ENI could never be attached to an instance, or not in the state that this is in."""
    instance = known_instance(network, instance_id)
    if instance.vpc_id != eni.vpc_id:
        raise ApiError("UnsupportedOperation.VpcMismatch", f"{instance.id} is in another VPC than {eni.id}.")
    if instance.zone != network.zone_of(eni):
        raise ApiError("UnsupportedOperation.ZoneMismatch", f"{instance.id} is in another zone than {eni.id}.")
    if instance.state not in PLUGGABLE:
        raise ApiError(unfit, f"{instance.id} is {instance.state.value}.")


def require_slot(network: Network, instance_id: str, besides: str = "") -> None:
    """Raise ApiError where an instance has as many ENIs as it may have, those on their way to it included.

    Where the quota is not known, there is none.
    """
    quota = network.instances[instance_id].quota
    count = sum(
        instance_id in (eni.instance_id, eni.bound_for) for eni in network.enis.values() if eni.id != besides
    )
    if quota is not None and count >= quota.enis:
        raise ApiError("LimitExceeded", f"{instance_id} may have {quota.enis} ENIs, the primary included.")


def plugged(network: Network, eni: Eni, instance_id: str | None) -> Eni:
    """Return an ENI as it is once it is attached, in the first free place, or detached; nothing is checked."""
    taken = {other.device_index for other in network.enis_of(instance_id or "") if other.id != eni.id}
    index = 0 if instance_id is None else next(i for i in range(1, len(taken) + 2) if i not in taken)
    return replace(eni, instance_id=instance_id, device_index=index, state=EniState.AVAILABLE, bound_for=None)


class AttachEni(MoveEni):
    """AttachNetworkInterface: to an instance that runs or is off, of an ENI that is attached to none."""

    __slots__ = ()
    PASSING: ClassVar[EniState] = EniState.ATTACHING

    def _check_source(self, _network: Network, eni: Eni) -> None:
        if eni.instance_id is not None:
            code = "UnsupportedOperation.AttachmentAlreadyExists"
            raise ApiError(code, f"{eni.id} is attached to {eni.instance_id}.")


class MigrateEni(MoveEni):
    """MigrateNetworkInterface: detached and attached in one task; both instances run or are off.

    The action's list of errors has none for an instance or an ENI in a passing state.
    """

    __slots__ = ()
    INVALID: ClassVar[str] = MUTEX
    UNFIT: ClassVar[str] = "UnsupportedOperation"

    def _check_source(self, network: Network, eni: Eni) -> None:
        super()._check_source(network, eni)
        if self.source == self.target:
            raise ApiError("UnsupportedOperation", "The two instances must be different ones.")
        require_place(network, eni, self.source, self.UNFIT)


def _attach(raw: Mapping[str, Any], network: Network, _request_id: str) -> AttachEni:
    params = Params(raw, ("NetworkInterfaceId", "InstanceId", "AttachType", "ClientToken"))
    eni, target = params.id("NetworkInterfaceId", "eni"), params.id("InstanceId", "ins")
    params.integer("AttachType", 0, 0, 1)
    return AttachEni(known_eni(network, eni).id, target=target)


def _detach(raw: Mapping[str, Any], network: Network, _request_id: str) -> MoveEni:
    params = Params(raw, ("NetworkInterfaceId", "InstanceId", "ClientToken"))
    eni, source = params.id("NetworkInterfaceId", "eni"), params.id("InstanceId", "ins")
    return MoveEni(known_eni(network, eni).id, source)


def _migrate(raw: Mapping[str, Any], network: Network, _request_id: str) -> MigrateEni:
    known = ("NetworkInterfaceId", "SourceInstanceId", "DestinationInstanceId", "AttachType")
    params = Params(raw, known)
    eni = params.id("NetworkInterfaceId", "eni")
    source, target = (params.id(name, "ins") for name in known[1:3])
    params.integer("AttachType", 0, 0, 1)
    return MigrateEni(known_eni(network, eni).id, source, target)


PARSERS: Mapping[str, Parser] = {
    "AttachNetworkInterface": _attach,
    "DetachNetworkInterface": _detach,
    "MigrateNetworkInterface": _migrate,
}
