"""Which of a peer's datagrams are fresh, and which daemon of that name is the living one. PURE.

Intuition: each daemon start has a random boot id and numbers its datagrams from 1, so "newer" needs no clock
and no memory on disk. Complication: a receiver that has just started knows no boot id, and a recording of an
older daemon's traffic is authentic too. So a boot id is believed only once it answers a challenge that costs
nothing: every datagram carries the sender's boot id and sequence, every datagram repeats what was last heard
of each peer, and a datagram that repeats *our* boot id with a sequence that we had not yet sent when we first
heard of its sender cannot have been made before that moment.

Asking only for our boot id would be weaker: a daemon that died while we ran has left datagrams that carry it.
Timestamps would do, but need synchronised clocks, which are what fails together with a frozen machine.

Until then the boot is a candidate: it is a sign of life and nothing else, it never displaces a confirmed
boot, and it is hidden while that one is heard. Which boot is the living one the paths know together, see
`lineage`. All times are integer microseconds of one monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from hafailover.errors import WireError
from hafailover.heartbeat.lineage import Lineage
from hafailover.heartbeat.wire import MAX_HELD_US, Message, PeerRecord, Reject

if TYPE_CHECKING:
    from hafailover.election.values import NodeName

MAX_CANDIDATES: Final = 4  # per peer; an attacker needs as many different recordings to crowd out a real one
CANDIDATE_LIFE_US: Final = 10_000_000
LOSS_WINDOW: Final = 100  # datagrams
MAX_RTT_US: Final = 60_000_000
RTT_WEIGHT: Final = 8  # as in RFC 6298: srtt += (rtt - srtt) / 8
ANSWER_GAP_US: Final = 20_000
ANSWER_BURST: Final = 4  # enough for a whole handshake, so that only repeated ones wait

_WINDOW_MASK: Final = (1 << LOSS_WINDOW) - 1


class Standing(Enum):
    """What a fresh datagram may be used for."""

    CONFIRMED = "confirmed"  # everything
    UNCONFIRMED = "unconfirmed"  # a sign of life
    HIDDEN = "hidden"  # nothing: a confirmed daemon of this name is being heard
    LATE = "late"  # nothing: it may have been held back on the way for too long


@dataclass(frozen=True, slots=True)
class Own:
    """What this daemon has sent so far: its boot id, and the sequence that its next datagram will have."""

    boot: bytes
    next_sequence: int


class Session:
    """One boot of a peer as heard here: the highest sequence, its timing and the share that was lost."""

    __slots__ = (
        "_arrived",
        "_span",
        "boot",
        "fresh_from",
        "heard_at_us",
        "heard_count",
        "highest",
        "sent_at_us",
    )

    def __init__(self, boot: bytes, fresh_from: int, now_us: int) -> None:
        self.boot = boot
        self.fresh_from = fresh_from  # an echo of this sequence of ours, or a later one, confirms
        self.highest = 0
        self.sent_at_us = 0
        self.heard_at_us = now_us
        self.heard_count = 0
        self._arrived = 0  # one bit per sequence number, newest lowest
        self._span = 0  # how many of the bits count

    def advance(self, sequence: int, sent_at_us: int, now_us: int) -> None:
        """Take a datagram; WireError where it is not newer than the newest.

        A datagram that was overtaken is dropped and counts as lost: only the newest state matters.
        """
        if sequence <= self.highest:
            raise WireError(Reject.REPLAYED, f"{sequence} after {self.highest}")
        step = min(sequence - self.highest, LOSS_WINDOW) if self.highest else 1
        self._arrived = (self._arrived << step | 1) & _WINDOW_MASK
        self._span = min(self._span + step, LOSS_WINDOW)
        self.highest = sequence
        self.sent_at_us = sent_at_us
        self.heard_at_us = now_us
        self.heard_count += 1

    @property
    def loss(self) -> float:
        """Return the share (0..1) of the last 100 datagrams that did not come, or came too late."""
        return 1 - self._arrived.bit_count() / self._span if self._span else 0.0


class PeerSessions:
    """The sessions of one peer on one path: at most one confirmed, few candidates.

    `silent_after_us`: how long the confirmed boot must have been silent before a candidate counts as a sign
    of life, if that boot does not ask for longer; less than the dead interval, so that a peer restarted behind a
    one-way cut is not taken for dead.
    `oldest_us`: how old a datagram may be at most, where something on the way can hold it back; None: any age.
    """

    __slots__ = (
        "_answer_due_us",
        "_candidates",
        "_generation",
        "_lineage",
        "_turn",
        "current",
        "oldest_us",
        "rtt_us",
        "seen_at_us",
        "silent_after_us",
        "srtt_us",
    )

    def __init__(
        self, silent_after_us: int, lineage: Lineage | None = None, *, oldest_us: int | None = None
    ) -> None:
        self._lineage = lineage or Lineage()
        self._generation = self._lineage.generation
        self.current: Session | None = None
        self.rtt_us: int | None = None  # the last one measured
        self.srtt_us: int | None = None  # smoothed
        self.seen_at_us: int | None = None  # when a datagram was last of use
        self.silent_after_us = silent_after_us
        self.oldest_us = oldest_us
        self._candidates: list[Session] = []
        self._turn = 0
        self._answer_due_us = 0

    def hear(self, message: Message, echo: PeerRecord | None, own: Own, now_us: int) -> Standing:
        """Take an authentic message of this peer; WireError where it is a replay.

        `echo` is the message's record of this node, None where it has none.
        """
        session = self._session(message.boot, own, now_us)
        session.advance(message.sequence, message.sent_at_us, now_us)
        if session is not self.current and _proves(echo, own, session):
            self._confirm(session)
        standing = self._standing(session, now_us)
        if standing is Standing.CONFIRMED:
            age_us = self._measure(echo, own, now_us)
            if self.oldest_us is not None and age_us is not None and age_us > self.oldest_us:
                return Standing.LATE
            self._lineage.heard_at_us = now_us
            self._lineage.pauses_us = 500 * message.advert.dead_interval_ms
        if standing is not Standing.HIDDEN:
            self.seen_at_us = now_us
        return standing

    def may_answer(self, message: Message, echo: PeerRecord | None, own: Own, now_us: int) -> bool:
        """Tell whether to answer a heard message at once, and count the answer against the limit.

        An answer helps where one of the two is not yet sure of the other and the peer knows this node at all.
        At most four in a row, and one per 20 ms.
        """
        settled = self.current is not None and self.current.boot == message.boot
        if echo is None or (settled and echo.boot == own.boot and echo.confirmed):
            return False
        if self._answer_due_us - now_us > (ANSWER_BURST - 1) * ANSWER_GAP_US:
            return False
        self._answer_due_us = max(self._answer_due_us, now_us) + ANSWER_GAP_US
        return True

    def record(self, peer: NodeName, now_us: int, boot: bytes | None = None) -> PeerRecord:
        """Return what to tell the peer of itself: of that boot where it is given, else of each in turn.

        In turn, because only an echo of the right boot lets the peer confirm this node, and the one heard
        last may be a replay.
        """
        session = self._pick(boot, now_us)
        if session is None:
            return PeerRecord(peer)
        held_us = min(max(0, now_us - session.heard_at_us), MAX_HELD_US)
        confirmed = session is self.current
        return PeerRecord(peer, session.boot, session.highest, session.sent_at_us, held_us, confirmed)

    def _session(self, boot: bytes, own: Own, now_us: int) -> Session:
        self._catch_up()
        if self.current is not None and self.current.boot == boot:
            return self.current
        if self._lineage.is_over(boot):
            raise WireError(Reject.RETIRED_BOOT)
        self._forget_silent(now_us)
        for candidate in self._candidates:
            if candidate.boot == boot:
                return candidate
        return self._admit(Session(boot, own.next_sequence, now_us))

    def _catch_up(self) -> None:
        """Take in that another path has confirmed a boot: what this path knows of others no longer counts."""
        if self._generation == self._lineage.generation:
            return
        self._generation, living = self._lineage.generation, self._lineage.boot
        self._candidates = [candidate for candidate in self._candidates if candidate.boot == living]
        if self.current is not None and self.current.boot != living:
            self.current = None

    def _admit(self, session: Session) -> Session:
        if len(self._candidates) >= MAX_CANDIDATES:
            # The one that had the most chances to prove itself goes first.
            self._candidates.remove(max(self._candidates, key=lambda candidate: candidate.heard_count))
        self._candidates.append(session)
        return session

    def _forget_silent(self, now_us: int) -> None:
        self._candidates = [
            candidate for candidate in self._candidates if now_us - candidate.heard_at_us < CANDIDATE_LIFE_US
        ]

    def _confirm(self, session: Session) -> None:
        # The others were challenged before this one had proved itself: the proof of a boot that ended meanwhile may
        # still be on its way, and would displace its successor for good. They have to answer a later challenge.
        self._candidates.clear()
        self._lineage.confirm(session.boot)
        self._generation = self._lineage.generation
        self.current = session

    def _standing(self, session: Session, now_us: int) -> Standing:
        if session is self.current:
            return Standing.CONFIRMED
        lineage = self._lineage
        silent_after_us = max(self.silent_after_us, lineage.pauses_us)
        if lineage.boot is None or now_us - lineage.heard_at_us > silent_after_us:
            return Standing.UNCONFIRMED
        return Standing.HIDDEN

    def _measure(self, echo: PeerRecord | None, own: Own, now_us: int) -> int | None:
        """Take the round-trip time, and return it: no datagram is older than the round trip that it ends."""
        if echo is None or echo.boot != own.boot or echo.held_us == MAX_HELD_US:
            return None
        rtt_us = now_us - echo.echo_us - echo.held_us
        if not 0 <= rtt_us <= MAX_RTT_US:
            return rtt_us
        self.rtt_us = rtt_us
        smoothed_us = rtt_us if self.srtt_us is None else self.srtt_us
        self.srtt_us = smoothed_us + (rtt_us - smoothed_us) // RTT_WEIGHT
        return rtt_us

    def _pick(self, boot: bytes | None, now_us: int) -> Session | None:
        self._catch_up()
        self._forget_silent(now_us)
        known = [*self._candidates, self.current] if self.current is not None else self._candidates
        for session in known:
            if session.boot == boot:
                return session
        self._turn += 1
        return known[self._turn % len(known)] if known else None


def _proves(echo: PeerRecord | None, own: Own, session: Session) -> bool:
    return echo is not None and echo.boot == own.boot and echo.sequence >= session.fresh_from
