"""What the core wants done. The shell performs effects in the order in which they are returned.

`Persist` and `StopAnswering` are barriers: what follows them waits until they are done, so that a term is on
disk before it is on the wire, and an address has left the guest before others are told that it has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hafailover.election.reasons import Reason
    from hafailover.election.values import (
        Advert,
        CheckState,
        GroupName,
        GuardVerdict,
        Memory,
        NodeName,
        Resource,
        State,
    )


@dataclass(frozen=True, slots=True)
class Persist:
    """Barrier: the memory is on disk."""

    memory: Memory


@dataclass(frozen=True, slots=True)
class StopAnswering:
    """Barrier: the guest no longer carries the address."""

    group: GroupName
    resource: Resource


@dataclass(frozen=True, slots=True)
class Arm:
    """Make the guest answer for the address; ends in `GuestArmed`."""

    group: GroupName
    resource: Resource


@dataclass(frozen=True, slots=True)
class ProbeGuest:
    """See whether the guest could answer for the group's addresses, touching nothing; ends in `GuestProbed`."""

    group: GroupName


@dataclass(frozen=True, slots=True)
class SendAdverts:
    """Tell all peers, now."""

    advert: Advert


@dataclass(frozen=True, slots=True)
class ReadHolders:
    """Ask the cloud who holds what; ends in `HoldersRead` or `ReadFailed`, asked not before this effect."""


@dataclass(frozen=True, slots=True)
class Move:
    """Move a resource from the holder just seen (None: nobody) to this node; ends in `MoveFinished`."""

    group: GroupName
    move_id: int
    resource: Resource
    expected: str | None
    target: str


@dataclass(frozen=True, slots=True)
class AskGuard:
    """Ask a guard whether an unplanned claim is justified; ends in `GuardAnswered` with the same round."""

    group: GroupName
    guard: str
    round_id: int


@dataclass(frozen=True, slots=True)
class Fence:
    """Power off the instance behind `holder`, which is where the resource was seen; ends in `FenceFinished`."""

    group: GroupName
    fence_id: int
    resource: Resource
    holder: str


@dataclass(frozen=True, slots=True)
class RoleChanged:
    """The state of a group on this node has changed, and why."""

    group: GroupName
    old: State
    new: State
    reason: Reason
    term: int


@dataclass(frozen=True, slots=True)
class Refrained:
    """This node does not claim although no master is heard, and why: said once for each such reason."""

    group: GroupName
    reason: Reason


@dataclass(frozen=True, slots=True)
class RunHook:
    """Run the group's hook of this name ("promote", "master", "backup", "fault", "stop").

    Nothing waits for it, unless it has a `run_id`: then it ends in `HookFinished`, in any case. `reason`: what it
    is run for, where that is not the last change of the state: "promote" is asked before one.
    """

    group: GroupName
    hook: str
    run_id: int | None = None
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a decision to claim rested on, as it was then.

    `silence_ms`: since when the old master's node had not been heard, None where it never was; `said`: the state
    that it told last. A guard's verdict is None where it had not answered.
    """

    silence_ms: int | None = None
    said: State | None = None
    guards: tuple[tuple[str, GuardVerdict | None], ...] = ()
    checks: tuple[tuple[str, CheckState], ...] = ()


NO_EVIDENCE = Evidence()


@dataclass(frozen=True, slots=True)
class ClaimFailed:
    """A claim has ended without mastership: `reason` it began, `ended` why it is over, after `spent_ms`."""

    group: GroupName
    reason: Reason
    ended: Reason
    source: NodeName | None
    target: NodeName
    term: int
    spent_ms: int
    moves: int
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class HandoverEnded:
    """A hand-over by this node is over, because of `reason`: the successor is master, or this node goes on."""

    group: GroupName
    reason: Reason
    ended: Reason
    source: NodeName
    target: NodeName
    term: int
    spent_ms: int


@dataclass(frozen=True, slots=True)
class FailoverFinished:
    """This node has become master by a move: who had it, why it moved, and what each phase took.

    `detect_ms` counts from the last sign of life to the decision, less `guard_ms`, which guards held it up;
    `guest_ms` is the arming of the guest before the first call, `fence_ms` the powering off of the old master
    before it, `cloud_ms` lasts from there to the cloud's "done", and `verify_ms` from there until the holder was
    read back. The client's outage ends within `cloud_ms`.
    """

    group: GroupName
    reason: Reason
    source: NodeName | None
    target: NodeName
    term: int
    detect_ms: int
    guard_ms: int
    cloud_ms: int
    guest_ms: int
    verify_ms: int
    moves: int
    fence_ms: int = 0
    evidence: Evidence = NO_EVIDENCE


@dataclass(frozen=True, slots=True)
class GroupDismissed:
    """The file names the group no longer, and this node has let go of it; what `stays` is left on its guest."""

    group: GroupName
    state: State  # that it had here
    stays: tuple[Resource, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to an operator's request."""

    request_id: int
    accepted: bool
    reason: Reason


@dataclass(frozen=True, slots=True)
class Leave:
    """Nothing is left to hand over: the process may end."""


Effect = (
    Persist
    | StopAnswering
    | Arm
    | ProbeGuest
    | SendAdverts
    | ReadHolders
    | Move
    | AskGuard
    | Fence
    | RoleChanged
    | Refrained
    | RunHook
    | ClaimFailed
    | HandoverEnded
    | FailoverFinished
    | GroupDismissed
    | Answer
    | Leave
)
