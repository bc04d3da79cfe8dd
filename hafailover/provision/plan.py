"""From what is seen to what is to be done, or to all that forbids it. PURE.

Only what nobody has is given to anybody: an address that an ENI carries stays there, whatever its state, and so
does an ENI that an instance has. What is wrong in one place forbids everything: a wrong file changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.cloud.plan import TRANSIENT
from hafailover.errors import Problem
from hafailover.provision.steps import (
    Attach,
    Create,
    NewEni,
    Place,
    Plan,
    Seen,
    Step,
    assigned,
    at_work,
    eni_name,
    preferred,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hafailover.cloud.replies import Address, Eni
    from hafailover.config.model import Group, Node

NEW_ENI = "--new-eni"


def make(seen: Seen, wanted: NewEni | None = None) -> Plan:
    """Return the plan: for a new ENI if that is `wanted`, else for all that the file names."""
    return _Planner(seen).plan(wanted)


class _Planner:
    """One plan while it is made."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._ground = ground = seen.ground
        self._file = str(ground.config.path)
        self._preferred = preferred(ground.config)
        self._nodes = {eni: name for name, eni in ground.own.items() if eni}
        instances = {node.name: ground.instance(node) for node in ground.members}
        self._instances = {instance: name for name, instance in instances.items() if instance}
        self._present: list[str] = []
        self._problems: list[Problem] = []
        self._notes = list(seen.notes)
        self._unsettled = False
        self._ready = ""

    def plan(self, wanted: NewEni | None) -> Plan:
        at = self._place()
        steps: tuple[Step, ...] = ()
        if at is not None and not self._problems:
            steps = self._for_file(at) if wanted is None else self._for_new(at, wanted)
            self._require_slots(at, steps)
        return Plan(
            at,
            tuple(self._present),
            () if self._problems else steps,
            tuple(self._problems),
            tuple(self._notes),
            unsettled=self._unsettled,
            ready=self._ready,
            existing=tuple(
                eni for group in self._ground.config.groups for eni in group.enis if eni in self._ground.enis
            ),
        )

    def _object(self, key: str, message: str) -> None:
        self._problems.append(Problem(self._file, key, message))

    def _place(self) -> Place | None:
        """Look at every node's ENI: who is a holder, and who is not, follows from them."""
        for node in self._ground.members:
            self._judge_own(node)
        eni, instance = self._ground.eni(self._preferred), self._ground.instance(self._preferred)
        return None if eni is None or instance is None else Place(self._preferred.name, eni.id, instance)

    def _judge_own(self, node: Node) -> None:
        key = f'node "{node.name}".eni'
        eni_id, eni = self._ground.own.get(node.name, ""), self._ground.eni(node)
        if not eni_id:
            self._object(key, "the cloud names no ENI for this node, or several; set it")
        elif eni is None:
            self._object(key, f"{eni_id} does not exist in this region")
        elif eni.instance_id is None:
            self._object(key, f"{eni_id} is attached to no instance")
        elif node.instance_id not in (None, eni.instance_id):
            found = f"{eni_id} is attached to {eni.instance_id}"
            self._object(f'node "{node.name}".instance_id', f"{node.instance_id} is given, and {found}")

    def _for_file(self, at: Place) -> tuple[Step, ...]:
        groups = self._ground.config.groups
        vacant = [address for group in groups for address in group.addresses if self._is_vacant(group, address)]
        self._require_room(at, vacant)
        loose = [eni for group in groups for eni in group.enis if self._is_loose(group, eni)]
        return (*assigned(at, vacant), *(Attach(at, eni) for eni in loose))

    def _is_vacant(self, group: Group, address: str) -> bool:
        key = f'group "{group.name}".addresses'
        carriers = [
            (eni, held) for eni in self._ground.enis.values() for held in eni.addresses if held.ip == address
        ]
        if carriers:
            self._judge_carriers(key, address, carriers)
            return False
        objection = self._objection(address)
        if objection:
            self._object(key, f"{address}: {objection}")
        return not objection

    def _judge_carriers(self, key: str, address: str, carriers: list[tuple[Eni, Address]]) -> None:
        eni, held = next((each for each in carriers if each[0].id not in self._nodes), carriers[0])
        moving = next((held.state for _, held in carriers if held.state in TRANSIENT), "")
        if held.primary:
            self._object(key, f"{address} is the primary address of {eni.id}, which cannot move")
        elif eni.id not in self._nodes:
            where = f", attached to {eni.instance_id}" if eni.instance_id else ""
            self._object(
                key, f"{address} is on {eni.id}{where}, which is no node's own ENI; nothing is taken from it"
            )
        elif moving:
            self._wait(key, f"{address} is {moving} on {eni.id}")
        else:
            self._present.append(f"{address} on {eni.id} of {self._nodes[eni.id]}")

    def _wait(self, key: str, what: str) -> None:
        self._unsettled = True
        self._object(key, f"{what}: the cloud is at work on it, try again when it is done")

    def _objection(self, address: str) -> str:
        """Say why nobody can have an address that nobody has."""
        seen = self._seen
        havip = next((havip for havip in seen.havips if havip.address == address), None)
        if havip is not None:
            return f"it is the address of the HAVIP {havip.id}"
        mine = self._mine
        for node, eni in self._ground.placed:
            if eni.subnet_id != mine.subnet_id:
                where = f"{eni.id} of {node.name} is in {eni.subnet_id}, and {mine.id} in {mine.subnet_id}"
                return f"addresses move within one subnet, and {where}"
        subnet = seen.subnets.get(mine.subnet_id)
        return "" if subnet is None else subnet.objection(address)

    @property
    def _mine(self) -> Eni:
        """The preferred node's own ENI."""
        return self._ground.enis[self._ground.own[self._preferred.name]]

    def _require_room(self, at: Place, vacant: Iterable[str]) -> None:
        """Compare with the quota of IPv4 addresses; the documents have none for IPv6."""
        more = [address for address in vacant if ":" not in address]
        carried = [held for held in self._mine.addresses if ":" not in held.ip]
        limits = self._seen.limits
        if more and limits is not None and len(carried) + len(more) > limits.private_ips:
            have = f"{at.eni} of {at.node} has {len(carried)} of at most {limits.private_ips} addresses"
            self._object("group.addresses", f"{have}, and {', '.join(more)} would be {len(more)} more")

    def _is_loose(self, group: Group, eni_id: str) -> bool:
        """Whether an ENI of the file is to be attached."""
        key, eni = f'group "{group.name}".enis', self._ground.enis.get(eni_id)
        if eni is None:
            gone = f"{eni_id} does not exist in this region, and the cloud alone gives ids"
            self._object(key, f"{gone}: `hafailover provision --new-eni {group.name}` creates an ENI")
            return False
        return self._is_free(key, eni)

    def _is_free(self, key: str, eni: Eni) -> bool:
        """Whether an ENI can be attached now; what is in the way is noted."""
        moving = at_work(eni)
        if eni.primary:
            self._object(key, f"{eni.id} is the primary ENI of {eni.instance_id}, which cannot move")
        elif moving:
            self._wait(key, f"{eni.id} is {moving}")
        elif eni.instance_id is None:
            return self._fits(key, eni)
        elif eni.instance_id in self._instances:
            self._present.append(f"{eni.id} attached to {eni.instance_id} of {self._instances[eni.instance_id]}")
        else:
            where = f"{eni.id} is attached to {eni.instance_id}, which is no node's"
            self._object(key, f"{where}; nothing is taken from it")
        return False

    def _fits(self, key: str, eni: Eni) -> bool:
        """Whether the preferred node's instance can have an ENI: it is where the node's own ENI is."""
        mine, limits = self._mine, self._seen.limits
        count = sum(":" not in held.ip for held in eni.addresses)
        where = f"and {mine.id} of {self._preferred.name} in"
        if _differ(eni.vpc_id, mine.vpc_id):
            self._object(key, f"{eni.id} is in {eni.vpc_id}, {where} {mine.vpc_id}: an ENI stays in its VPC")
        elif _differ(eni.zone, mine.zone):
            self._object(key, f"{eni.id} is in {eni.zone}, {where} {mine.zone}: an ENI stays in its zone")
        elif limits is not None and count > limits.private_ips:
            self._object(key, f"{eni.id} has {count} addresses, and {limits.private_ips} are allowed there")
        else:
            return True
        return False

    def _require_slots(self, at: Place, steps: Iterable[Step]) -> None:
        more = sum(isinstance(step, Attach | Create) for step in steps)
        seen, limits = self._seen, self._seen.limits
        if more and limits is not None and seen.attached is not None and seen.attached + more > limits.enis:
            have = f"{at.instance} of {at.node} has {seen.attached} of at most {limits.enis} ENIs"
            self._object("group.enis", f"{have}, and this would be {more} more")

    def _for_new(self, at: Place, wanted: NewEni) -> tuple[Step, ...]:
        name, found = eni_name(self._ground.config.cluster.name, wanted.group), self._seen.named
        if len(found) > 1:
            ids = ", ".join(eni.id for eni in found)
            self._object(NEW_ENI, f'several ENIs are called "{name}": {ids}; rename or delete all but one')
            return ()
        if not found:
            return self._created(at, name, wanted)
        self._ready = found[0].id
        has = sum(":" not in held.ip for held in found[0].addresses)
        if has < wanted.addresses:
            self._notes.append(f'{found[0].id}, called "{name}", has {has} of the {wanted.addresses} addresses')
        return (Attach(at, found[0].id),) if self._is_free(NEW_ENI, found[0]) else ()

    def _created(self, at: Place, name: str, wanted: NewEni) -> tuple[Step, ...]:
        mine, limits = self._mine, self._seen.limits
        if limits is not None and wanted.addresses > limits.private_ips:
            said = f"{wanted.addresses} is given, and an ENI of {at.instance} may have {limits.private_ips}"
            self._object("--addresses", said)
        return (Create(at, name, mine.vpc_id, mine.subnet_id, mine.security_groups, wanted.addresses),)


def _differ(one: str, other: str) -> bool:
    """Whether two places are known to be different ones: the API leaves some empty for a while."""
    return bool(one and other) and one != other
