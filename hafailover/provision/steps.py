"""What provisioning looks at, and what it may come to do: values only. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from hafailover.cloud.plan import TRANSIENT, Verb, action_of, is_ipv6
from hafailover.election.values import Resource, ResourceKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hafailover.cloud.replies import Eni, HaVip, Limits, Subnet
    from hafailover.config.model import Config, Node
    from hafailover.doctor.ground import Ground
    from hafailover.errors import Problem

DESCRIBE = "DescribeNetworkInterfaces"
CREATE = "CreateNetworkInterface"
DELETE = "DeleteNetworkInterface"
MAX_NAME = 60  # bytes (API document: CreateNetworkInterface, NetworkInterfaceName)
MAX_NEW_ADDRESSES = 10  # of a new ENI, its primary one included; a request may ask for ten more


@dataclass(frozen=True, slots=True)
class NewEni:
    """A wish for a secondary ENI for a group, with so many IPv4 addresses, 1..MAX_NEW_ADDRESSES."""

    group: str
    addresses: int = 1


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look at the cloud has found.

    The `ground` has the nodes' ENIs, those that the file names, and whichever carry an address that no node has.
    `limits` and `attached` (how many ENIs) are of the preferred node's instance, None where they are not to be had.
    `named` have the name of the new ENI.
    """

    ground: Ground
    subnets: Mapping[str, Subnet]
    havips: tuple[HaVip, ...] = ()
    limits: Limits | None = None
    attached: int | None = None
    named: tuple[Eni, ...] = ()
    notes: tuple[str, ...] = ()


def preferred(config: Config) -> Node:
    """Return the member of the highest priority, of equal ones the first in the file."""
    return max((node for node in config.nodes if node.role == "member"), key=lambda node: node.priority)


@dataclass(frozen=True, slots=True)
class Place:
    """The preferred node, as far as things are made for it."""

    node: str
    eni: str
    instance: str


@dataclass(frozen=True, slots=True)
class Assign:
    """Give addresses that nobody has, of one IP version, to an ENI."""

    at: Place
    addresses: tuple[str, ...]

    @property
    def resources(self) -> tuple[Resource, ...]:
        """The addresses."""
        return tuple(Resource(ResourceKind.ADDRESS, address) for address in self.addresses)

    @property
    def actions(self) -> tuple[str, ...]:
        """The writes that it takes."""
        return (action_of(self.resources[0], Verb.TAKE),)


@dataclass(frozen=True, slots=True)
class Attach:
    """Attach an ENI that nobody has to an instance."""

    at: Place
    eni: str

    @property
    def actions(self) -> tuple[str, ...]:
        """The writes that it takes."""
        return (action_of(Resource(ResourceKind.ENI, self.eni), Verb.TAKE),)


@dataclass(frozen=True, slots=True)
class Create:
    """Make a secondary ENI and attach it; `addresses` counts its IPv4 addresses, the primary one included."""

    at: Place
    name: str
    vpc_id: str
    subnet_id: str
    security_groups: tuple[str, ...]
    addresses: int

    @property
    def actions(self) -> tuple[str, ...]:
        """The writes that it takes, and the one that cleans up where it fails half way."""
        return (CREATE, "AttachNetworkInterface", DELETE)

    def parameters(self, attempt: int) -> dict[str, object]:
        """Return the request's body (API document: CreateNetworkInterface).

        Its ClientToken follows from what is asked for and from the attempt, so that a repeated run asks for the
        same ENI. The next attempt is for when the ENI that the cloud names in its answer to this one is gone.
        """
        body: dict[str, object] = {
            "VpcId": self.vpc_id,
            "SubnetId": self.subnet_id,
            "NetworkInterfaceName": self.name,
        }
        if self.security_groups:
            body["SecurityGroupIds"] = list(self.security_groups)
        if self.addresses > 1:
            body["SecondaryPrivateIpAddressCount"] = self.addresses - 1
        token = sha256(f"{attempt} {sorted(body.items())}".encode()).hexdigest()
        return {**body, "ClientToken": token}


Step = Assign | Attach | Create


@dataclass(frozen=True, slots=True)
class Plan:
    """What is there already, what is to be done in this order, and what forbids that: then nothing is done.

    `unsettled`: one of the problems is that the cloud itself is at work on something, which will pass. `ready` is
    the ENI that a `NewEni` asks for where it exists already, `existing` are those of the file that do.
    """

    at: Place | None
    present: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    unsettled: bool = False
    ready: str = ""
    existing: tuple[str, ...] = ()

    @property
    def actions(self) -> tuple[str, ...]:
        """The writes that the steps take, as a policy names them."""
        return tuple(dict.fromkeys(f"vpc:{action}" for step in self.steps for action in step.actions))


@dataclass(frozen=True, slots=True)
class Done:
    """How a step ended. `error` is "" where it is done; `eni` is the ENI that it has created, and that is there.

    `left` says what became of an ENI that a failed step had created.
    """

    step: Step
    error: str = ""
    eni: str = ""
    left: str = ""


def at_work(eni: Eni) -> str:
    """Return the state in which the cloud itself is at work on an ENI or its addresses, "" where it is not."""
    states = (eni.state, *(held.state for held in eni.addresses))
    return next((state for state in states if state in TRANSIENT), "")


def eni_name(cluster: str, group: str) -> str:
    """Return the name of a new ENI of a group; a long one is cut, and ends in what tells it from its like."""
    name = f"hafailover {cluster} {group}"
    if len(name) <= MAX_NAME:  # all ASCII
        return name
    digest = sha256(name.encode()).hexdigest()[:8]
    return f"{name[: MAX_NAME - 9]} {digest}"


def assigned(at: Place, addresses: Iterable[str]) -> tuple[Assign, ...]:
    """Return the steps that give these addresses to the preferred node's ENI, one for each IP version."""
    named = [Resource(ResourceKind.ADDRESS, address) for address in addresses]
    split = (tuple(each.id for each in named if is_ipv6(each) is six) for six in (False, True))
    return tuple(Assign(at, some) for some in split if some)
