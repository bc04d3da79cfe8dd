"""What the simulated cloud has at the beginning of a life: hosts, a stranger, and all that moves, on the first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hafailover.emulator.network import Eip, PrivateIp
from hafailover.emulator.world import VPC_ID, EniSpec, NodeSpec, build
from tests.simulation.options import ADDRESSES, ENIS, OTHER_ADDRESS, SIX

if TYPE_CHECKING:
    from hafailover.emulator.network import Network
    from tests.simulation.options import Options

STRANGER = NodeSpec("stranger", "ins-zzzzzzzz", "eni-zzzzzzzz", "10.0.1.250")  # a machine without a daemon


def specs_of(options: Options) -> tuple[NodeSpec, ...]:
    """Return the hosts of a life: large enough for every ENI that there may be."""
    return tuple(
        NodeSpec(name, f"ins-{name * 8}", f"eni-{name * 8}", f"10.0.1.{17 + place}", cpu=4, memory_gb=8)
        for place, (name, _) in enumerate(options.priorities)
    )


def eips_of(options: Options) -> dict[str, str]:
    """Return the EIPs of a life, each with the address that it is bound to."""
    return {
        f"eip-{place:08}": address
        for place, address in enumerate(ADDRESSES[: min(options.eips, options.addresses)])
    }


def addresses_of_enis(options: Options) -> dict[str, str]:
    """Return the primary addresses of the ENIs of a life, each with its ENI."""
    return {f"10.0.1.{200 + place}": each for place, each in enumerate(ENIS[: options.enis])}


def network_of(options: Options) -> Network:
    """Return the network at the beginning of a life."""
    first, *others = specs_of(options)
    enis = tuple(EniSpec(eni, (address,), first.instance_id) for address, eni in addresses_of_enis(options).items())
    addresses = (*ADDRESSES[: options.addresses], *(OTHER_ADDRESS,) * (options.groups - 1))
    network = build((first, *others, STRANGER), addresses, ipv6_cidr="2001:db8:1::/64", enis=enis)
    if options.sixes:
        network = network.with_enis(network.enis[first.eni_id].with_ips(PrivateIp(SIX)))
    eips = {
        eip: Eip(eip, f"203.0.113.{10 + place}", VPC_ID, address)
        for place, (eip, address) in enumerate(eips_of(options).items())
    }
    return replace(network, eips=eips)
