"""How the events that are meant for one group add to what it knows; what follows from that, the reviews decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import tenure
from hafailover.election.events import (
    AddressVanished,
    CheckChanged,
    FailoverAsked,
    FenceFinished,
    GuardAnswered,
    GuestArmed,
    GuestProbed,
    HookFinished,
    MoveFinished,
)
from hafailover.election.values import Outcome, State

if TYPE_CHECKING:
    from hafailover.election.events import Event
    from hafailover.election.group import Group
    from hafailover.election.values import Instant


def absorb(group: Group, event: Event, now: Instant) -> None:
    """Add an event meant for this group to what is known."""
    match event:
        case CheckChanged():
            group.tracking.update(event.check, event.state)
        case MoveFinished():
            _absorb_move(group, event, now)
        case GuestArmed():
            _absorb_armed(group, event, now)
        case GuestProbed():
            group.guest.probed(event, now)
        case AddressVanished():
            if group.state.serves or group.state is State.CLAIMING:
                group.guest.vanished(event.resource)
                group.context.holders.need(now)  # an ENI that is gone has perhaps been moved
        case GuardAnswered():
            if group.guards is not None and event.round_id == group.guards.round_id:
                group.guards.answer(event.guard, event.verdict)
                group.takeovers.answered(event.guard, event.verdict)
        case FailoverAsked():
            tenure.answer_operator(group, event, now)
        case _:
            _absorb_end(group, event, now)  # the rest tells the node as a whole something


def _absorb_end(group: Group, event: Event, now: Instant) -> None:
    claim = group.claim
    if isinstance(event, FenceFinished) and claim is not None and claim.fencing is not None:
        claim.fencing.finished(event, now, group.context.rng)
        if event.result.stopped:
            claim.look_afresh(now)
    elif isinstance(event, HookFinished):
        group.promotion.answered(event.run_id, now, consents=event.ok)
        if group.release is not None:
            group.release.hook_ended(event.run_id, now)


def _absorb_move(group: Group, event: MoveFinished, now: Instant) -> None:
    if event.result.outcome in (Outcome.APPLIED, Outcome.UNKNOWN):
        group.returns.had((event.resource,), now + event.result.open_ms)
    if group.claim is None:
        group.context.holders.need(now)  # a claim that is over: whatever it did, look
        return
    group.claim.finished(event, group.context.holders, now)


def _absorb_armed(group: Group, event: GuestArmed, now: Instant) -> None:
    if group.guest.armed(event, now) and group.claim is not None:
        group.claim.armed(event.resource, now)
