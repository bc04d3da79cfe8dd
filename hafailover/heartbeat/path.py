"""What every heartbeat path offers to the daemon, whether it is UDP or a broker. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections import Counter

    from hafailover.election.values import Advert, NodeName
    from hafailover.heartbeat.session import PeerSessions


@dataclass(frozen=True, slots=True)
class PeerPathStats:
    """How one peer is reached on one path. Times are seconds, None where nothing was measured yet.

    `last_seen_s`: since the last datagram that was of use; `rtt_s` is smoothed, `rtt_last_s` the newest one;
    `loss`: share (0..1) of the peer's last 100 datagrams; `refused`: how often its host said that nobody
    listens; `foreign_source`: datagrams of this peer from another address than the configured one.
    """

    peer: NodeName
    confirmed: bool
    last_seen_s: float | None
    rtt_s: float | None
    rtt_last_s: float | None
    loss: float
    sent: int
    received: int
    send_errors: int
    refused: int
    foreign_source: int


def stats_of(  # noqa: PLR0913 - what a path has counted by itself, each by its name
    peer: NodeName,
    sessions: PeerSessions,
    now_us: int,
    *,
    sent: int,
    received: int,
    send_errors: int = 0,
    refused: int = 0,
    foreign_source: int = 0,
) -> PeerPathStats:
    """Return how a peer is reached on a path: what its sessions have measured there, and the path's own counts."""
    current = sessions.current
    return PeerPathStats(
        peer=peer,
        confirmed=current is not None and sessions.seen_at_us == current.heard_at_us,
        last_seen_s=None if sessions.seen_at_us is None else (now_us - sessions.seen_at_us) / 1e6,
        rtt_s=None if sessions.srtt_us is None else sessions.srtt_us / 1e6,
        rtt_last_s=None if sessions.rtt_us is None else sessions.rtt_us / 1e6,
        loss=0.0 if current is None else current.loss,
        sent=sent,
        received=received,
        send_errors=send_errors,
        refused=refused,
        foreign_source=foreign_source,
    )


class Path(Protocol):
    """One way to exchange adverts with all peers. The events go to the `deliver` that it was made with."""

    @property
    def name(self) -> str:
        """The name in events, status and metrics: "udp" or "mqtt"."""

    @property
    def rejected(self) -> Counter[str]:
        """Datagrams that were not taken, by reason (`wire.Reject`)."""

    async def open(self) -> None:
        """Begin to receive; StartError where that cannot work on this machine."""

    def send(self, advert: Advert, now_us: int | None = None) -> None:
        """Tell all peers, without waiting and without raising for what the network does.

        `now_us` is the same for all paths on which an advert is sent: by it a peer knows that it is the same.
        """

    def stats(self) -> tuple[PeerPathStats, ...]:
        """Return one record per peer, in the order of the configuration."""

    def close(self) -> None:
        """End at once; may be called twice."""
