"""What a broker's word is worth when a peer is silent: is the peer dead, or the wire to it? PURE.

Intuition: the broker is a third party. It publishes a node's will when it has lost the node, so a silent peer whose
will has come is gone for others too. Complications, and what is made of them:

- *It may be this node that is cut off.* Only a node whose own heartbeats have just come back from the broker may
  accuse. Where they do not, the question is since when. Lost lately, together with the peer perhaps: it is held
  against this node. Gone for long: the broker is down, and a broker must not be needed for a failover, so nothing
  is known. Where heartbeats travel by the broker alone, its loss explains every silence and allows nothing.
- *Everybody connects anew after a broker's restart*, not all at once. For a while after this node has come back, a
  peer that has not is no more suspicious than this node was.
- *A will is no death certificate.* The kernel of a host whose daemon has died closes the connection, and the will
  comes within moments of the last heartbeat, while the service may run on. The will that comes a keepalive or more
  after it says that the host has sent nothing at all. Only that is evidence against the host; and a daemon that is
  frozen looks the same. So is a cut between the host and the broker, which is why silence on UDP has to come first.
- *A will can be late.* The end of a connection is a segment like any other, sent again until it gets through, and a
  broker may take its time. Then the will of a daemon that has died comes as late as that of a lost host. Where
  the peer's kernel has refused a heartbeat since (UDP), it is a daemon that has died.
- *A second client of the same name* ends the first one's session, and its will is published although it lives. Then
  it connects again and says so, as it does whenever it sees its own will.
- *What is retained may be old*, and a will can be recorded and published again by whoever may write there. A will
  counts only as the end of the connection that was last seen to be open, and only if it came while this node
  listened.

All times are integer microseconds of one monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from hafailover.election.values import GuardVerdict
from hafailover.heartbeat.presence import Presence, PresenceState

if TYPE_CHECKING:
    from collections.abc import Collection

    from hafailover.election.values import NodeName

LATELY_US: Final = 60_000_000  # a broker that has been silent for longer is taken to be down
_NEVER: Final = -(2**62)
SETTLING_US: Final = 5_000_000  # within which nodes are back after a broker's restart


class Finding(Enum):
    """What the broker's word amounts to; the value is what the log says."""

    CUT_OFF = "the broker does not return this node's own heartbeats, and lately did"
    ONLY_PATH = "the broker, the only path, does not return this node's own heartbeats"
    SETTLING = "this node has only just come back to the broker, the peer may be about to"
    RETURNED = "the peer is heard through the broker"
    HOST_LOST = "the broker has lost the peer after its host had sent nothing for a keepalive"
    BROKER_DOWN = "the broker does not return this node's own heartbeats"
    DAEMON_GONE = (
        "the broker has lost the peer, whose kernel has answered since: its daemon has ended, its host not"
    )
    DAEMON_LOST = "the broker lost the peer while it was talking: its daemon may have ended, and its service not"
    LEFT = "the peer has taken leave of the broker, which says nothing of the service"
    CONNECTED = "the broker has not lost the peer yet"
    UNSEEN = "the broker has said nothing of the peer while this node listened"

    @property
    def verdict(self) -> GuardVerdict:
        """What the guard answers."""
        if self in (Finding.CUT_OFF, Finding.ONLY_PATH, Finding.SETTLING, Finding.RETURNED):
            return GuardVerdict.DENY
        return GuardVerdict.ALLOW if self is Finding.HOST_LOST else GuardVerdict.UNKNOWN


@dataclass(slots=True)
class _Seen:
    """What is known of a peer: its newest connection, and when what was seen of it. None: not since this start."""

    presence: Presence | None = None
    online_at_us: int | None = None
    lost_at_us: int | None = None
    heard_at_us: int | None = None  # a heartbeat by the broker
    news_at_us: int | None = None  # one that said what no other path had brought before
    refused_at_us: int | None = None  # by its kernel, on another path


def _latest(*at_us: int | None) -> int:
    return max(_NEVER if at is None else at for at in at_us)


