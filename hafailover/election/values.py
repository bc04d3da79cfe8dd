"""The words of the election: what nodes tell each other, what the cloud says, what a group is made of.

All times are integers in milliseconds on the node's own monotonic clock, whose zero means nothing;
an instant of one node is never compared with one of another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NewType

NodeName = NewType("NodeName", str)
GroupName = NewType("GroupName", str)

Instant = int  # milliseconds, monotonic, local to the node


class State(Enum):
    """State of a group on one node: keepalived's four, and the two transitions (RFC 9568 section 6.4)."""

    INIT = "INIT"
    BACKUP = "BACKUP"
    CLAIMING = "CLAIMING"
    MASTER = "MASTER"
    RELEASING = "RELEASING"
    FAULT = "FAULT"

    @property
    def serves(self) -> bool:
        """Whether a node in this state stands for the group's addresses."""
        return self in SERVING


SERVING = (State.MASTER, State.RELEASING)


class Leaving(Enum):
    """What a daemon that is about to end says of its return."""

    NO = 0
    STOPPING = 1
    RESTARTING = 2


class Handover(Enum):
    """How mastership is given: the new master first (overlap), or the old one out first (strict)."""

    OVERLAP = "overlap"
    STRICT = "strict"


class CheckState(Enum):
    """What a check says of the service; PENDING until its first pass, or until it has failed `fall` times."""

    PENDING = "pending"
    UP = "up"
    DOWN = "down"


class ResourceKind(Enum):
    """What the cloud can move for a group."""

    ADDRESS = "address"
    ENI = "eni"


