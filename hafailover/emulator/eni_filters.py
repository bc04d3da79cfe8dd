"""Which ENIs a filter of DescribeNetworkInterfaces lets through: any of its values, and all of the filters.

The trap that the documents set: one value of address-ip matches the end of an address, several match whole ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.emulator.params import ANY_TAG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hafailover.emulator.network import Eni, Network
    from hafailover.emulator.params import Filters

ADDRESS = "address-ip"
EXACT = "ip-exact-match"  # of several values the first one counts


def _public(network: Network, eni: Eni) -> Iterable[str]:
    eips = (network.eip_of(eni.vpc_id, ip.address) for ip in eni.ips)
    return (eip.address for eip in eips if eip)


TEXTS: Mapping[str, Callable[[Network, Eni], Iterable[str]]] = {
    "vpc-id": lambda _, eni: (eni.vpc_id,),
    "subnet-id": lambda _, eni: (eni.subnet_id,),
    "network-interface-id": lambda _, eni: (eni.id,),
    "attachment.instance-id": lambda _, eni: (eni.instance_id or "",),
    "groups.security-group-id": lambda _, eni: eni.security_groups,
    "network-interface-name": lambda _, eni: (eni.name,),
    "network-interface-description": lambda _, eni: (eni.description,),
    "address-ipv6": lambda _, eni: (ip.address for ip in eni.ipv6s),
    "public-address-ip": _public,
    "eni-type": lambda _, eni: (str(int(eni.primary)),),
    "eni-qos": lambda _, __: ("DEFAULT",),
    "address-type": lambda _, eni: ("GUA",) if eni.ipv6s else (),
}
# Switches are said as strings, "TRUE" or "true".
SWITCHES: Mapping[str, Callable[[Eni], bool]] = {
    "is-primary": lambda eni: eni.primary,
    "traffic-protection": lambda eni: eni.traffic_protection,
    "termination-protection": lambda _: False,
}
TAGS = ("tag-key", ANY_TAG)  # there are none here
KNOWN = (*TEXTS, *SWITCHES, *TAGS, ADDRESS, EXACT)


def fits(network: Network, eni: Eni, filters: Filters) -> bool:
    """Tell whether an ENI is one of those that the filters ask for."""
    return all(_lets_through(network, eni, name, filters) for name in filters)


def _lets_through(network: Network, eni: Eni, name: str, filters: Filters) -> bool:
    values = filters[name]
    if name in TEXTS:
        return any(text in values for text in TEXTS[name](network, eni))
    if name in SWITCHES:
        return str(SWITCHES[name](eni)).upper() in (value.upper() for value in values)
    return name == EXACT or (name == ADDRESS and _has_address(eni, values, filters.get(EXACT, ())))


def _has_address(eni: Eni, wanted: tuple[str, ...], exact: tuple[str, ...]) -> bool:
    whole = len(wanted) != 1 or exact[:1] in (("TRUE",), ("true",))
    return any(ip.address in wanted if whole else ip.address.endswith(wanted[0]) for ip in eni.ips)
