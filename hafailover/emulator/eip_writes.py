"""The writes that bind EIPs to private addresses, with the error codes of their lists in the VPC API.

Their tasks have numbers of their own, which DescribeTaskResult takes, not the ids of the requests.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hafailover.emulator.network import Eip, EipState, IpState, Network
from hafailover.emulator.params import Params, check_id
from hafailover.emulator.values import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hafailover.emulator.writing import Parser

MUTEX = "OperationDenied.MutexTaskRunning"
MALFORMED = "InvalidParameterValue.AddressIdMalformed"
NOT_THERE = "InvalidNetworkInterfaceId.NotFound"
BOUND = (EipState.BIND, EipState.BIND_ENI)


def task_number(request_id: str) -> int:
    """Return the number of the task that a request has started."""
    return int(request_id[:8], 16)


def known_eip(network: Network, eip_id: str) -> Eip:
    """Return an EIP by its id. Raises ApiError where there is none."""
    if eip_id not in network.eips:
        raise ApiError("InvalidAddressId.NotFound", f"{eip_id} does not exist.")
    return network.eips[eip_id]


@dataclass(frozen=True, slots=True)
class EipWrite:
    """What both have in common; `instance` is the one that AssociateAddress named instead of an address."""

    eip: str
    address: str
    request_id: str
    eni: str = ""
    instance: str = ""

    @property
    def enis(self) -> tuple[str, ...]:
        """None: the ENI itself is not worked on."""
        return ()

    @property
    def touches(self) -> tuple[str, ...]:
        """The EIP, and the address that it is mapped to."""
        return (self.eip, self.address)

    def busy(self, _network: Network) -> str:
        """Return the code for a task at work on the EIP or the address."""
        return MUTEX

    def _marked(self, network: Network, state: EipState | None) -> Network:
        return network.with_eip(replace(known_eip(network, self.eip), passing=state))

    def cancel(self, network: Network) -> Network:
        """Leave it as it is."""
        return self._marked(network, None)

    def reply(self, _network: Network) -> dict[str, Any]:
        """Return the number of the task, as a string; DescribeTaskResult wants it as a number."""
        return {"TaskId": str(task_number(self.request_id))}


class BindEip(EipWrite):
    """AssociateAddress: only of an EIP that is bound to nothing, to an address that is there and has none."""

    __slots__ = ()

    def begin(self, network: Network) -> Network:
        """Mark it BINDING."""
        self._check(network)
        return self._marked(network, EipState.BINDING)

    def _check(self, network: Network) -> str:
        """See that it can be bound; return the VPC in which that is."""
        eip = known_eip(network, self.eip)
        if eip.private_ip is not None:
            code = "UnsupportedOperation.AddressStatusNotPermit"
            raise ApiError(code, f"{eip.id} is bound to {eip.private_ip}.")
        eni = network.enis.get(self.eni)
        ip = eni.ip(self.address) if eni else None
        if eni is None or ip is None or ip.state is IpState.PENDING:
            raise ApiError(NOT_THERE, f"There is no ENI {self.eni} that has {self.address}.")
        if network.eip_of(eni.vpc_id, self.address):
            of_what = "InvalidInstanceId" if self.instance else "InvalidPrivateIpAddress"
            raise ApiError(f"{of_what}.AlreadyBindEip", f"{self.address} has an EIP already.")
        return eni.vpc_id

    def finish(self, network: Network) -> Network:
        """Map it, if the address is still there."""
        vpc_id = self._check(network)
        eip = replace(known_eip(network, self.eip), vpc_id=vpc_id, private_ip=self.address, passing=None)
        return network.with_eip(eip)


class UnbindEip(EipWrite):
    """DisassociateAddress: only of an EIP that is bound."""

    __slots__ = ()

    def begin(self, network: Network) -> Network:
        """Mark it UNBINDING."""
        eip = known_eip(network, self.eip)
        if network.state_of(eip) not in BOUND:
            raise ApiError("InvalidAddressIdStatus.NotPermit", f"{eip.id} is not bound.")
        return self._marked(network, EipState.UNBINDING)

    def finish(self, network: Network) -> Network:
        """Take it away."""
        return network.with_eip(replace(known_eip(network, self.eip), private_ip=None, passing=None))


def _associate(raw: Mapping[str, Any], network: Network, request_id: str) -> BindEip:
    targets = ("InstanceId", "NetworkInterfaceId", "PrivateIpAddress")
    params = Params(raw, ("AddressId", *targets, "EipDirectConnection", "InstanceRegion"))
    eip = known_eip(network, check_id(params.text("AddressId"), "AddressId", "eip", malformed=MALFORMED))
    by_instance, by_eni, by_address = (params.has(name) for name in targets)
    if by_instance and (by_eni or by_address):
        raise ApiError("InvalidParameterConflict", "InstanceId excludes NetworkInterfaceId and PrivateIpAddress.")
    if not (by_instance or by_eni or by_address):
        code = "InvalidParameterValue.MissingAssociateEntity"
        raise ApiError(code, "InstanceId, or NetworkInterfaceId and PrivateIpAddress, is needed.")
    if by_instance:
        return _to_instance(params, network, eip.id, request_id)
    eni, address = params.text("NetworkInterfaceId"), params.address("PrivateIpAddress")
    return BindEip(eip.id, address, request_id, check_id(eni, "NetworkInterfaceId", "eni", malformed=NOT_THERE))


def _to_instance(params: Params, network: Network, eip_id: str, request_id: str) -> BindEip:
    """Name an instance's own address, which is the primary one of its primary ENI."""
    malformed = "InvalidParameterValue.InstanceIdMalformed"
    instance_id = check_id(params.text("InstanceId"), "InstanceId", "ins", malformed=malformed)
    if instance_id not in network.instances:
        raise ApiError("InvalidInstanceId.NotFound", f"{instance_id} does not exist.")
    for eni in network.enis_of(instance_id):
        if eni.primary:
            return BindEip(eip_id, eni.ips[0].address, request_id, eni.id, instance_id)
    raise ApiError("InvalidParameterValue.ResourceNotSupport", f"{instance_id} has no primary ENI.")


def _disassociate(raw: Mapping[str, Any], network: Network, request_id: str) -> UnbindEip:
    params = Params(raw, ("AddressId", "ReallocateNormalPublicIp"))
    eip = known_eip(network, check_id(params.text("AddressId"), "AddressId", "eip", malformed=MALFORMED))
    carrier = network.carrier_of(eip)
    if params.flag("ReallocateNormalPublicIp") and not (carrier and carrier[0].primary and carrier[1].primary):
        code = "InvalidParameterValue.OnlySupportedForMasterNetworkCard"
        raise ApiError(code, f"{eip.id} is not bound to the primary address of a primary ENI.")
    return UnbindEip(eip.id, eip.private_ip or "", request_id)


PARSERS: Mapping[str, Parser] = {
    "AssociateAddress": _associate,
    "DisassociateAddress": _disassociate,
}
