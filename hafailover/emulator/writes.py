"""The writes on addresses, with the error codes of their lists in the VPC API."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from hafailover.emulator.network import IpState, Network, PrivateIp
from hafailover.emulator.params import MAX_ADDRESSES, Params
from hafailover.emulator.values import ApiError
from hafailover.emulator.wanted import V4, V6, Family, addresses_only, chosen, named, require_free
from hafailover.emulator.writing import MUTEX, known_eni, require_room, require_settled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hafailover.emulator.writing import Parser


def _mark(network: Network, eni_id: str, addresses: tuple[str, ...], state: IpState) -> Network:
    eni = network.enis.get(eni_id)
    if eni is None:
        return network
    marked = (replace(ip, state=state) for ip in eni.all_ips if ip.address in addresses)
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
        require_room(network, destination, 1, V4)
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
    """AssignPrivateIpAddresses and AssignIpv6Addresses: only ones that nobody has, PENDING until the effect."""

    eni: str
    ips: tuple[PrivateIp, ...]
    family: Family

    @classmethod
    def parse(cls, raw: Mapping[str, Any], network: Network, _request_id: str, *, family: Family) -> AssignIps:
        """Read the request and choose the addresses that it leaves to the cloud. Raises ApiError."""
        fields = ("NetworkInterfaceId", family.items, family.count, "ClientToken")
        params = Params(raw, (*fields, "QosLevel") if family is V4 else fields)
        eni = known_eni(network, params.id("NetworkInterfaceId", "eni"))
        count = params.integer(family.count, 0, 0, MAX_ADDRESSES)
        ips = named(params, family)
        if not ips and not count:
            raise ApiError("MissingParameter", f"{family.items} or {family.count} is needed.")
        besides = tuple(ip.address for ip in ips)
        more = chosen(network, network.subnets[eni.subnet_id], family, count, besides)
        return cls(eni.id, (*ips, *more), family)

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
            require_free(network, network.subnets[eni.subnet_id], address, self.family)
        require_room(network, eni, len(self.ips), self.family)
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
        pending = {ip.address for ip in self.family.carried(eni) if ip.state is IpState.PENDING}
        return network.with_enis(eni.without_ips(*pending.intersection(self.touches)))

    def reply(self, network: Network) -> dict[str, Any]:
        """Return the addresses, PENDING."""
        eni = network.enis[self.eni]
        shown = (ip for ip in self.family.carried(eni) if ip.address in self.touches)
        return {self.family.reply: [self.family.render(network, eni, ip) for ip in shown]}


@dataclass(frozen=True, slots=True)
class UnassignIps:
    """UnassignPrivateIpAddresses and UnassignIpv6Addresses: secondary ones only; a bound EIP is unbound."""

    eni: str
    addresses: tuple[str, ...]
    family: Family

    @classmethod
    def parse(cls, raw: Mapping[str, Any], network: Network, _request_id: str, *, family: Family) -> UnassignIps:
        """Read the request. Raises ApiError."""
        fields = ("NetworkInterfaceId", family.items)
        params = Params(raw, (*fields, "InstanceId") if family is V4 else fields)
        eni = known_eni(network, params.id("NetworkInterfaceId", "eni"))
        if params.has("InstanceId"):
            raise ApiError("UnsupportedOperation", "Detaching by InstanceId is not emulated.")
        return cls(eni.id, addresses_only(params, family), family)

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
                raise ApiError(self.family.not_bound, f"{address} is not bound to {eni.id}.")
            if ip.primary:
                raise ApiError(self.family.primary, f"{address} is a primary address.")

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


PARSERS: Mapping[str, Parser] = {
    "MigratePrivateIpAddress": MigrateIp.parse,
    "AssignPrivateIpAddresses": partial(AssignIps.parse, family=V4),
    "UnassignPrivateIpAddresses": partial(UnassignIps.parse, family=V4),
    "AssignIpv6Addresses": partial(AssignIps.parse, family=V6),
    "UnassignIpv6Addresses": partial(UnassignIps.parse, family=V6),
}
