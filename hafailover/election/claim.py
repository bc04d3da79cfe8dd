"""A claim: from the decision to the cloud's confirmation, one resource at a time or several at once.

Each resource goes through the same small loop: look (a reading that is fresh enough), compare (is it mine by
now?), ask (one conditional move that names the holder just seen), look again. Nothing is ever asked twice blindly:

* APPLIED      needs a reading asked after the answer, since the cloud's word for "done" is a task, not the state;
* REFUSED      means that the world is not as believed: a new reading, then a new plan;
* THROTTLED    was provably not done: the same question again after a wait;
* UNKNOWN      may or may not have been done: only a reading asked afterwards can tell; and where no answer came at
               all, the effect may still come, so nothing is asked again until it cannot (`ledger`).

A holder that changes to somebody else while the claim is under way ends the claim: someone else was faster, and
taking it from there would be the second move for one fault. Only a claimant that died before its call took effect
is inherited from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hafailover.election.backoff import Rng, backoff_ms
from hafailover.election.effects import NO_EVIDENCE, Evidence, Move
from hafailover.election.returns import FRESH_MS, LAG_MS
from hafailover.election.values import (
    GroupName,
    Instant,
    Member,
    NodeName,
    Outcome,
    Refusal,
    Resource,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hafailover.election.events import MoveFinished
    from hafailover.election.fencing import Fencing
    from hafailover.election.holders import Holders
    from hafailover.election.ledger import Ledger
    from hafailover.election.reasons import Reason
    from hafailover.election.returns import Returns
    from hafailover.election.values import Sighting

    Orphaned = Callable[[Resource, str, Instant], bool]

SETTLE_MS = 200  # between two readings of a resource that the cloud is moving
UNRESOLVED_LOOK_MS = 500  # between two readings while an unanswered move may still take effect


@dataclass(slots=True)
class Task:
    """The progress of one resource."""

    resource: Resource
    fresh_after: Instant
    started_from: str | None = None
    seen: bool = False
    vacant_at: Instant | None = None  # when it was first seen with nobody, who had it when the claim began
    given_at: Instant | None = None
    move_id: int | None = None
    retry_at: Instant = 0
    failures: int = 0
    waits: int = 0  # in a row for another's request, which says nothing of this node
    conflicts: int = 0
    done: bool = False


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a claim began, and what was spent before it: for the history and the outage's split."""

    reason: Reason
    source: NodeName | None
    detect_ms: int = 0
    guard_ms: int = 0
    evidence: Evidence = NO_EVIDENCE


