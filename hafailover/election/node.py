"""One node: a pure function of (state, event, now) to (state, effects).

The node keeps what all groups share, passes events on to the groups that they concern, and speaks for all of them
in one advertisement. It owns no clock, thread or socket: `now` is given with each event, and `deadline` says when
the next `TimerExpired` is wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import invariants, roster
from hafailover.election.context import WATCH_EVERY_MS, Context
from hafailover.election.effects import Answer, Effect, Leave, ReadHolders, SendAdverts
from hafailover.election.events import (
    AdvertReceived,
    DrainAsked,
    FailoverAsked,
    HoldersRead,
    LoopLagged,
    PauseAsked,
    PeerRefused,
    ReadFailed,
    Reconfigured,
    ResumeAsked,
    StopAsked,
    TimerExpired,
)
from hafailover.election.peers import Liveness
from hafailover.election.reasons import Reason
from hafailover.election.saving import saved_once
from hafailover.election.values import (
    Advert,
    GroupName,
    Instant,
    Leaving,
    Member,
    Memory,
    Policy,
    State,
    Timing,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hafailover.election.backoff import Rng
    from hafailover.election.events import Event
    from hafailover.election.group import Group

STOP_MS = 15_000  # how long a stop waits for a hand-over, hooks aside, before it goes without one


class Node:
    """The election on one node, for all of its groups."""

    def __init__(  # noqa: PLR0913 - what a node is made of, given once
        self,
        me: Member,
        members: Iterable[Member],
        timing: Timing,
        policies: Iterable[Policy],
        *,
        config_digest: bytes,
        memory: Memory,
        rng: Rng,
        now: Instant,
    ) -> None:
        members = tuple(members)
        self.context = Context(me, members, timing, rng, now)
        self.context.recall(memory)
        self.groups: Mapping[GroupName, Group] = roster.gather(policies, self.context, now, lost=memory.lost)
        self.deadline: Instant = now
        self._own_deadline: Instant = now  # when something is due even if the peers go on as they do
        self._quiet_until: Instant = now  # the same, or when a peer's silence is noticed
        self.config_digest = config_digest
        self._next_advert: Instant = now
        self._hurry_ms, self._hurry_until = timing.interval_ms, now  # see `_interval_ms`
        self._next_audit: Instant = now
        self._last_advert: Advert | None = None
        self._stop_by: Instant = now
        self._left = False

    def handle(self, event: Event, *, now: Instant) -> tuple[Effect, ...]:
        """Take in one event and return what is to be done about it, in order. Total: no event raises.

        Raises InvariantError where the core contradicts itself; the process must end then.
        """
        now = max(now, self.context.now)
        if now < self._quiet_until and self._is_routine(event, now):
            return self._go_on(now)
        self._notice_sleep(now)
        if self._last_advert is None:
            self.context.started_at = now  # nobody could be heard before
        self.context.begin_turn(now)
        effects: list[Effect] = []
        reviewed = self._absorb(event, now, effects)
        if self._sweep(now) or reviewed is None:
            reviewed = tuple(self.groups.values())
        self.context.begin_turn(now)
        due = self._due(reviewed, now)
        terms = [group.term for group in due]
        for group in due:
            group.review(now)
            its_own = group.drain()
            invariants.check_order(its_own)
            effects.extend(its_own)
        leave = self._leave(now)
        effects.extend(leave[:-1])
        effects = saved_once(effects)
        effects.extend(self._speak(now, news=bool(due or leave)))
        effects.extend(leave[-1:])
        self._own_deadline = self._next_deadline()
        self._set_deadline(now)
        invariants.check(due, terms, effects)
        return tuple(effects)

    # -- taking in ---------------------------------------------------------------------------------------------

    def _notice_sleep(self, now: Instant) -> None:
        """Stop trusting this node's view where it slept for more than half the dead interval."""
        if now - self.deadline > self.context.timing.dead_interval_ms // 2:
            self.context.distrust(now)

    def _absorb(self, event: Event, now: Instant, effects: list[Effect]) -> tuple[Group, ...] | None:
        """Add the event to what is known; return the groups that it concerns, None for all."""
        context = self.context
        match event:
            case AdvertReceived():
                return self._absorb_advert(event, now)
            case PeerRefused():
                peer = context.peers.get(event.peer)
                if peer is not None:
                    peer.refuse(now)
                return ()
            case HoldersRead():
                context.holders.answer(event)
            case ReadFailed():
                context.holders.fail(now, event.code)
            case LoopLagged():
                context.distrust(now)
            case DrainAsked():
                context.drained = event.drained
                effects.append(context.persist())
                effects.append(Answer(event.request_id, accepted=True, reason=Reason.ACCEPTED))
            case StopAsked():
                if context.leaving is not Leaving.STOPPING:  # asked twice it does not take twice as long
                    self._stop_by = now + STOP_MS + max(group.quieting_ms for group in self.groups.values())
                context.leaving = Leaving.RESTARTING if event.restarting else Leaving.STOPPING
            case _:
                return self._absorb_for_group(event, now, effects)
        return None

    def _absorb_pause(
        self, event: PauseAsked | ResumeAsked, now: Instant, effects: list[Effect]
    ) -> tuple[Group, ...]:
        """Pause or resume one group or all; on disk before it is answered."""
        asked = [group for group in self.groups.values() if event.group in (None, group.name)]
        for group in asked:
            if isinstance(event, PauseAsked):
                group.pause.begin(event.for_ms, now)
            else:
                group.pause.end()
                group.pause.forget_silent(now)
        if asked:
            effects.append(self.context.persist())
        reason = Reason.ACCEPTED if asked else Reason.UNKNOWN_GROUP
        effects.append(Answer(event.request_id, accepted=bool(asked), reason=reason))
        return tuple(asked)

    def _reconfigure(self, event: Reconfigured, now: Instant) -> list[Effect]:
        """Take in another version of the file; return what is to be done about groups that it leaves out."""
        self._hurry_ms = self._interval_ms(now)
        self._hurry_until = max(self._hurry_until, now + 2 * self.context.timing.dead_interval_ms)
        self.config_digest = event.config_digest
        self.context.reconfigure(event.members, event.timing)
        self.groups, effects = roster.change(self.groups, event.policies, self.context, now)
        return effects

    def _interval_ms(self, now: Instant) -> int:
        """Return in what time to speak again: for two dead intervals after a reload as soon as before it.

        By then even a peer to which an older word has come late has heard that this node will speak less often, or
        has taken it for dead anyhow.
        """
        interval_ms = self.context.timing.interval_ms
        return min(interval_ms, self._hurry_ms) if now < self._hurry_until else interval_ms

    def _sweep(self, now: Instant) -> bool:
        """Return whether any peer's liveness has changed; watch ownership where a mover fell silent."""
        changes = self.context.peers.sweep(now)
        if any(peer.claiming and peer.liveness(now) not in (Liveness.ALIVE, Liveness.NEVER) for peer, _ in changes):
            self.context.watch(now)
        return bool(changes)

    def _absorb_advert(self, event: AdvertReceived, now: Instant) -> tuple[Group, ...] | None:
        peer = self.context.peers.get(event.advert.node)
        if peer is None:
            return ()
        news = peer.hear(event.advert, now, confirmed=event.confirmed, said_after=event.said_after)
        return None if news else ()

    def _absorb_for_group(self, event: Event, now: Instant, effects: list[Effect]) -> tuple[Group, ...]:
        if isinstance(event, PauseAsked | ResumeAsked):
            return self._absorb_pause(event, now, effects)
        if isinstance(event, Reconfigured):
            effects.extend(self._reconfigure(event, now))
            return tuple(self.groups.values())
        name = getattr(event, "group", None)
        group = self.groups.get(name) if name is not None else None
        if group is not None:
            group.absorb(event, now)
            return (group,)
        if isinstance(event, FailoverAsked):
            effects.append(Answer(event.request_id, accepted=False, reason=Reason.UNKNOWN_GROUP))
        return ()

    def _due(self, concerned: tuple[Group, ...], now: Instant) -> list[Group]:
        names = {group.name for group in concerned}
        return [
            group
            for group in self.groups.values()
            if group.name in names or (group.deadline is not None and group.deadline <= now)
        ]

    # -- saying it ---------------------------------------------------------------------------------------------

    def _speak(self, now: Instant, *, news: bool) -> list[Effect]:
        """Ask the cloud what is due, and tell the peers what has changed at once, the rest in its time.

        Only a review or leaving can change what there is to say; without them the last advert still holds.
        """
        effects: list[Effect] = []
        last = self._last_advert
        advert = self.advert(now) if news or last is None else last  # which may show that a reading is needed
        self._audit(now)
        if self.context.holders.want(now):
            effects.append(ReadHolders())
        if advert != last or now >= self._next_advert:
            self._last_advert = advert
            self._next_advert = now + self._interval_ms(now)
            effects.append(SendAdverts(advert))
        return effects

    def _audit(self, now: Instant) -> None:
        context = self.context
        watching = now < context.watch_until
        every_ms = WATCH_EVERY_MS if watching else context.timing.audit_interval_ms
        asked_at = context.holders.last_asked
        if asked_at is not None:
            self._next_audit = asked_at + every_ms
        if now >= self._next_audit:
            context.holders.need(now)
            self._next_audit = now + every_ms

    def advert(self, now: Instant) -> Advert:
        """Return what this node has to say."""
        context = self.context
        return Advert(
            node=context.me.name,
            config_digest=self.config_digest,
            dead_interval_ms=context.timing.dead_interval_ms,
            leaving=self._leaving(),
            drained=context.drained,
            hears=context.peers.heard(now),
            groups=tuple(group.advert() for group in self.groups.values()),
        )

    def _leaving(self) -> Leaving:
        """Say goodbye when nothing is left to hand over: a goodbye from a master would be a cue to claim."""
        leaving = self.context.leaving
        return leaving if leaving is not Leaving.STOPPING or self._all_out() else Leaving.NO

    def _all_out(self) -> bool:
        serving = (State.MASTER, State.RELEASING, State.CLAIMING)
        return all(group.state not in serving and not group.guest.carries for group in self.groups.values())

    def _leave(self, now: Instant) -> list[Effect]:
        """Return what is to be done before the last word to the peers, and `Leave`; nothing if it is not time."""
        leaving = self.context.leaving
        if self._left or leaving is Leaving.NO:
            return []
        effects: list[Effect] = []
        if leaving is Leaving.STOPPING:
            if not self._all_out() and now < self._stop_by:
                return []
            for group in self.groups.values():
                group.abandon(now)
                effects.extend(group.drain())
        self._left = True
        return [*effects, Leave()]

    def _is_routine(self, event: Event, now: Instant) -> bool:
        """Whether an event brings nothing to review: a peer says what it said before, or this node is to do so.

        Nearly all events are such. A peer's advert is taken in.
        """
        if isinstance(event, AdvertReceived):
            return now < self._next_advert and self.context.peers.repeats(event, now)
        awake = now - self._next_advert <= self.context.timing.dead_interval_ms // 2
        return isinstance(event, TimerExpired) and awake and self._last_advert is not None

    def _go_on(self, now: Instant) -> tuple[Effect, ...]:
        """Do what a routine event asks for: at most to repeat the advert."""
        self.context.begin_turn(now)
        speaks = now >= self._next_advert
        if speaks:
            self._next_advert = now + self._interval_ms(now)
        self._set_deadline(now)
        return (SendAdverts(self._last_advert),) if speaks and self._last_advert is not None else ()

    def _set_deadline(self, now: Instant) -> None:
        edge = self.context.peers.next_change(now)
        self._quiet_until = self._own_deadline if edge is None else min(edge, self._own_deadline)
        self.deadline = min(self._quiet_until, self._next_advert)

    def _next_deadline(self) -> Instant:
        context = self.context
        waits = [self._next_audit, context.holders.deadline]
        if context.leaving is not Leaving.NO and not self._left:
            waits.append(self._stop_by)
        waits.extend([group.deadline for group in self.groups.values()])
        return min([wait for wait in waits if wait is not None])