class Witness:
    """What this node has seen of the broker and, through it, of its peers.

    `alone`: the broker's is the only path. `fresh_us`: the dead interval. A sign of the peer that is younger than a
    third of it counts: the question is asked when half of it has passed in silence.
    `keepalive_us`: the one that all nodes ask for.
    """

    def __init__(self, *, alone: bool, fresh_us: int, keepalive_us: int) -> None:
        self.alone = alone
        self.fresh_us = fresh_us
        self.keepalive_us = keepalive_us
        self.returned_us: int | None = None  # when the newest own heartbeat that came back was sent
        self._returned_at_us = 0
        self._connected_at_us: int | None = None
        self._seen: dict[NodeName, _Seen] = {}

    def connected(self, now_us: int) -> None:
        """Note that the connection stands."""
        self._connected_at_us = now_us

    def returned(self, sent_at_us: int, now_us: int) -> None:
        """Note that the broker has returned an own heartbeat, sent then."""
        self.returned_us, self._returned_at_us = sent_at_us, now_us

    def heard(self, peer: NodeName, now_us: int, *, news: bool) -> None:
        """Note a heartbeat of a peer that came by the broker; `news`: nothing else had brought it before.

        One that is no news is late by so much as the broker is slower, and no sign that the peer still lives.
        """
        seen = self._of(peer)
        seen.heard_at_us = now_us
        seen.news_at_us = now_us if news else seen.news_at_us

    def refused(self, peer: NodeName, now_us: int) -> None:
        """Note that the peer's kernel has answered on another path that nobody listens."""
        self._of(peer).refused_at_us = now_us

    def saw(self, presence: Presence, now_us: int, *, retained: bool) -> None:
        """Note what the broker said of a peer; `retained`: it said so once, nobody knows when."""
        seen = self._of(presence.node)
        known = seen.presence
        same = known is not None and (known.boot, known.connection) == (presence.boot, presence.connection)
        if presence.state is PresenceState.ONLINE:
            # Of an older connection of the same boot it is a recording. Boots have no order.
            if known is None or known.boot != presence.boot or known.connection <= presence.connection:
                seen.presence, seen.lost_at_us = presence, None
                seen.online_at_us = None if retained else now_us
        elif same and not retained:
            seen.presence = presence
            seen.lost_at_us = now_us if presence.state is PresenceState.LOST else None
        elif known is None:
            seen.presence = presence

    def find(self, peer: NodeName | None, now_us: int, asked_at_us: int) -> Finding:
        """Return what there is to say of a silent peer, to a question that was asked at `asked_at_us`.

        `peer` None: nobody knows who it is.
        """
        if self.returned_us is None or self.returned_us < asked_at_us:
            return self._not_seen(now_us)
        seen = _Seen() if peer is None else self._of(peer)
        if now_us - _latest(seen.news_at_us, seen.online_at_us) < self.fresh_us // 3:
            return Finding.RETURNED
        since = self._connected_at_us or 0
        if now_us - since < SETTLING_US and _latest(seen.heard_at_us, seen.online_at_us) < since:
            return Finding.SETTLING
        return self._of_presence(seen)

    def _not_seen(self, now_us: int) -> Finding:
        if self.alone:
            return Finding.ONLY_PATH
        lately = self.returned_us is not None and now_us - self._returned_at_us < LATELY_US
        return Finding.CUT_OFF if lately else Finding.BROKER_DOWN

    def _of_presence(self, seen: _Seen) -> Finding:
        if seen.presence is None:
            return Finding.UNSEEN
        if seen.presence.state is PresenceState.LEFT:
            return Finding.LEFT
        if seen.presence.state is PresenceState.ONLINE:
            return Finding.CONNECTED
        if seen.lost_at_us is None or seen.heard_at_us is None:
            return Finding.UNSEEN
        if seen.lost_at_us - seen.heard_at_us < self.keepalive_us:
            return Finding.DAEMON_LOST
        return Finding.DAEMON_GONE if _latest(seen.refused_at_us) > seen.heard_at_us else Finding.HOST_LOST

    def keep(self, peers: Collection[NodeName]) -> None:
        """Forget what was seen of all others."""
        self._seen = {peer: seen for peer, seen in self._seen.items() if peer in peers}

    def _of(self, peer: NodeName) -> _Seen:
        return self._seen.setdefault(peer, _Seen())
