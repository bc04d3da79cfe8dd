"""Heartbeats between simulated daemons: links that lose, delay, double and replay, and ears that sort it out.

The ears are a small model of `hafailover.heartbeat.session`: a datagram is fresh if it is newer than the newest of
its sender's boot, and a boot is confirmed once it repeats something that this daemon has sent since it first heard
that boot. Until then it is a sign of life, and not even that while a confirmed boot of the same name is heard.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from hafailover.election import events as ev
from hafailover.election.values import NodeName

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

    from hafailover.election.values import Advert
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe
    from tests.simulation.wires import Letter

REFUSALS_EVERY_MS = 1_000  # Linux limits them to about that
MAX_RECORDED = 40
BACKLOG = 500  # datagrams that a socket's buffer holds


class Datagram(NamedTuple):
    """One heartbeat; `heard` maps a peer to the boot, sequence and time of sending last heard of it."""

    sender: str
    boot: int
    sequence: int
    advert: Advert
    heard: dict[str, tuple[int, int, int]]
    sent_at: int  # by its sender's clock


@dataclass(slots=True)
class Ear:
    """What one daemon has heard of one peer."""

    boot: int = 0
    highest: int = 0
    heard_at: int = 0
    pauses_ms: int = 0  # half the dead interval that the peer asks for
    retired: set[int] = field(default_factory=set)
    candidates: dict[int, tuple[int, int]] = field(default_factory=dict)  # boot: (highest, fresh from)


class Ears:
    """What one daemon makes of the datagrams that reach it."""

    def __init__(self, me: str, boot: int, silent_after_ms: int) -> None:
        self.sequence = 0
        self.heard: dict[str, tuple[int, int, int]] = {}
        self._me = me
        self._boot = boot
        self._silent_after_ms = silent_after_ms
        self._peers: dict[str, Ear] = {}

    def send(self, advert: Advert, clock: int) -> Datagram:
        """Return the next datagram."""
        self.sequence += 1
        return Datagram(self._me, self._boot, self.sequence, advert, dict(self.heard), clock)

    def hear(self, got: Datagram, now: int) -> ev.AdvertReceived | None:
        """Return what a datagram tells, None where it is stale or hidden."""
        ear = self._peers.get(got.sender)
        if ear is None:
            ear = self._peers[got.sender] = Ear()
        if got.boot == ear.boot:
            if got.sequence <= ear.highest:
                return None
            ear.highest, ear.heard_at, ear.pauses_ms = got.sequence, now, got.advert.dead_interval_ms // 2
            self.heard[got.sender] = (got.boot, got.sequence, got.sent_at)
            return ev.AdvertReceived(got.advert, "udp", said_after=self._said_after(got))
        return self._unconfirmed(ear, got, now)

    def _unconfirmed(self, ear: Ear, got: Datagram, now: int) -> ev.AdvertReceived | None:
        if got.boot in ear.retired:
            return None
        highest, fresh_from = ear.candidates.get(got.boot, (0, self.sequence + 1))
        if got.sequence <= highest:
            return None
        ear.candidates[got.boot] = (got.sequence, fresh_from)
        boot, sequence, _ = got.heard.get(self._me, (0, 0, 0))
        if boot == self._boot and sequence >= fresh_from:
            self._confirm(ear, got, now)
            return ev.AdvertReceived(got.advert, "udp", said_after=self._said_after(got))
        self.heard[got.sender] = (got.boot, got.sequence, got.sent_at)
        hidden = ear.boot and now - ear.heard_at < max(self._silent_after_ms, ear.pauses_ms)
        return None if hidden else ev.AdvertReceived(got.advert, "udp", confirmed=False)

    def _confirm(self, ear: Ear, got: Datagram, now: int) -> None:
        if ear.boot:
            ear.retired.add(ear.boot)
        ear.candidates.clear()  # they have to answer a later challenge, as in `heartbeat.session`
        ear.boot, ear.highest, ear.heard_at = got.boot, got.sequence, now
        ear.pauses_ms = got.advert.dead_interval_ms // 2
        self.heard[got.sender] = (got.boot, got.sequence, got.sent_at)

    def _said_after(self, got: Datagram) -> int | None:
        boot, _, sent_at = got.heard.get(self._me, (0, 0, 0))
        return sent_at if boot == self._boot else None


class Ways(dict[tuple[str, str], int]):
    """Directions that are closed, and how many faults close each, so that several may overlap."""

    def close(self, ways: Iterable[tuple[str, str]]) -> None:
        """Close some directions once more."""
        for way in ways:
            self[way] = self.get(way, 0) + 1

    def open(self, ways: Iterable[tuple[str, str]]) -> None:
        """Take back what `close` did once."""
        for way in ways:
            self[way] -= 1
            if not self[way]:
                del self[way]


class Network:
    """The links between the hosts and their present condition."""

    def __init__(self, universe: Universe, rng: random.Random) -> None:
        self._universe = universe
        self._rng = rng
        self.cuts = Ways()  # heartbeats in this direction are lost
        self.walls = Ways()  # so is everything else
        self.loss = 0.0
        self.double = 0.0
        self.delay_ms = 0  # mean of an exponential delay on top
        self.spike = 0.0  # share of datagrams that take SPIKE_MS longer
        self.recorded: list[Datagram | Letter] = []
        self._refused_at: dict[tuple[str, str], int] = {}

    def passes(self, one: str, other: str) -> bool:
        """Whether a heartbeat would get from one host to the other now."""
        return (one, other) not in self.cuts and (one, other) not in self.walls

    def broadcast(self, process: Process, advert: Advert) -> None:
        """Send an advert to every peer, unless the broker is the only path."""
        got = process.ears.send(advert, process.clock)
        if got is not None:
            self.spread(got, process.peers)

    def spread(self, got: Datagram | Letter, names: Iterable[str]) -> None:
        """Send a datagram to all of these."""
        universe = self._universe
        if self._fair:
            universe.at(universe.now + universe.options.link_ms, self._deliver_all, got, names)
        else:
            for name in names:
                self.send(got, name)
        if got.sequence % 20 == 1:
            self._record(got)

    @property
    def _fair(self) -> bool:
        """Whether nothing befalls any datagram: then all copies of one arrive together."""
        return not (self.cuts or self.walls or self.loss or self.double or self.delay_ms or self.spike)

    def _deliver_all(self, got: Datagram | Letter, names: Iterable[str]) -> None:
        for name in names:
            self.deliver(got, name)

    def _record(self, got: Datagram | Letter) -> None:
        self.recorded.append(got)
        if len(self.recorded) > MAX_RECORDED:
            self.recorded.pop(self._rng.randrange(MAX_RECORDED))

    def send(self, got: Datagram | Letter, name: str) -> None:
        """Send one datagram on its way."""
        if not self.passes(got.sender, name):
            return
        rng, universe = self._rng, self._universe
        copies = 1
        if self.loss and rng.random() < self.loss:
            copies = 0
        if self.double and rng.random() < self.double:
            copies += 1
        for _ in range(copies):
            universe.at(universe.now + self._flight_ms(), self.deliver, got, name)

    def _flight_ms(self) -> int:
        flight_ms = self._universe.options.link_ms
        if self.delay_ms:
            flight_ms += round(self._rng.expovariate(1 / self.delay_ms))
        if self.spike and self._rng.random() < self.spike:
            flight_ms += self._rng.randrange(500, 6_000)
        return flight_ms

    def deliver(self, got: Datagram | Letter, name: str) -> None:
        """Let a datagram arrive."""
        host = self._universe.hosts[name]
        if not host.powered or host.suspended:
            return
        process = host.process
        if process is None:
            self._refuse(got.sender, name)
            return
        if process.frozen:
            if len(process.socket) < BACKLOG:
                process.socket.append(got)
            return
        process.take_in(got)

    def _refuse(self, sender: str, name: str) -> None:
        universe, now = self._universe, self._universe.now
        if not self.passes(name, sender) or now < self._refused_at.get((name, sender), 0):
            return
        self._refused_at[name, sender] = now + REFUSALS_EVERY_MS
        universe.at(now + universe.options.link_ms, self._refused, sender, name)

    def _refused(self, sender: str, name: str) -> None:
        process = self._universe.hosts[sender].process
        if process is None:
            return
        if process.wires is not None:
            process.wires.refused(NodeName(name))
        process.post(ev.PeerRefused(NodeName(name)))
