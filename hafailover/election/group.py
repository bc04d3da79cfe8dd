"""One group on one node: the state table, and what is known of the group.

Every event only adds to what is known; then the state's review looks at all of it and acts. So a lost, doubled or
late event changes when something is noticed, not what is decided.

    state      entered when                                  left when
    INIT       the daemon starts                             a master is heard, the cloud names this node, or a
                                                             dead interval has passed
    BACKUP     another node is, or may become, master        the rules allow a claim
    CLAIMING   a claim begins, its term on disk              the cloud confirms this node, or the claim is void
    MASTER     the cloud confirms and the guest answers      deposed, handing over, at fault or isolated
    RELEASING  a hand-over begins; this node still serves    the successor is master, or did not take over
    FAULT      a check of weight 0 is down                   the checks pass

At FAULT the address stays on the guest until somebody else holds it: in a VPC the traffic comes here all the same,
and a check that is wrong on every node must not take down a service that half works.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import absorbing, claiming, standby, tenure, wishes
from hafailover.election.answering import Answering
from hafailover.election.effects import Effect, HandoverEnded, RoleChanged, RunHook
from hafailover.election.holddown import HoldDown
from hafailover.election.ledger import Ledger
from hafailover.election.pausing import Pause
from hafailover.election.peers import Liveness
from hafailover.election.promotion import Promotion
from hafailover.election.ranking import Candidate
from hafailover.election.reasons import Reason
from hafailover.election.returns import Returns
from hafailover.election.takeover import Takeovers
from hafailover.election.tracking import Tracking
from hafailover.election.values import (
    GroupAdvert,
    GroupName,
    Handover,
    Instant,
    NodeName,
    Policy,
    Sighting,
    State,
    Wish,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hafailover.election.claim import Claim
    from hafailover.election.context import Context, Voice
    from hafailover.election.events import Event
    from hafailover.election.guards import GuardRound
    from hafailover.election.release import Release

REVIEWS_LIMIT = 8  # state changes that one event may cause; more would be a loop

REVIEWS: dict[State, Callable[[Group, Instant], None]] = {
    State.INIT: standby.review_init,
    State.BACKUP: standby.review_backup,
    State.CLAIMING: claiming.review,
    State.MASTER: tenure.review_master,
    State.RELEASING: tenure.review_releasing,
    State.FAULT: standby.review_fault,
}

HOOKS = {State.MASTER: "master", State.BACKUP: "backup", State.FAULT: "fault"}


class Group:
    """What this node knows of one group, and where it stands."""

    def __init__(self, policy: Policy, context: Context, now: Instant) -> None:
        self.policy = policy
        self.context = context
        self.name: GroupName = policy.group
        self.state = State.INIT
        self.term = 0
        self.since = self._began = now
        self.reason = Reason.STARTED
        self.verdict_reason = Reason.STARTING
        self.noted: Reason | None = None
        self.tracking = Tracking(policy.checks)
        self.claim: Claim | None = None
        self.release: Release | None = None
        self.ledger = Ledger(context.timing.request_life_ms)
        self.returns = Returns(policy.group, context)
        self.promotion = Promotion()
        self.guards: GuardRound | None = None
        self.suspected = False
        # What the guest may carry: all of it at first, for an earlier run may have left it there.
        leftovers = () if context.me.witness else policy.resources
        self.guest = Answering(self.name, policy.resources, self.emit, leftovers=leftovers)
        self.last_master: NodeName | None = None
        self.last_master_term = 0
        self.absent_since: Instant | None = None
        self.hindered = False  # by a peer's claim, or by a stranger who has something
        self.hindered_at: Instant = 0  # until when it was
        self.hold_down = HoldDown(policy.hold_down_ms, now)
        self.takeovers = Takeovers(self.name, context)
        self._outdated_before: Instant = now
        self.pause = Pause(self.name, context, context.memory_of(self.name))
        self.doubted_at: Instant | None = None
        self.preempt_since: Instant | None = None
        self.release_not_before: Instant = now
        self.isolated_since: Instant | None = None
        self.wish: Wish | None = None
        self.wish_until: Instant = now
        self.wishes_seen: dict[NodeName, int] = {}
        self.deadline: Instant | None = now
        self._effects: list[Effect] = []

    # -- events ------------------------------------------------------------------------------------------------

    def absorb(self, event: Event, now: Instant) -> None:
        """Add an event meant for this group to what is known."""
        absorbing.absorb(self, event, now)

    def reconfigure(self, policy: Policy) -> None:
        """Take in another policy for the same resources; what is known and under way goes on."""
        self.policy = policy
        self.tracking.configure(policy.checks)
        self.hold_down.first_ms = policy.hold_down_ms

    @property
    def quieting_ms(self) -> int:
        """How long this group may take to go quiet before it hands over."""
        return self.policy.hook_timeout_ms if self.policy.handover is Handover.STRICT else 0

    def review(self, now: Instant) -> None:
        """Act on all that is known, through as many states as it takes."""
        for _ in range(REVIEWS_LIMIT):
            self.deadline = None
            before = self.state
            self._forget_stale(now)
            self._notice_holders(now)
            REVIEWS[before](self, now)
            if self.state is before:
                break
        self._forget_marks(now)

    def _forget_stale(self, now: Instant) -> None:
        if self.pause.over(now):
            self.emit(self.pause.end())
        self.wait_until(self.pause.next_change(now), now)
        if self.guest.error and not self.wait_until(self.guest.retry_at, now):
            self.guest.probe()
        if self.wish is not None and not self.wait_until(self.wish_until, now):
            self.wish = None
        if self.state is not State.MASTER:
            wishes.new_wishes(self, now)

    def _notice_holders(self, now: Instant) -> None:
        for resource in self.policy.resources:
            sighting = self.context.holders.sighting(resource)
            if sighting is not None:
                self.takeovers.see(sighting, now)
                self.returns.see(sighting)

    def _forget_marks(self, now: Instant) -> None:
        """Take the marks off the disk that a crash would need no more."""
        if self.claim is not None:
            return
        memory = self.context.memory_of(self.name)
        still_open = self.ledger.open_until(now)
        back = None if self.state.serves else self.returns.pending(self.policy.resources, now)
        for instant in (still_open, back):
            self.wait_until(now if instant is None else instant, now)
        moving = memory.moving and still_open is not None
        held = memory.held and (self.state.serves or self.returns.entangled)
        if (memory.moving, memory.held) != (moving, held):
            self.emit(self.context.remember(self.name, memory.term, moving=moving, held=held))

    # -- what the reviews build on -----------------------------------------------------------------------------

    def emit(self, effect: Effect) -> None:
        """Have something done after this event, in this order."""
        self._effects.append(effect)

    def drain(self) -> tuple[Effect, ...]:
        """Return what is to be done, once."""
        effects, self._effects = tuple(self._effects), []
        return effects

    def wait_until(self, instant: Instant, now: Instant) -> bool:
        """Return whether `instant` is still to come, and if so have the group reviewed then."""
        if instant <= now:
            return False
        self.deadline = instant if self.deadline is None else min(self.deadline, instant)
        return True

    def become(self, state: State, reason: Reason, now: Instant) -> None:
        """Change the state: the only place where that happens."""
        old, self.state = self.state, state
        self.since, self.reason = now, reason
        self.guards, self.suspected, self.noted = None, False, None
        self.promotion.forget()
        self.doubted_at = self.preempt_since = self.isolated_since = None
        if state is not State.CLAIMING:
            self.claim = None
        release, self.release = self.release, None
        self.emit(RoleChanged(self.name, old, state, reason, self.term))
        if release is not None and release.successor is not None:
            spent_ms, giver = now - release.began, self.context.me.name
            given = HandoverEnded(self.name, release.reason, reason, giver, release.successor, self.term, spent_ms)
            self.emit(given)
        hook, ran = HOOKS.get(state), release.hook if release is not None else None
        back = old is State.RELEASING and state is State.MASTER and ran is None
        if hook is not None and hook != ran and not back and not self.context.me.witness:
            self.emit(RunHook(self.name, hook))

    def abandon(self, now: Instant) -> None:
        """Give up at the end of the daemon whatever this node still has of the group."""
        self.guest.disarm_all()
        if self.state.serves or self.state is State.CLAIMING:
            self.become(State.BACKUP, Reason.STOPPING, now)
        self.emit(RunHook(self.name, "stop"))

    # -- views -------------------------------------------------------------------------------------------------

    @property
    def started_at(self) -> Instant:
        """Since when this node could hear of the group: the daemon's start, or when it read of the group."""
        return max(self.context.started_at, self._began)

    @property
    def fault(self) -> bool:
        """Whether this node's own service or guest is broken."""
        return self.tracking.fault or bool(self.guest.error)

    @property
    def priority(self) -> int:
        """The effective priority."""
        return self.tracking.priority(self.policy.priority_of(self.context.me))

    @property
    def candidate(self) -> Candidate:
        """This node in the ranking."""
        return Candidate(self.context.me.name, self.priority, self.context.me.order)

    def voices(self, now: Instant) -> tuple[Voice, ...]:
        """Return what the peers that count as there say of this group."""
        return self.context.voices(self.name, now)

    def voice_of(self, name: NodeName | None, now: Instant) -> Voice | None:
        """Return what one peer says of this group, None where it does not count as there."""
        return next((voice for voice in self.voices(now) if voice.peer.name == name), None)

    @property
    def highest_told_term(self) -> int:
        """The highest term that any peer has told since this daemon started, 0 at first."""
        told = (peer.group(self.name) for peer in self.context.peers)
        return max((advert.term for advert in told if advert is not None), default=0)

    def heard_master(self, now: Instant) -> Voice | None:
        """Return the serving peer with the highest term, None where none is heard."""
        serving = [voice for voice in self.voices(now) if voice.advert.state.serves]
        return max(serving, key=lambda voice: voice.advert.term, default=None)

    def sure_master(self, now: Instant) -> Voice | None:
        """Return the confirmed serving peer with the highest term: the only one that ends a claim or mastership."""
        serving = [voice for voice in self.voices(now) if voice.advert.state.serves and voice.peer.confirmed]
        return max(serving, key=lambda voice: voice.advert.term, default=None)

    @property
    def trust_after(self) -> Instant:
        """From when on a reading must have been asked to tell who holds what in the present mastership."""
        return max(self.context.trust_after, self._outdated_before)

    def outdate(self, now: Instant) -> None:
        """Believe no reading any more that was asked earlier: mastership has changed since."""
        self._outdated_before = self.context.holders.after(now)
        self.context.holders.need(self._outdated_before)

    def candidates(self, now: Instant) -> tuple[Candidate, ...]:
        """Return the peers that say they could take over, in node order."""
        return tuple(
            Candidate(voice.peer.name, voice.advert.priority, voice.peer.member.order)
            for voice in self.voices(now)
            if voice.liveness is Liveness.ALIVE and voice.peer.sure and voice.advert.eligible
        )

    def sightings(self, after: Instant) -> tuple[Sighting, ...] | None:
        """Return the cloud's word on every resource, None where one is not known by a question asked since."""
        seen = [self.context.holders.sighting(resource, after=after) for resource in self.policy.resources]
        known = [sighting for sighting in seen if sighting is not None]
        return tuple(known) if len(known) == len(seen) else None

    def mine(self, sighting: Sighting) -> bool:
        """Return whether the cloud names this node as the settled holder."""
        return sighting.settled and sighting.holder == self.context.me.holder_id(sighting.resource)

    def advert(self) -> GroupAdvert:
        """Return what is to be told of this group."""
        return GroupAdvert(
            group=self.name,
            state=self.state,
            term=self.term,
            priority=self.priority,
            eligible=standby.eligible(self),
            successor=None if self.release is None else self.release.named,
            wish=self.wish,
            moving=self.claim is not None or self.ledger.open_until(self.context.now) is not None,
            paused_min=self.pause.minutes(self.context.now),
        )
