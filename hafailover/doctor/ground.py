"""Where the nodes' and the groups' ENIs are: can what is to move get there at all? PURE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hafailover.doctor.findings import failure, warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hafailover.cloud.replies import Eni
    from hafailover.config.model import Config, Node
    from hafailover.doctor.findings import Finding


@dataclass(frozen=True, slots=True)
class Ground:
    """The ENIs as one read has them. `own` gives each member's ENI by the node's name, "" where it is not known."""

    config: Config
    own: Mapping[str, str]
    enis: Mapping[str, Eni]

    @property
    def members(self) -> tuple[Node, ...]:
        """The nodes that may hold anything."""
        return tuple(node for node in self.config.nodes if node.role == "member")

    def eni(self, node: Node) -> Eni | None:
        """Return a node's ENI, None where it is not known or gone."""
        return self.enis.get(self.own.get(node.name, ""))

    @property
    def placed(self) -> tuple[tuple[Node, Eni], ...]:
        """The members whose ENI is known."""
        found = ((node, self.eni(node)) for node in self.members)
        return tuple((node, eni) for node, eni in found if eni is not None)

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses of all groups."""
        return self.config.addresses

    @property
    def moving(self) -> tuple[str, ...]:
        """The ids of the ENIs that move."""
        return self.config.enis

    def enis_for(self, node: Node) -> tuple[Eni, ...]:
        """Return a node's own ENI, and all that may come to it, as far as they are known."""
        found = (self.eni(node), *map(self.enis.get, self.moving))
        return tuple(eni for eni in found if eni is not None)

    def instance(self, node: Node) -> str | None:
        """Return a node's instance, from the file or from where its ENI is."""
        eni = self.eni(node)
        return node.instance_id or (None if eni is None else eni.instance_id)


def placement(ground: Ground) -> Iterator[Finding]:
    """Look at each node's own ENI, and at all of them together."""
    for node in ground.members:
        eni_id = ground.own.get(node.name, "")
        if not eni_id:
            yield failure("eni-unnamed", node.name, "the cloud names no ENI for it, or several")
        elif eni_id not in ground.enis:
            yield failure("eni-gone", node.name, f"{eni_id} does not exist in this region")
        else:
            yield from _attachment(node, ground.enis[eni_id])
    yield from _subnets(ground)


def _attachment(node: Node, eni: Eni) -> Iterator[Finding]:
    if eni.instance_id is None:
        yield failure("eni-detached", node.name, f"{eni.id} is attached to no instance")
    elif node.instance_id not in (None, eni.instance_id):
        found = f"{eni.id} is attached to {eni.instance_id}, and the node is {node.instance_id}"
        yield failure("eni-instance", node.name, found)


def _subnets(ground: Ground) -> Iterator[Finding]:
    """Where addresses move, all nodes' ENIs are to be in one subnet."""
    subnets = {eni.subnet_id for _, eni in ground.placed if eni.subnet_id}
    if ground.addresses and len(subnets) > 1:
        where = ", ".join(f"{eni.id} of {node.name} in {eni.subnet_id}" for node, eni in ground.placed)
        yield failure("eni-subnet", "nodes", f"the nodes' ENIs are in different subnets: {where}")


def moving_enis(ground: Ground) -> Iterator[Finding]:
    """Look at the ENIs that are to move."""
    instances = {ground.instance(node) for node in ground.members} - {None}
    for eni_id in ground.moving:
        eni = ground.enis.get(eni_id)
        if eni is None:
            yield failure("eni-gone", eni_id, "it does not exist in this region")
            continue
        if eni.primary:
            yield failure("eni-primary", eni_id, f"it is the primary ENI of {eni.instance_id}")
        elif eni.instance_id is None:
            yield warning("eni-vacant", eni_id, "it is attached to no instance")
        elif instances and eni.instance_id not in instances:
            yield failure("eni-stranger", eni_id, f"it is attached to {eni.instance_id}, which is no node's")
        yield from _fitting(ground, eni)


def _fitting(ground: Ground, eni: Eni) -> Iterator[Finding]:
    """Compare with where the nodes' own ENIs are, and so their CVMs."""
    for node, own in ground.placed:
        if eni.vpc_id and own.vpc_id and eni.vpc_id != own.vpc_id:
            yield failure("eni-vpc", eni.id, f"it is in {eni.vpc_id}, and {node.name} in {own.vpc_id}")
        elif eni.zone and own.zone and eni.zone != own.zone:
            yield failure("eni-zone", eni.id, f"it is in {eni.zone}, and {node.name} in {own.zone}")


def security_groups(ground: Ground) -> Iterator[Finding]:
    """Compare the groups of the nodes' ENIs, in their order, where addresses move between them."""
    if ground.addresses and len({eni.security_groups for _, eni in ground.placed}) > 1:
        said = "; ".join(
            f"{eni.id} of {node.name} has {', '.join(eni.security_groups) or 'none'}" for node, eni in ground.placed
        )
        yield warning("security-groups", "nodes", f"the nodes' ENIs have different ones: {said}")
