"""The writes on private addresses, with the error codes of their lists in the VPC API."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hafailover.emulator.network import Eni, IpState, Network, PrivateIp
from hafailover.emulator.params import MALFORMED, MAX_ADDRESSES, MAX_TEXT, Params, check_address
from hafailover.emulator.reads import render_ip
from hafailover.emulator.values import ApiError
from hafailover.emulator.writing import MUTEX, known_eni, require_room, require_settled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hafailover.emulator.writing import Parser


def _mark(network: Network, eni_id: str, addresses: tuple[str, ...], state: IpState) -> Network:
    eni = network.enis.get(eni_id)
    if eni is None:
        return network
    marked = (replace(ip, state=state) for ip in eni.ips if ip.address in addresses)
    return network.with_enis(eni.with_ips(*marked))


@dataclass(frozen=True, slots=True)
class MigrateIp:
    """MigratePrivateIpAddress: refused where `source` is not the holder; a bound EIP goes along."""

    source: str
    destination: str
    address: str

    @classmethod
    def parse(cls, raw: Mapping[str, Any], network: Network, _request_id: str) -> MigrateIp:
        """Read the request. Raises ApiError."""
        known = ("SourceNetworkInterfaceId", "DestinationNetworkInterfaceId", "PrivateIpAddress")
        params = Params(raw, known)
        source, destination = (params.id(name, "eni") for name in known[:2])
        write = cls(source, destination, params.address("PrivateIpAddress"))
        known_eni(network, source), known_eni(network, destination)
        return write

    @property
    def enis(self) -> tuple[str, ...]:
        """Both ends."""
        return (self.source, self.destination)

    @property
    def touches(self) -> tuple[str, ...]:
        """The address."""
        return (self.address,)

    def busy(self, _network: Network) -> str:
        """Return the code for a task at work on one of the ENIs or addresses."""
        return MUTEX

    def begin(self, network: Network) -> Network:
        """Mark the address MIGRATING on the source."""
        self._check(network)
        require_settled(network, self.source, MUTEX)
        require_settled(network, self.destination, MUTEX)
        return _mark(network, self.source, self.touches, IpState.MIGRATING)

    def _check(self, network: Network) -> PrivateIp:
        source, destination = known_eni(network, self.source), known_eni(network, self.destination)
        if source.id == destination.id or source.subnet_id != destination.subnet_id:
            raise ApiError("UnsupportedOperation", "The two ENIs must be different ones of one subnet.")
        ip = source.ip(self.address)
        if ip is None:
            code = "UnauthorizedOperation.AttachmentNotFound"
            raise ApiError(code, f"{self.address} is not bound to {source.id}.")
        if ip.primary:
            raise ApiError("UnauthorizedOperation.PrimaryIp", f"{self.address} is a primary address.")
        require_room(network, destination, 1)
        return ip

    def finish(self, network: Network) -> Network:
        """Move it, if the source still has it."""
        ip = replace(self._check(network), state=IpState.AVAILABLE)
        source = network.enis[self.source].without_ips(self.address)
        return network.with_enis(source, network.enis[self.destination].with_ips(ip))

    def cancel(self, network: Network) -> Network:
        """Leave it where it is."""
        return _mark(network, self.source, self.touches, IpState.AVAILABLE)

    def reply(self, _network: Network) -> dict[str, Any]:
        """Nothing but the RequestId."""
        return {}


@dataclass(frozen=True, slots=True)
class AssignIps:
    """AssignPrivateIpAddresses: only addresses that nobody has; they are PENDING until the effect."""

    eni: str
    ips: tuple[PrivateIp, ...]

    @classmethod
    def parse(cls, raw: Mapping[str, Any], network: Network, _request_id: str) -> AssignIps:
        """Read the request and choose the addresses that it leaves to the cloud. Raises ApiError."""
        known = ("NetworkInterfaceId", "PrivateIpAddresses", "SecondaryPrivateIpAddressCount", "QosLevel")
        params = Params(raw, (*known, "ClientToken"))
        eni = known_eni(network, params.id("NetworkInterfaceId", "eni"))
        count = params.integer("SecondaryPrivateIpAddressCount", 0, 0, MAX_ADDRESSES)
        ips = tuple(_specification(entry) for entry in params.list("PrivateIpAddresses", MAX_ADDRESSES))
        if not ips and not count:
            raise ApiError("MissingParameter", "PrivateIpAddresses or SecondaryPrivateIpAddressCount is needed.")
        asked = tuple(ip.address for ip in ips)
        _no_duplicates(asked)
        return cls(eni.id, (*ips, *_choose(network, eni, count, asked)))

    @property
    def enis(self) -> tuple[str, ...]:
        """The ENI that gets them."""
        return (self.eni,)

    @property
    def touches(self) -> tuple[str, ...]:
        """The addresses."""
        return tuple(ip.address for ip in self.ips)

    def busy(self, _network: Network) -> str:
        """Return the code for a task at work on one of the ENIs or addresses."""
        return MUTEX

    def begin(self, network: Network) -> Network:
        """Occupy the addresses."""
        eni = known_eni(network, self.eni)
        for address in self.touches:
            _check_free(network, eni, address)
        require_room(network, eni, len(self.ips))
        require_settled(network, eni.id)
        return network.with_enis(eni.with_ips(*self.ips))

    def finish(self, network: Network) -> Network:
        """Give them to the ENI."""
        eni = known_eni(network, self.eni)
        if any(eni.ip(address) is None for address in self.touches):
            raise ApiError("UnsupportedOperation.AttachmentNotFound", "An address was taken away meanwhile.")
        return _mark(network, self.eni, self.touches, IpState.AVAILABLE)

    def cancel(self, network: Network) -> Network:
        """Let go again what is still PENDING: somebody may have moved it by hand meanwhile."""
        eni = network.enis.get(self.eni)
        if eni is None:
            return network
        pending = {ip.address for ip in eni.ips if ip.state is IpState.PENDING}
        return network.with_enis(eni.without_ips(*pending.intersection(self.touches)))

    def reply(self, network: Network) -> dict[str, Any]:
        """Return the addresses, PENDING."""
        eni = network.enis[self.eni]
        shown = (ip for ip in eni.ips if ip.address in self.touches)
        return {"PrivateIpAddressSet": [render_ip(network, eni.vpc_id, ip) for ip in shown]}


def _specification(entry: object) -> PrivateIp:
    if not isinstance(entry, dict):
        raise ApiError("InvalidParameter", "An entry of PrivateIpAddresses is not an object.")
    params = Params(entry, ("PrivateIpAddress", "Primary", "Description", "QosLevel", "State", "IsWanIpBlocked"))
    if entry.get("Primary"):
        raise ApiError("UnsupportedOperation", "Only secondary addresses can be assigned.")
    text = params.text("Description", MAX_TEXT) if params.has("Description") else ""
    return PrivateIp(params.address("PrivateIpAddress"), state=IpState.PENDING, description=text)


def _no_duplicates(addresses: tuple[str, ...]) -> None:
    if len(set(addresses)) != len(addresses):
        raise ApiError("InvalidParameterValue.DuplicatePara", "An address is given twice.")


def _check_free(network: Network, eni: Eni, address: str) -> None:
    subnet = network.subnets[eni.subnet_id]
    if not subnet.contains(address):
        raise ApiError("InvalidParameterValue.Range", f"{address} is not within {subnet.cidr}.")
    if subnet.reserves(address):
        raise ApiError("InvalidParameterValue.Reserved", f"{address} is reserved.")
    if next(network.carriers(address, eni.vpc_id), None):
        raise ApiError("ResourceInUse", f"{address} is in use.")


def _choose(network: Network, eni: Eni, count: int, besides: tuple[str, ...]) -> tuple[PrivateIp, ...]:
    if not count:
        return ()
    subnet = network.subnets[eni.subnet_id]
    taken = {ip.address for other in network.enis.values() for ip in other.ips}.union(besides)
    free = (str(a) for a in subnet.cidr.hosts() if str(a) not in taken and not subnet.reserves(str(a)))
    chosen = tuple(
        PrivateIp(address, state=IpState.PENDING) for address, _ in zip(free, range(count), strict=False)
    )
    if len(chosen) < count:
        raise ApiError("ResourceInsufficient.Subnet", f"{subnet.id} has no free address left.")
    return chosen


@dataclass(frozen=True, slots=True)
class UnassignIps:
    """UnassignPrivateIpAddresses: secondary addresses only; a bound EIP is unbound."""

    eni: str
    addresses: tuple[str, ...]

    @classmethod
    def parse(cls, raw: Mapping[str, Any], network: Network, _request_id: str) -> UnassignIps:
        """Read the request. Raises ApiError."""
        params = Params(raw, ("NetworkInterfaceId", "PrivateIpAddresses", "InstanceId"))
        eni = known_eni(network, params.id("NetworkInterfaceId", "eni"))
        if params.has("InstanceId"):
            raise ApiError("UnsupportedOperation", "Detaching by InstanceId is not emulated.")
        entries = params.list("PrivateIpAddresses", MAX_ADDRESSES)
        if not entries:
            raise ApiError("MissingParameter", "The request is missing the parameter `PrivateIpAddresses`.")
        addresses = tuple(_address_of(entry) for entry in entries)
        _no_duplicates(addresses)
        return cls(eni.id, addresses)

    @property
    def enis(self) -> tuple[str, ...]:
        """The ENI that loses them."""
        return (self.eni,)

    @property
    def touches(self) -> tuple[str, ...]:
        """The addresses."""
        return self.addresses

    def _check(self, network: Network) -> None:
        eni = known_eni(network, self.eni)
        for address in self.addresses:
            ip = eni.ip(address)
            if ip is None:
                code = "UnsupportedOperation.AttachmentNotFound"
                raise ApiError(code, f"{address} is not bound to {eni.id}.")
            if ip.primary:
                raise ApiError("UnsupportedOperation", f"{address} is a primary address.")

    def busy(self, _network: Network) -> str:
        """Return the code for a task at work on one of the ENIs or addresses."""
        return MUTEX

    def begin(self, network: Network) -> Network:
        """Mark them DELETING."""
        self._check(network)
        require_settled(network, self.eni)
        return _mark(network, self.eni, self.addresses, IpState.DELETING)

    def finish(self, network: Network) -> Network:
        """Take them from the ENI, and their EIPs from them."""
        self._check(network)
        eni = network.enis[self.eni]
        return network.without_eips_of(eni.vpc_id, *self.addresses).with_enis(eni.without_ips(*self.addresses))

    def cancel(self, network: Network) -> Network:
        """Leave them where they are."""
        return _mark(network, self.eni, self.addresses, IpState.AVAILABLE)

    def reply(self, _network: Network) -> dict[str, Any]:
        """Nothing but the RequestId."""
        return {}


def _address_of(entry: object) -> str:
    if not isinstance(entry, dict) or "PrivateIpAddress" not in entry:
        raise ApiError(MALFORMED, "An entry of PrivateIpAddresses has no PrivateIpAddress.")
    return check_address(entry["PrivateIpAddress"], "PrivateIpAddress")


PARSERS: Mapping[str, Parser] = {
    "MigratePrivateIpAddress": MigrateIp.parse,
    "AssignPrivateIpAddresses": AssignIps.parse,
    "UnassignPrivateIpAddresses": UnassignIps.parse,
}