@dataclass(frozen=True, slots=True, order=True)
class Resource:
    """One thing that moves: a secondary private IP (held by an ENI) or a secondary ENI (held by an instance)."""

    kind: ResourceKind = field(compare=False)
    id: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one read of the cloud says of one resource.

    `holder` is the id of the ENI (for an address) or of the instance (for an ENI) that carries it, None where
    none of those read does. `settled` is False while the cloud itself says that it is being moved.
    """

    resource: Resource
    holder: str | None
    settled: bool = True


class Outcome(Enum):
    """How a call to the cloud ended: the only four ways there are."""

    APPLIED = "applied"  # the cloud says that it is done
    REFUSED = "refused"  # it was not done, and the answer says why
    THROTTLED = "throttled"  # it was not done, and may be asked again later
    UNKNOWN = "unknown"  # no answer that proves either: only a read can tell


class Refusal(Enum):
    """Why the cloud refused: decides whether and how soon asking again can help."""

    CONFLICT = "conflict"  # the state is not what the caller believed: read again
    QUOTA = "quota"  # no room on the target
    PERMISSION = "permission"  # credentials or policy
    INVALID = "invalid"  # the request can never work


@dataclass(frozen=True, slots=True)
class MoveResult:
    """The end of one move. `code` is the API's error code, or the empty string where there is none.

    `holder` is what the mover knows of the holder afterwards when it got half way (released, not yet assigned);
    it is only meaningful where `half_done` is True. `open_ms`: for how long a request that was never
    answered may still be accepted; 0 where it has arrived or was never sent. `busy`: THROTTLED because the cloud is
    at work on the same thing for another request, which says nothing of the mover.
    """

    outcome: Outcome
    code: str = ""
    refusal: Refusal | None = None
    half_done: bool = False
    holder: str | None = None
    open_ms: int = 0
    busy: bool = False


class GuardVerdict(Enum):
    """What a guard says of an unplanned claim."""

    ALLOW = "allow"
    DENY = "deny"
    PASS = "pass"  # noqa: S105 - no password: what it looks at is in order, which says nothing of the other node
    UNKNOWN = "unknown"  # the guard could not find out in time; it does not stop a claim


@dataclass(frozen=True, slots=True)
class FenceResult:
    """Whether the cloud has confirmed that an instance is powered off; `code` says why not, as the API does."""

    stopped: bool
    code: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """An operator's planned hand-over that this node cannot carry out itself, told to the master.

    `serial` grows with each wish of a node, so that a wish is carried out once. `target` None means: the best.
    """

    serial: int
    target: NodeName | None


@dataclass(frozen=True, slots=True)
class GroupAdvert:
    """What a node says of one group.

    `priority` is effective, -1023..1023. `eligible`: the node would claim if it were its turn.
    `successor`: in RELEASING, the peer that is to claim. `moving`: a move by this node may be unresolved.
    `paused_min`: for how many minutes yet the node wants no automatic moves, rounded up; 0: it does not.
    """

    group: GroupName
    state: State
    term: int
    priority: int
    eligible: bool
    successor: NodeName | None = None
    wish: Wish | None = None
    moving: bool = False
    paused_min: int = 0


@dataclass(frozen=True, slots=True)
class Advert:
    """One advertisement: everything a node says of itself in one interval, for all of its groups.

    `dead_interval_ms`: the silence after which the node wants to be taken for dead; it speaks three times in it.
    """

    node: NodeName
    config_digest: bytes  # 8 bytes
    dead_interval_ms: int
    leaving: Leaving
    drained: bool
    hears: tuple[NodeName, ...]
    groups: tuple[GroupAdvert, ...]


@dataclass(frozen=True, slots=True)
class Timing:
    """The cluster's intervals in milliseconds; `config` guarantees dead_interval_ms >= 3 * interval_ms.

    `request_life_ms`: how long after its sending the cloud may still accept a write.
    """

    interval_ms: int
    dead_interval_ms: int
    restart_grace_ms: int
    audit_interval_ms: int
    request_life_ms: int = 10_000


@dataclass(frozen=True, slots=True)
class Member:
    """A node as the election sees it. `order` is its place in the file and breaks ties.

    `eni_id` holds addresses, `instance_id` holds ENIs; `witness` nodes vote but never claim.
    """

    name: NodeName
    order: int
    priority: int
    eni_id: str
    instance_id: str = ""
    witness: bool = False

    def holder_id(self, resource: Resource) -> str:
        """Return the id under which the cloud names this node as the holder of the resource."""
        return self.eni_id if resource.kind is ResourceKind.ADDRESS else self.instance_id


@dataclass(frozen=True, slots=True)
class Policy:
    """How one group wants to be treated; the units are milliseconds."""

    group: GroupName
    resources: tuple[Resource, ...]
    priorities: tuple[tuple[NodeName, int], ...] = ()  # of nodes that have another one here than elsewhere
    preempt: bool = False
    preempt_delay_ms: int = 0
    startup_delay_ms: int = 0  # after the daemon's start, within which nothing is moved here
    handover: Handover = Handover.OVERLAP
    demote_when_isolated: bool = False
    isolation_timeout_ms: int = 30_000
    hold_down_ms: int = 30_000
    guards: tuple[str, ...] = ()
    fence: bool = False  # power the old master off before an unplanned claim
    hook_timeout_ms: int = 30_000  # of all hooks of one change together
    promote: bool = False  # there is a hook to ask before an unplanned claim
    checks: tuple[tuple[str, int], ...] = ()  # (name, weight)

    def priority_of(self, member: Member) -> int:
        """Return a node's configured rank for this group."""
        return next((priority for name, priority in self.priorities if name == member.name), member.priority)


@dataclass(frozen=True, slots=True)
class GroupMemory:
    """What a group remembers across a restart of the daemon.

    `paused_until` None where the pause lasts until told otherwise. `moving` while moves of its resources may be
    sent; `held` from then until the return rule no longer holds this node back, which it does not in a pair.
    """

    group: GroupName
    term: int = 0
    paused: bool = False
    paused_until: Instant | None = None
    moving: bool = False
    held: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """What a node remembers across a restart: on disk before it is told or acted upon."""

    drained: bool = False
    groups: tuple[GroupMemory, ...] = ()
    lost: bool = False  # there was something to remember, and it could not be read
