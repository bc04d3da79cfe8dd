"""A node's end of one heartbeat path: adverts to datagrams and back, whatever carries them. PURE.

One advert is one datagram (or several where the groups do not fit) with one sequence number, the same for all
peers: it is made and signed once, and a gap in the sequence is a loss for whoever sees it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hafailover.election.events import AdvertReceived
from hafailover.errors import StartError, WireError
from hafailover.heartbeat.auth import Keyring
from hafailover.heartbeat.lineage import Lineages
from hafailover.heartbeat.names import Directory
from hafailover.heartbeat.session import Own, PeerSessions, Standing
from hafailover.heartbeat.wire import (
    BOOT_BYTES,
    MAX_PEERS,
    NO_BOOT,
    Codec,
    Message,
    PathId,
    PeerRecord,
    Reject,
    split,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hafailover.election.values import Advert, GroupName, NodeName


@dataclass(frozen=True, slots=True)
class Membership:
    """What an endpoint must know of the configuration."""

    me: NodeName
    cluster: str
    peers: tuple[NodeName, ...]
    groups: tuple[GroupName, ...]


@dataclass(frozen=True, slots=True)
class Heard:
    """A datagram that was taken: whose it is, the event (None where it is of no use), and any answer."""

    peer: NodeName
    event: AdvertReceived | None
    answer: bytes | None


class Endpoint:
    """Holds the sequence, the sessions of all peers and the reasons for which datagrams were rejected.

    `boot_id` is 8 random bytes, new for every start of the daemon, and the same for its paths, which share
    `lineages`. `silent_after_us` and `oldest_us` see `PeerSessions`. `answer_gap_us`: the least time between two
    answers to whomever, where everybody is given each of them; who asks meanwhile is told by the next advert.
    Raises StartError for keys or names that cannot work.
    """

    def __init__(  # noqa: PLR0913 - all but three by keyword, and each is something else
        self,
        path: PathId,
        membership: Membership,
        keys: Sequence[bytes],
        *,
        boot_id: bytes,
        silent_after_us: int,
        oldest_us: int | None = None,
        answer_gap_us: int = 0,
        lineages: Lineages | None = None,
    ) -> None:
        if len(boot_id) != BOOT_BYTES or boot_id == NO_BOOT:
            raise StartError("heartbeat boot id: 8 random bytes needed")
        self.rejected: Counter[str] = Counter()
        self.sessions: dict[NodeName, PeerSessions] = {}
        self._path = path
        self._boot = boot_id
        self._sequence = 0
        self._latest: Advert | None = None
        self._answer_gap_us = answer_gap_us
        self._answered_us: int | None = None
        self._lineages = lineages or Lineages()
        self.configure(membership, keys, silent_after_us, oldest_us)

    def configure(
        self, membership: Membership, keys: Sequence[bytes], silent_after_us: int, oldest_us: int | None = None
    ) -> None:
        """Take another configuration, keeping the sequence and the sessions of the peers that stay."""
        if len(membership.peers) > MAX_PEERS:
            raise StartError(f"heartbeat: {len(membership.peers)} peers, at most {MAX_PEERS} can be told of")
        directory = Directory((membership.me, *membership.peers), membership.groups)
        self._codec = Codec(membership.cluster, self._path, directory, Keyring(keys))
        self._me = membership.me
        self._groups = frozenset(membership.groups)
        self.sessions = {
            peer: self.sessions.get(peer) or PeerSessions(silent_after_us, self._lineages.of(peer))
            for peer in membership.peers
        }
        for sessions in self.sessions.values():
            sessions.silent_after_us, sessions.oldest_us = silent_after_us, oldest_us

    @property
    def name(self) -> str:
        """Return the path's name in events, metrics and status."""
        return self._path.name.lower()

    def datagrams(self, advert: Advert, now_us: int) -> list[bytes]:
        """Return the datagrams that carry this advert to every peer, and remember it for answers."""
        self._latest = advert
        parts = split(advert.groups, len(self.sessions))
        return [self._encode(replace(advert, groups=part), now_us) for part in parts]

    def receive(self, data: bytes, now_us: int) -> Heard | None:
        """Take any bytes; None where they were rejected, which is counted by reason in `rejected`."""
        try:
            return self._take(self._codec.decode(data), now_us)
        except WireError as error:
            self.rejected[error.reason] += 1
            return None

    def _take(self, message: Message, now_us: int) -> Heard:
        peer = message.advert.node
        if peer == self._me:
            raise WireError(Reject.OWN_ECHO if message.boot == self._boot else Reject.OWN_NAME)
        sessions = self.sessions[peer]
        echo = next((record for record in message.peers if record.peer == self._me), None)
        own = Own(self._boot, self._sequence + 1)
        standing = sessions.hear(message, echo, own, now_us)
        if standing is Standing.LATE:
            self.rejected[Reject.LATE] += 1
        answers = self._may_answer(now_us) and sessions.may_answer(message, echo, own, now_us)
        return Heard(
            peer=peer,
            event=self._event(message, standing, echo),
            answer=self._answer(peer, message.boot, now_us) if answers else None,
        )

    def _event(self, message: Message, standing: Standing, echo: PeerRecord | None) -> AdvertReceived | None:
        if standing in (Standing.HIDDEN, Standing.LATE):
            return None
        known = self._known(message.advert)
        advert: Advert | None = known
        if standing is Standing.CONFIRMED and self._lineages.several:
            advert = self._lineages.of(known.node).news(known, message.sent_at_us)
        if advert is None:
            return None
        said_after = echo.echo_us // 1000 if echo is not None and echo.boot == self._boot else None
        return AdvertReceived(advert, self.name, standing is Standing.CONFIRMED, said_after)

    def _known(self, advert: Advert) -> Advert:
        """Return the advert without groups that this configuration does not list."""
        if all(group.group in self._groups for group in advert.groups):
            return advert
        return replace(advert, groups=tuple(group for group in advert.groups if group.group in self._groups))

    def _may_answer(self, now_us: int) -> bool:
        return self._answered_us is None or now_us - self._answered_us >= self._answer_gap_us

    def _answer(self, peer: NodeName, boot: bytes, now_us: int) -> bytes | None:
        # One datagram is enough to be recognised by; the other groups come with the next advert.
        if self._latest is None:
            return None
        self._answered_us = now_us
        first = split(self._latest.groups, len(self.sessions))[0]
        return self._encode(replace(self._latest, groups=first), now_us, (peer, boot))

    def _encode(self, advert: Advert, now_us: int, heard: tuple[NodeName, bytes] | None = None) -> bytes:
        self._sequence += 1
        records = tuple(self._record(peer, now_us, heard) for peer in self.sessions)
        hears = tuple(peer for peer in self.sessions if peer in advert.hears)
        advert = replace(advert, hears=hears)
        return self._codec.encode(Message(self._boot, self._sequence, now_us, records, advert))

    def _record(self, peer: NodeName, now_us: int, heard: tuple[NodeName, bytes] | None) -> PeerRecord:
        boot = heard[1] if heard is not None and heard[0] == peer else None
        return self.sessions[peer].record(peer, now_us, boot)
