"""Who is heard: the failure detector.

A peer is ALIVE while its silence is under half the dead interval, LATE (suspected) from there, DOWN from the dead
interval on: this node's or the peer's own, which it tells, whichever is longer. So nodes whose files differ, while
one is rolled out say, do not miss each other, and agree on when that is.

Two more things stretch it: a peer that announced a restart, and a peer whose kernel refuses our datagrams. Such a
host is up and its daemon is not; the address is still configured there, the service may well answer, and systemd
is about to start the daemon again. Both get `restart_grace` before they count as down.

Refusals are answers to our own datagrams, and kernels limit their rate (Linux: about one a second and target), so
a refusal counts for `REFUSAL_FRESH_MS`, or three intervals where those are longer; a host that dies while its
daemon is away falls silent here too, and is DOWN when the last refusal is older than that.

An unconfirmed advert, which could be a recording of an older daemon, is a sign of life and nothing else: it can
keep this node from claiming, but it can neither depose a master nor name a successor.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

from hafailover.election.pausing import ENDLESS_MIN, MINUTE_MS
from hafailover.election.values import (
    Advert,
    GroupAdvert,
    GroupName,
    Instant,
    Leaving,
    Member,
    NodeName,
    State,
    Timing,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

REFUSAL_FRESH_MS = 1_500


class Liveness(Enum):
    """What this node believes of a peer's daemon."""

    NEVER = "never"  # not heard since this daemon started
    ALIVE = "alive"
    LATE = "late"
    RESTARTING = "restarting"
    DOWN = "down"
    LEFT = "left"  # said goodbye

    @property
    def heard(self) -> bool:
        """Whether the peer still counts as there."""
        return self in HEARD


HEARD = (Liveness.ALIVE, Liveness.LATE, Liveness.RESTARTING)
AUDIBLE = (Liveness.ALIVE, Liveness.LATE)
UNKNOWN_SINCE = -1  # before every instant: nothing is worked out yet


