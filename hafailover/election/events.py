"""What can happen to a node. The shell turns everything it sees into one of these and queues it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hafailover.election.values import (
        Advert,
        CheckState,
        FenceResult,
        GroupName,
        GuardVerdict,
        Instant,
        Member,
        MoveResult,
        NodeName,
        Policy,
        Resource,
        Sighting,
        Timing,
    )


@dataclass(frozen=True, slots=True)
class TimerExpired:
    """The wake-up that the core asked for has come."""


@dataclass(frozen=True, slots=True)
class AdvertReceived:
    """An authentic, fresh advertisement.

    `confirmed` is False where it cannot be told from the replay of an older daemon's: then it counts as a sign
    of life, which keeps this node from claiming, and as nothing else. `said_after`: it was not said before that,
    for it repeats what this node had sent then; None where it does not.
    """

    advert: Advert
    path: str  # "udp" | "mqtt"
    confirmed: bool = True
    said_after: Instant | None = None


@dataclass(frozen=True, slots=True)
class PeerRefused:
    """The peer's kernel says that nobody listens on the heartbeat port: the host lives, the daemon does not."""

    peer: NodeName


@dataclass(frozen=True, slots=True)
class CheckChanged:
    """A check of a group has changed its mind."""

    group: GroupName
    check: str
    state: CheckState


@dataclass(frozen=True, slots=True)
class HoldersRead:
    """The cloud was asked at `asked_at` who holds what, and answered for every resource of every group."""

    sightings: tuple[Sighting, ...]
    asked_at: Instant


@dataclass(frozen=True, slots=True)
class ReadFailed:
    """The cloud was asked at `asked_at` and gave no usable answer."""

    asked_at: Instant
    code: str


@dataclass(frozen=True, slots=True)
class MoveFinished:
    """A move has ended, one way or another."""

    group: GroupName
    move_id: int
    resource: Resource
    result: MoveResult


@dataclass(frozen=True, slots=True)
class GuardAnswered:
    """A guard's answer to the round of questions that began with the suspicion `round_id`."""

    group: GroupName
    guard: str
    round_id: int
    verdict: GuardVerdict


@dataclass(frozen=True, slots=True)
class FenceFinished:
    """The attempt to power an instance off has ended."""

    group: GroupName
    fence_id: int
    result: FenceResult


@dataclass(frozen=True, slots=True)
class HookFinished:
    """The run of a hook that was to be awaited has ended, well (`ok`, also where there was no hook) or not."""

    group: GroupName
    run_id: int
    ok: bool = True


@dataclass(frozen=True, slots=True)
class GuestArmed:
    """The guest was asked to answer for an address; `error` is empty where it does."""

    group: GroupName
    resource: Resource
    error: str = ""


@dataclass(frozen=True, slots=True)
class GuestProbed:
    """Whether the guest could answer for the group's addresses; `error` is empty where it could."""

    group: GroupName
    error: str = ""


@dataclass(frozen=True, slots=True)
class AddressVanished:
    """Somebody else took an address off this node's guest."""

    group: GroupName
    resource: Resource


@dataclass(frozen=True, slots=True)
class LoopLagged:
    """This process was not running for `lag_ms`: what looks like others' silence may be its own sleep."""

    lag_ms: int


@dataclass(frozen=True, slots=True)
class FailoverAsked:
    """The operator asks for a planned hand-over; `target` None means the best candidate."""

    request_id: int
    group: GroupName
    target: NodeName | None


@dataclass(frozen=True, slots=True)
class DrainAsked:
    """The operator wants this node to give everything up and stay out (True), or to take part again."""

    request_id: int
    drained: bool


@dataclass(frozen=True, slots=True)
class PauseAsked:
    """The operator wants no automatic move of a group (None: of all groups), for `for_ms` or (None) until told."""

    request_id: int
    group: GroupName | None
    for_ms: int | None


@dataclass(frozen=True, slots=True)
class ResumeAsked:
    """The operator ends this node's pause of a group, None for all groups."""

    request_id: int
    group: GroupName | None


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """Another version of the file is in force: groups and other nodes may have come and gone.

    What a group of before moves is the same, and the nodes of before are in the same order.
    """

    members: tuple[Member, ...]
    timing: Timing
    policies: tuple[Policy, ...]
    config_digest: bytes


@dataclass(frozen=True, slots=True)
class StopAsked:
    """The daemon is to end: for good (hand over first), or to come back at once (leave all as it is)."""

    restarting: bool


Event = (
    TimerExpired
    | AdvertReceived
    | PeerRefused
    | CheckChanged
    | HoldersRead
    | ReadFailed
    | MoveFinished
    | GuardAnswered
    | FenceFinished
    | HookFinished
    | GuestArmed
    | GuestProbed
    | AddressVanished
    | LoopLagged
    | FailoverAsked
    | DrainAsked
    | PauseAsked
    | ResumeAsked
    | Reconfigured
    | StopAsked
)
