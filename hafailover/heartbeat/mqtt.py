"""Heartbeats by an MQTT broker, and what the broker knows of the nodes.

One publication an interval for all peers, on TOPIC/CLUSTER/heartbeat/NODE; one subscription with a wildcard, which
also brings back what this node itself has published: the proof that the broker sees it.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hafailover.broker.link import Subscription
from hafailover.errors import WireError
from hafailover.heartbeat import bundle, presence
from hafailover.heartbeat.auth import TAG_BYTES, Keyring
from hafailover.heartbeat.endpoint import Endpoint, Membership
from hafailover.heartbeat.path import stats_of
from hafailover.heartbeat.presence import Presence, PresenceState
from hafailover.heartbeat.wire import PathId, Reject
from hafailover.heartbeat.witness import Finding, Witness

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Sequence

    from hafailover.broker.link import Link
    from hafailover.election.events import Event
    from hafailover.election.values import Advert, GroupName, NodeName
    from hafailover.heartbeat.lineage import Lineages
    from hafailover.heartbeat.path import PeerPathStats

PATIENCE_US: Final = 3_000_000  # with a broker that is slow; or three dead intervals, if that is longer
ANSWER_GAP_US: Final = 100_000  # everybody gets each answer: when all begin at once, that would be N x N x N
PRESENCE_GAP_US: Final = 1_000_000  # how often at most a presence is published again
LEAST_KEEPALIVE_S: Final = 2
MARGIN_S: Final = 0.02  # of a question to the broker, before its time is over
MAX_UNDERWAY: Final = 256  # own heartbeats that have not come back; at 10 ms those of 2.5 s


def keepalive_s(dead_interval_ms: int) -> int:
    """Return the keepalive that every node asks for: the broker misses a node after one and a half of it."""
    return max(LEAST_KEEPALIVE_S, math.ceil(2 * dead_interval_ms / 1000))


def _patience_us(silent_after_us: int) -> int:
    return max(PATIENCE_US, 6 * silent_after_us)


@dataclass(slots=True)
class _Counts:
    """What came of one peer."""

    received: int = 0


class MqttPath:
    """The broker's path of this node; see `path.Path`.

    `link` is not running yet. `lineages` are shared with the other paths, `boot_id` and `clock_us` too. `alone`:
    there is no other path. A message that may be older than `PATIENCE_US` is of no use, and a connection that
    brings nothing back for so long is given up.
    """

    name = "mqtt"

    def __init__(  # noqa: PLR0913 - all by keyword, and each is something else
        self,
        *,
        me: NodeName,
        cluster: str,
        root: str,
        peers: Iterable[NodeName],
        groups: Sequence[GroupName],
        keys: Sequence[bytes],
        deliver: Callable[[Event], None],
        clock_us: Callable[[], int],
        boot_id: bytes,
        silent_after_us: int,
        lineages: Lineages,
        link: Link,
        alone: bool,
    ) -> None:
        self._membership = Membership(me, cluster, tuple(peers), tuple(groups))
        self._endpoint = Endpoint(
            PathId.MQTT,
            self._membership,
            keys,
            boot_id=boot_id,
            silent_after_us=silent_after_us,
            oldest_us=_patience_us(silent_after_us),
            answer_gap_us=ANSWER_GAP_US,
            lineages=lineages,
        )
        self._keyring = Keyring(keys)
        self._root = root
        self._deliver = deliver
        self._clock_us = clock_us
        self._boot_id = boot_id
        self._link = link
        self._latest: Advert | None = None
        self._underway: dict[bytes, int] = {}  # own publications by their last bytes, and when each was sent
        self._returned = asyncio.Event()
        self._counts: dict[NodeName, _Counts] = {peer: _Counts() for peer in self._membership.peers}
        self._sent = 0
        self._connection = 0
        self._said_at_us = 0
        self._doubted = False  # the broker tells others that this node is not there
        self._connected_at_us = 0
        self._round_trip_us: int | None = None
        keepalive_us = keepalive_s(silent_after_us // 500) * 1_000_000
        self.witness = Witness(alone=alone, fresh_us=2 * silent_after_us, keepalive_us=keepalive_us)
        link.subscribe(Subscription(f"{root}/heartbeat/+", self._take_heartbeat, retained=False))
        link.subscribe(Subscription(f"{root}/presence/+", self._take_presence, retained=True))
        link.when_up(self._up)

    def configure(
        self,
        *,
        peers: Iterable[NodeName],
        groups: Sequence[GroupName],
        keys: Sequence[bytes],
        silent_after_us: int,
    ) -> None:
        """Take a reloaded configuration; raises StartError, and then nothing has changed."""
        membership = Membership(self._membership.me, self._membership.cluster, tuple(peers), tuple(groups))
        keyring = Keyring(keys)
        self._endpoint.configure(membership, keys, silent_after_us, _patience_us(silent_after_us))
        if keyring != self._keyring:
            self._link.drop("the heartbeat keys have changed, and the will is signed with the old one")
        self._membership, self._keyring = membership, keyring
        self._counts = {peer: self._counts.get(peer) or _Counts() for peer in membership.peers}
        self.witness.fresh_us = 2 * silent_after_us
        self.witness.keep(membership.peers)

    @property
    def rejected(self) -> Counter[str]:
        """Messages that were not taken, by reason; that its own come back is as it should be."""
        return self._endpoint.rejected

    @property
    def round_trip_s(self) -> float | None:
        """How long the newest own heartbeat that came back was on its way."""
        return None if self._round_trip_us is None else self._round_trip_us / 1e6

    async def open(self) -> None:
        """Do nothing: the link connects when it runs, and its absence is no reason not to start."""

    def send(self, advert: Advert, now_us: int | None = None) -> None:
        """Publish the advert, once for all peers."""
        now_us = self._clock_us() if now_us is None else now_us
        self._latest = advert
        if not self._link.state.connected:
            return
        self._publish(self._endpoint.datagrams(advert, now_us), now_us)
        if self._doubted and now_us - self._said_at_us >= PRESENCE_GAP_US:
            self._say_present(now_us)
        since_us = max(self._connected_at_us, self.witness.returned_us or 0)
        if now_us - since_us > _patience_us(self.witness.fresh_us // 2):
            where = f"{self._root}/heartbeat/{self._membership.me}"
            self._link.drop(
                f"mqtt.topic: what is published on {where} does not come back: the broker stalls, or does not let "
                "this node write and read there"
            )

    def stats(self) -> tuple[PeerPathStats, ...]:
        """Return one record per peer, in the order of the configuration."""
        now_us = self._clock_us()
        return tuple(self._stats(peer, counts, now_us) for peer, counts in self._counts.items())

    def close(self) -> None:
        """Do nothing: the link is closed by who runs it."""

    # -- the guard ---------------------------------------------------------------------------------------------

    async def find(self, peer: NodeName | None, timeout_s: float) -> Finding:
        """Ask the broker about a silent peer: first whether it returns what this node publishes now."""
        asked_at_us = self._clock_us()
        if self._latest is not None:
            self.send(self._latest, asked_at_us)
        try:
            async with asyncio.timeout(max(0.0, timeout_s - MARGIN_S)):
                while (self.witness.returned_us or 0) < asked_at_us:
                    self._returned.clear()
                    await self._returned.wait()
        except TimeoutError:
            pass  # the witness sees that itself
        return self.witness.find(peer, self._clock_us(), asked_at_us)

    # -- the broker --------------------------------------------------------------------------------------------

    def goodbye(self) -> tuple[str, bytes]:
        """Return the last word before an orderly end, for the broker to keep: topic and payload."""
        return self._presence(PresenceState.LEFT, max(1, self._connection))

    def will(self, connection: int) -> tuple[str, bytes]:
        """Return the will of a connection: topic and payload."""
        return self._presence(PresenceState.LOST, connection)

    def _presence(self, state: PresenceState, connection: int) -> tuple[str, bytes]:
        me, cluster = self._membership.me, self._membership.cluster
        payload = presence.encode(Presence(me, state, self._boot_id, connection), cluster, self._keyring)
        return f"{self._root}/presence/{me}", payload

    def _up(self, connection: int) -> None:
        self._connection = connection
        self._connected_at_us = self._clock_us()
        self._underway.clear()
        self.witness.connected(self._connected_at_us)
        self._say_present(self._connected_at_us)
        if self._latest is not None:
            self.send(self._latest)

    def _say_present(self, now_us: int) -> None:
        self._said_at_us, self._doubted = now_us, False
        self._link.keep(*self._presence(PresenceState.ONLINE, self._connection))

    def _publish(self, datagrams: Sequence[bytes], now_us: int, kind: str = "advert") -> None:
        payload = bundle.pack(datagrams)
        if len(self._underway) >= MAX_UNDERWAY:
            del self._underway[next(iter(self._underway))]
        self._underway[payload[-TAG_BYTES:]] = now_us
        self._sent += 1
        self._link.publish(f"{self._root}/heartbeat/{self._membership.me}", payload, kind)

    def _take_heartbeat(self, topic: str, payload: bytes, retained: bool) -> None:  # noqa: FBT001 - as the link calls it
        if retained:
            self._endpoint.rejected[Reject.RETAINED] += 1
            return
        now_us = self._clock_us()
        if topic.rpartition("/")[2] == self._membership.me and self._came_back(payload, now_us):
            return
        try:
            datagrams = bundle.unpack(payload)
        except WireError as error:
            self._endpoint.rejected[error.reason] += 1
            return
        for datagram in datagrams:
            self._take(datagram, now_us)

    def _came_back(self, payload: bytes, now_us: int) -> bool:
        sent_at_us = self._underway.pop(payload[-TAG_BYTES:], None)
        if sent_at_us is None:
            return False
        self._round_trip_us = now_us - sent_at_us
        self.witness.returned(sent_at_us, now_us)
        self._returned.set()
        return True

    def _take(self, datagram: bytes, now_us: int) -> None:
        heard = self._endpoint.receive(datagram, now_us)
        if heard is None:
            return
        self._counts[heard.peer].received += 1
        if self._endpoint.sessions[heard.peer].seen_at_us == now_us:
            self.witness.heard(heard.peer, now_us, news=heard.event is not None)
        if heard.answer is not None:
            self._publish([heard.answer], now_us, f"answer {heard.peer}")
        if heard.event is not None:
            self._deliver(heard.event)

    def _take_presence(self, _topic: str, payload: bytes, retained: bool) -> None:  # noqa: FBT001 - as the link calls it
        if not payload:
            return  # it takes back what the broker had kept
        try:
            seen = presence.decode(payload, self._membership.cluster, self._keyring)
        except WireError as error:
            self._endpoint.rejected[error.reason] += 1
            return
        now_us = self._clock_us()
        if seen.node in self._counts:
            self.witness.saw(seen, now_us, retained=retained)
        elif seen.node == self._membership.me and seen.state is not PresenceState.ONLINE:
            # Its own will, or a former daemon's, reached the broker after this node's word: say again who is here.
            self._doubted = not retained

    def _stats(self, peer: NodeName, counts: _Counts, now_us: int) -> PeerPathStats:
        sessions = self._endpoint.sessions[peer]
        return stats_of(peer, sessions, now_us, sent=self._sent, received=counts.received)
