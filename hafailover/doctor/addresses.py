"""The addresses that are to move: are they secondary, within the subnet, and this cluster's? PURE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.doctor.findings import failure, warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hafailover.cloud.replies import Address, Eni, HaVip, Subnet
    from hafailover.doctor.findings import Finding
    from hafailover.doctor.ground import Ground

Carriers = tuple[tuple["Eni", "Address"], ...]


def missing(ground: Ground) -> tuple[str, ...]:
    """Return the addresses that no known ENI carries: somebody else may have them."""
    there = {held.ip for eni in ground.enis.values() for held in eni.addresses}
    return tuple(address for address in ground.addresses if address not in there)


def holders(ground: Ground, others: Sequence[Eni] = ()) -> Iterator[Finding]:
    """Look at who has each address; `others` are the ENIs found to carry those that are `missing`."""
    known = {**{eni.id: eni for eni in others}, **ground.enis}
    for address in ground.addresses:
        carriers = tuple((eni, held) for eni in known.values() for held in eni.addresses if held.ip == address)
        yield from _holder(ground, address, carriers)


def _holder(ground: Ground, address: str, carriers: Carriers) -> Iterator[Finding]:
    primary = next((eni for eni, held in carriers if held.primary), None)
    complete = all(ground.own.values())  # else it may be the ENI that is not known to be a node's
    strangers = [eni for eni, _ in carriers if complete and eni.id not in ground.own.values()]
    if primary is not None:
        yield failure("address-primary", address, f"it is the primary address of {primary.id}")
    elif strangers:
        where = f", attached to {strangers[0].instance_id}" if strangers[0].instance_id else ""
        yield failure("address-stranger", address, f"it is on {strangers[0].id}{where}, which is no node's")
    elif not carriers:
        yield warning("address-vacant", address, "no ENI of the nodes' subnet has it")


def causes(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Leave out that nobody has an address which nobody can have."""
    impossible = {each.about for each in findings if each.name == "address-range"}
    yield from (each for each in findings if each.name != "address-vacant" or each.about not in impossible)


def ranges(ground: Ground, subnets: Mapping[str, Subnet]) -> Iterator[Finding]:
    """Compare the addresses with the subnet of the nodes' ENIs; the first node's, where they differ."""
    ids = [eni.subnet_id for _, eni in ground.placed]
    subnet = next((subnets[subnet_id] for subnet_id in ids if subnet_id in subnets), None)
    if subnet is None:
        return
    for address in ground.addresses:
        objection = subnet.objection(address)
        if objection:
            yield failure("address-range", address, objection)


def in_the_way(ground: Ground, havips: Sequence[HaVip]) -> Iterator[Finding]:
    """Look for HAVIPs that have a group's address, or whose range holds a node that ENIs are to leave."""
    for havip in havips:
        if havip.address in ground.addresses:
            yield failure("havip-address", havip.address, f"it is the address of {havip.id}")
        if ground.moving:
            involved = {*ground.moving, *(ground.instance(node) for node in ground.members)}
            for inside in havip.range:
                if inside in involved:
                    yield failure("havip-range", inside, f"it is within the range of {havip.id}")


def protection(protected: Sequence[str]) -> Iterator[Finding]:
    """Tell of the ENIs with traffic protection."""
    for eni_id in sorted(protected):
        yield warning("traffic-protection", eni_id, "it has traffic protection")