class Claim:
    """One attempt to become master of a group under a term of its own."""

    def __init__(  # noqa: PLR0913 - what a claim is made of, given once
        self,
        group: GroupName,
        resources: Iterable[Resource],
        me: Member,
        cause: Cause,
        *,
        now: Instant,
        trust_after: Instant,
        rng: Rng,
        ledger: Ledger,
        returns: Returns,
        fencing: Fencing | None = None,
    ) -> None:
        self.cause = cause
        self.fencing = fencing
        self.started = now
        self.armed_at: Instant | None = None
        self.applied_at: Instant | None = None
        self.moves = 0
        self._undone = 0  # of the moves: those of which the cloud said that it did nothing
        self.taken_from: tuple[Resource, str] | None = None  # by the last move that named a holder
        self.lost = False
        self._group = group
        self._me = me
        self._rng = rng
        self._ledger = ledger
        self._returns = returns
        self._tasks = [Task(resource, trust_after) for resource in resources]
        self.look_afresh(now)
        self._unarmed: set[Resource] = set()

    def arming(self, resources: Iterable[Resource]) -> None:
        """Note that the guest was asked to answer for these before anything moves."""
        self._unarmed.update(resources)

    def armed(self, resource: Resource, now: Instant) -> None:
        """Note that the guest answers for a resource; one that is not waited for changes nothing."""
        if resource not in self._unarmed:
            return
        self._unarmed.remove(resource)
        if not self._unarmed and self.armed_at is None:
            self.armed_at = now
            self.look_afresh(now)

    @property
    def idle(self) -> bool:
        """Whether no call is under way whose effect is not known."""
        return all(task.move_id is None for task in self._tasks)

    @property
    def done(self) -> bool:
        """Whether the cloud has confirmed every resource."""
        return not self._unarmed and all(task.done for task in self._tasks)

    @property
    def failures(self) -> int:
        """The failures in a row of what has the most of them."""
        fencing = 0 if self.fencing is None else self.fencing.failures
        return max((fencing, *(task.failures for task in self._tasks)))

    @property
    def untouched(self) -> bool:
        """Whether the cloud has changed nothing for this claim, and by its own word will not."""
        return self.applied_at is None and self.moves == self._undone

    def deadline(self, now: Instant) -> Instant | None:
        """Return when to drive on without an event."""
        waits = [task.retry_at for task in self._tasks if not task.done and task.move_id is None]
        fencing = None if self.fencing is None else self.fencing.deadline(now)
        waits.extend(() if fencing is None else (fencing,))
        return min((wait for wait in waits if wait > now), default=None)

    def trust(self, after: Instant) -> None:
        """Believe no reading that was asked before `after`: this node has slept since."""
        for task in self._tasks:
            task.fresh_after = max(task.fresh_after, after)

    def drive(self, holders: Holders, now: Instant, new_id: int, orphaned: Orphaned) -> tuple[Move, ...]:
        """Advance every resource as far as it goes now; ids of new moves count up from `new_id`.

        `orphaned` tells whether a holder died as a claimant: a takeover that comes from beyond ends no claim.
        """
        if self._at_rest:
            return ()
        moves: list[Move] = []
        for task in self._tasks:
            self._doubt(task, holders, now)
            if self._returns.needed and not self.idle:
                break  # one at a time: what waits for its turn would be sent on a reading of long ago
            if not task.done and task.move_id is None and now >= task.retry_at:
                move = self._advance(task, holders, now, new_id + len(moves), orphaned)
                moves.extend(() if move is None else (move,))
        if self.lost:  # by what one resource has shown: then the others stay where they are
            self._withhold({move.move_id for move in moves})
            return ()
        self.moves += len(moves)
        for move in moves:
            if move.expected is not None:
                self.taken_from = (move.resource, move.expected)
        return tuple(moves)

    @property
    def _at_rest(self) -> bool:
        return self.lost or bool(self._unarmed)

    def _withhold(self, ids: set[int]) -> None:
        for task in self._tasks:
            task.move_id = None if task.move_id in ids else task.move_id

    def look_afresh(self, now: Instant) -> None:
        """After a wait, where there are three members, ask for nothing by an old reading: see `returns`."""
        if self._returns.needed:
            self.trust(now - FRESH_MS)

    def _doubt(self, task: Task, holders: Holders, now: Instant) -> None:
        """Take back what was confirmed where a later reading names somebody else, while others are waited for."""
        sighting = holders.sighting(task.resource, after=task.fresh_after) if task.done else None
        if sighting is not None and sighting.settled and sighting.holder != self._me.holder_id(task.resource):
            task.done, task.given_at = False, task.given_at or now

    def _advance(self, task: Task, holders: Holders, now: Instant, move_id: int, orphaned: Orphaned) -> Move | None:
        if self._returns.needed:
            task.fresh_after = max(task.fresh_after, task.retry_at - FRESH_MS)
        sighting = holders.sighting(task.resource, after=task.fresh_after)
        if sighting is None:
            holders.need(task.fresh_after)
            return None
        if not sighting.settled:
            self._begins_on_its_way(task, sighting.holder, now)
            task.retry_at = task.fresh_after = now + SETTLE_MS
            return None
        target = self._me.holder_id(task.resource)
        if sighting.holder == target:
            self._arrive(task, holders, now)
            return None
        if self._gone(task, sighting, now, orphaned) or self._unresolved(task, holders, now):
            return None
        if self._waits_for_others(task, sighting, now):
            return None
        task.move_id = move_id
        return Move(self._group, move_id, task.resource, sighting.holder, target)

    def _arrive(self, task: Task, holders: Holders, now: Instant) -> None:
        """Take a resource for this node's, if a reading of the claim's time says so.

        What an older one says may be over, and the resource has to be asked for like the others.
        """
        recent = self.started - FRESH_MS
        if holders.sighting(task.resource, after=recent) is None:
            holders.need(recent)
            return
        task.done = True
        self._ledger.arrived(task.resource)
        self.applied_at = self.applied_at or now

    def _waits_for_others(self, task: Task, sighting: Sighting, now: Instant) -> bool:
        """Return whether a request of earlier may still be under way, or the holder is to be off first."""
        back = self._returns.wait(task.resource, now)
        if back is not None:
            task.retry_at = back
            return True
        if self.fencing is None or sighting.holder is None:
            return False
        return not self.fencing.clears(task.resource, sighting.holder, now)

    def _gone(self, task: Task, sighting: Sighting, now: Instant, orphaned: Orphaned) -> bool:
        """Return whether somebody else has taken it, which ends the claim once it is certain."""
        if not self._taken_by_another(task, sighting.holder, now):
            return False
        left_at = task.vacant_at if task.given_at is None else task.given_at
        if left_at is not None and now < left_at + LAG_MS:
            task.retry_at = task.fresh_after = now + SETTLE_MS
            return True
        self.lost = not self._inherited(task, sighting, now, orphaned)
        return self.lost

    def _unresolved(self, task: Task, holders: Holders, now: Instant) -> bool:
        """Return whether a move that was never answered may still take effect, or may have since the last reading.

        Until it cannot any more it is looked for again and again; then one reading asked after that tells.
        """
        until = self._ledger.until(task.resource)
        if until is None:
            return False
        if now < until:
            task.retry_at = task.fresh_after = min(until, now + UNRESOLVED_LOOK_MS)
            return True
        if holders.asked_at is None or holders.asked_at < until:
            task.fresh_after = until
            holders.need(until)
            return True
        self._ledger.arrived(task.resource)
        return False

    @staticmethod
    def _begins_on_its_way(task: Task, holder: str | None, now: Instant) -> None:
        """Note whom it was leaving when the claim began: where it arrives then, somebody else has taken it."""
        if not task.seen:
            task.seen, task.started_from = True, holder
            task.vacant_at = now if holder is None else None

    @staticmethod
    def _see_vacant(task: Task, holder: str | None, now: Instant) -> None:
        """Note that nobody has it any more whom somebody had when this claim began."""
        if holder is None and task.started_from is not None:
            task.started_from, task.vacant_at = None, now

    @staticmethod
    def _taken_by_another(task: Task, holder: str | None, now: Instant) -> bool:
        """Return whether it is with somebody who did not have it when this claim began, or from whom it was taken.

        The latter is believed only after a while: right after a move a replica may still tell of the time before.
        So it is with who had it and was seen to have it no longer.
        """
        if not task.seen:
            task.seen, task.started_from = True, holder
        Claim._see_vacant(task, holder, now)
        return holder is not None and (task.given_at is not None or holder != task.started_from)

    @staticmethod
    def _inherited(task: Task, sighting: Sighting, now: Instant, orphaned: Orphaned) -> bool:
        assert sighting.holder is not None  # noqa: S101 - nobody is not another
        # Where this claim had it already, somebody lived to take it; and one that fell silent may be heard again.
        return task.given_at is None and orphaned(task.resource, sighting.holder, now)

    def finished(self, event: MoveFinished, holders: Holders, now: Instant) -> None:
        """Take in the end of a move; the end of a move of an earlier claim is ignored."""
        task = next((each for each in self._tasks if each.move_id == event.move_id), None)
        if task is None:
            return
        task.move_id = None
        self.look_afresh(now)
        result = event.result
        self._ledger.ended(task.resource, result, now)
        if result.half_done:
            holders.learn(task.resource, result.holder)
            self._see_vacant(task, result.holder, now)  # a reading of later may show it on its way to somebody else
        if result.outcome is Outcome.APPLIED:
            task.failures = task.waits = task.conflicts = 0
            task.fresh_after, task.retry_at = holders.after(now), now
            self.applied_at = now
            task.given_at = now
            return
        if result.outcome in (Outcome.THROTTLED, Outcome.REFUSED) and not result.half_done:
            self._undone += 1
        task.failures, task.waits = (task.failures, task.waits + 1) if result.busy else (task.failures + 1, 0)
        task.conflicts = task.conflicts + 1 if result.refusal is Refusal.CONFLICT else 0
        if result.outcome is not Outcome.THROTTLED:
            task.fresh_after = holders.after(now)
        # What throttles may be a move of somebody else's: then wait for its end, and no longer.
        holders.need(holders.after(now))
        # After one conflict nothing was done and a new reading is on its way: the wait is that for the reading.
        task.retry_at = now if task.conflicts == 1 else now + backoff_ms(task.failures + task.waits, self._rng)