class Peer:
    """One peer: what it last said, and when.

    Its liveness is asked for many times in each event and changes rarely: it is worked out once, and holds until
    the peer is heard or silence alone changes it.
    """

    def __init__(self, member: Member, timing: Timing) -> None:
        self.member = member
        self.advert: Advert | None = None
        self.confirmed = False
        self.last_heard: Instant | None = None
        self.present_since: Instant = 0  # when its daemon was heard after an absence
        self.unsure_since: Instant | None = None  # since when another daemon of it may speak, that is not confirmed
        self.asked_ms = 0  # the dead interval that it wants to be judged by, 0 where it has not said
        self.retime(timing)
        self._last_told: Advert | None = None
        self._groups: dict[GroupName, GroupAdvert] = {}
        self._said_after: dict[GroupName, Instant] = {}
        self.pauses: dict[GroupName, Instant | None] = {}  # until when, None for no end; see `pausing`
        self._refused_since: Instant | None = None
        self._refused_last: Instant = 0
        self._sure_at: Instant = 0  # when what is confirmed was last heard
        self._liveness = Liveness.NEVER
        self._judged_at: Instant = 0
        self._holds_until: Instant = UNKNOWN_SINCE
        self._next_change: Instant | None = None

    @property
    def name(self) -> NodeName:
        """The peer's name."""
        return self.member.name

    @property
    def sure(self) -> bool:
        """Whether what the peer says is its own, and its present daemon's."""
        return self.confirmed and self.unsure_since is None

    @property
    def refused(self) -> bool:
        """Whether the peer's kernel has refused a datagram since the peer was last heard."""
        return self._refused_since is not None

    @property
    def grace_ends(self) -> Instant:
        """Until when at most the peer is waited for whose kernel refuses, and which may be about to start."""
        base = self.last_heard if self.last_heard is not None else self._refused_since
        return (base or 0) + self.restart_grace_ms

    def given_up(self, now: Instant) -> bool:
        """Whether the peer's kernel has refused for the whole of `restart_grace`, and does so still."""
        since = self._refused_since
        return since is not None and self._graced(now) and now - since >= self.restart_grace_ms

    def retime(self, timing: Timing) -> None:
        """Judge the peer by other intervals from now on."""
        self._timing = timing
        self._refusal_fresh_ms = max(REFUSAL_FRESH_MS, 3 * timing.interval_ms)
        self._wait(self.asked_ms)

    def _wait(self, asked_ms: int) -> None:
        """Wait for the peer as long as it asks for, or longer where this node's file says so."""
        self.asked_ms = asked_ms
        self.dead_interval_ms = max(self._timing.dead_interval_ms, asked_ms)
        self.restart_grace_ms = max(self._timing.restart_grace_ms, asked_ms)
        self._suspicion_ms = self.dead_interval_ms // 2  # the silence from which the peer is suspected
        self._holds_until = UNKNOWN_SINCE

    def hear(self, advert: Advert, now: Instant, *, confirmed: bool, said_after: Instant | None = None) -> bool:
        """Take in an advert, not said before `said_after`; return whether it differs from the one before."""
        if self.hear_again(advert, now, confirmed=confirmed, said_after=said_after):
            return False
        over, settled = self._over(now), confirmed and self.unsure_since is not None
        self._note(advert, now, confirmed=confirmed, said_after=said_after)
        if self.confirmed and not confirmed and not over:
            self.unsure_since = now if self.unsure_since is None else self.unsure_since
            return False
        # With many groups an advert is told in parts, so each part updates only the groups that it names.
        head = replace(advert, groups=())
        if self.advert is not None and advert.config_digest != self.advert.config_digest:
            for name in tuple(self._groups):  # of one that its file has no longer it says nothing now
                self.forget_group(name, pause=confirmed)
        news = [group for group in advert.groups if self._groups.get(group.group) != group]
        changed = bool(news) or head != self.advert or confirmed != self.confirmed or settled
        self._last_told, self.advert, self.confirmed = advert, head, confirmed
        self._groups.update((group.group, group) for group in news)
        if confirmed:
            self._wait(advert.dead_interval_ms)
            self._note_pauses(advert.groups, now)
        return changed

    def forget_group(self, name: GroupName, *, pause: bool = True) -> None:
        """Let go of what was said of a group; of its pause too, unless told otherwise."""
        self._last_told = None  # if it says the same once more, that is news of this group
        self._groups.pop(name, None)
        self._said_after.pop(name, None)
        if pause:
            self.pauses.pop(name, None)

    def hear_again(self, advert: Advert, now: Instant, *, confirmed: bool, said_after: Instant | None) -> bool:
        """Take in an advert if it repeats the one before, word for word and with the same trust; return whether."""
        told = self._last_told
        if confirmed is not self.confirmed or not (advert is told or advert == told):
            return False
        if confirmed and self.unsure_since is not None:
            return False  # the words are old, that they count again is news
        self._note(advert, now, confirmed=confirmed, said_after=said_after)
        return True

    def _note(self, advert: Advert, now: Instant, *, confirmed: bool, said_after: Instant | None) -> None:
        """Take in that the peer lives, and how old at most what it says is."""
        self.last_heard = now
        self._refused_since = None
        self._holds_until = UNKNOWN_SINCE
        if confirmed:
            self.unsure_since, self._sure_at = None, now
        if confirmed and said_after is not None:
            self._said_after.update((group.group, said_after) for group in advert.groups)

    def _note_pauses(self, groups: Iterable[GroupAdvert], now: Instant) -> None:
        for group in groups:
            if group.paused_min == 0:
                self.pauses.pop(group.group, None)
            else:
                endless = group.paused_min == ENDLESS_MIN
                self.pauses[group.group] = None if endless else now + group.paused_min * MINUTE_MS

    def has_paused(self, group: GroupName, now: Instant) -> bool:
        """Return whether the peer, as it said last, wants no automatic moves of a group now."""
        until = self.pauses.get(group, now)
        return until is None or until > now

    def refuse(self, now: Instant) -> None:
        """Take in a refusal by the peer's kernel."""
        self._holds_until = UNKNOWN_SINCE
        if self._refused_since is None:
            self._refused_since = now
        self._refused_last = now

    def excuse(self, now: Instant) -> None:
        """Start the peer's silence anew: this node was asleep and cannot blame it."""
        if self.last_heard is not None:
            self.last_heard = now
            self._holds_until = UNKNOWN_SINCE

    def forget(self) -> None:
        """Stop trusting what a peer said that is down: a recording of it must not sound confirmed."""
        self.confirmed = False
        self._holds_until = UNKNOWN_SINCE

    def liveness(self, now: Instant) -> Liveness:
        """Return what this node believes of the peer at `now`."""
        if not self._judged_at <= now < self._holds_until:
            self._judge(now)
        return self._liveness

    def next_change(self, now: Instant) -> Instant | None:
        """Return the earliest instant after `now` at which silence alone can change the liveness."""
        if not self._judged_at <= now < self._holds_until:
            self._judge(now)
        return self._next_change

    def _judge(self, now: Instant) -> None:
        self._judged_at = now
        self._liveness = self._liveness_at(now)
        self._next_change = edge = self._edge_after(now)
        # Without an edge nothing but a new datagram changes anything; a second is as good as for ever, and bounded.
        self._holds_until = now + 1_000 if edge is None else edge

    def _liveness_at(self, now: Instant) -> Liveness:
        if self._says(Leaving.STOPPING):
            return Liveness.LEFT
        base = self.last_heard if self.last_heard is not None else self._refused_since
        if base is None:
            return Liveness.NEVER
        silence_ms = now - base
        if self.last_heard is not None and silence_ms < self._suspicion_ms:
            return Liveness.ALIVE
        if self._graced(now) and silence_ms < self.restart_grace_ms:
            return Liveness.RESTARTING
        if self.last_heard is None:
            return Liveness.NEVER
        return Liveness.LATE if silence_ms < self.dead_interval_ms else Liveness.DOWN

    def _graced(self, now: Instant) -> bool:
        if self._says(Leaving.RESTARTING):
            return True
        return self._refused_since is not None and now - self._refused_last <= self._refusal_fresh_ms

    def _over(self, now: Instant) -> bool:
        """Whether the daemon that was confirmed has said goodbye or is silent: what else speaks is all there is.

        One that is away for a restart may yet come back: its next daemon is confirmed within a round trip.
        """
        patience_ms = self.restart_grace_ms if self._graced(now) else self.dead_interval_ms
        return self._says(Leaving.STOPPING) or now - self._sure_at >= patience_ms

    def _says(self, leaving: Leaving) -> bool:
        """Whether the peer itself, and not perhaps a recording of it, says that it leaves in this way."""
        return self.confirmed and self.advert is not None and self.advert.leaving is leaving

    def _edge_after(self, now: Instant) -> Instant | None:
        base = self.last_heard if self.last_heard is not None else self._refused_since
        if base is None:
            return None
        edges = [base + self._suspicion_ms, base + self.dead_interval_ms, base + self.restart_grace_ms]
        if self._refused_since is not None:
            edges.append(self._refused_last + self._refusal_fresh_ms + 1)
        return min([edge for edge in edges if edge > now], default=None)

    def group(self, name: GroupName) -> GroupAdvert | None:
        """Return what the peer last said of a group."""
        return self._groups.get(name)

    def said_after(self, name: GroupName) -> Instant | None:
        """Return an instant after which the peer said what it last said of a group, None where none is known."""
        return self._said_after.get(name)

    def at_rest_after(self, name: GroupName) -> Instant | None:
        """Return an instant after which the peer has said that no move of the group by it is unresolved."""
        advert = self._groups.get(name)
        return None if advert is None or advert.moving else self._said_after.get(name)

    @property
    def claiming(self) -> bool:
        """Whether the peer last said that it was asking the cloud for a group."""
        return any(group.state is State.CLAIMING for group in self._groups.values())

    def hears(self, node: NodeName) -> bool:
        """Return whether the peer said that it hears the node."""
        return self.advert is not None and node in self.advert.hears

    def hears_any(self, nodes: Collection[NodeName | None]) -> bool:
        """Return whether the peer is one of the nodes, or said that it hears one."""
        return self.name in nodes or (self.advert is not None and any(node in nodes for node in self.advert.hears))
