"""A simulated MQTT broker: sessions over TCP, retained presences and wills, and what befalls them.

What goes over one connection keeps its order. Where the way to the broker is closed, it waits, as TCP would have it
wait, and comes late, unless one of the two ends has given the connection up meanwhile. Only a heartbeat may be lost
or come twice (QoS 0).
"""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from tests.simulation.wire import MAX_RECORDED

if TYPE_CHECKING:
    from tests.simulation.daemons.daemon import Incarnation
    from tests.simulation.daemons.mooring import Link as WholeLink
    from tests.simulation.host import Host
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe
    from tests.simulation.wires import Link as CoreLink

    Link: TypeAlias = CoreLink | WholeLink

TRY_AGAIN_MS = 500  # what TCP waits with what was not acknowledged
SPIKE_MS = (500, 6_000)


class Word(NamedTuple):
    """An advert's making: whose it is and of which daemon, the how manyth of that one's, and when it was made."""

    node: str
    boot: int
    number: int
    made_at: int


class Publication(NamedTuple):
    """A message to the broker; `word` is what it carries, None for a presence. `keep`: it is to be retained."""

    topic: str
    payload: bytes
    keep: bool
    word: Word | None


class Parcel(NamedTuple):
    """A message from the broker; `retained`: it had been kept."""

    what: Publication
    retained: bool


class Session:
    """One connection of one daemon, as the broker has it."""

    def __init__(self, broker: Broker, link: Link, will: Publication) -> None:
        self._broker = broker
        self.link, self.will = link, will
        self.host: Host = link.process.host
        self.heard_at = broker.universe.now
        self._up_free_at = self._down_free_at = 0
        self._outgoing: list[Publication | str] = []
        self._incoming: list[Parcel | None] = []
        self._trying = False

    def say(self, what: Publication | str) -> None:
        """Send something to the broker: a message, "bye", or "end" for a connection that is closed without it."""
        if self._outgoing or not self._broker.way(self.host):
            self._outgoing.append(what)
            self._try_later()
            return
        universe = self._broker.universe
        self._up_free_at = max(self._up_free_at, universe.now + self._broker.flight_ms())
        universe.at(self._up_free_at, self._broker.take, self, what)

    def tell(self, what: Parcel | None, late_ms: int = 0) -> None:
        """Send something to the node, None for the end of the connection; a late copy keeps no order."""
        universe = self._broker.universe
        arrives_at = universe.now + self._broker.flight_ms() + late_ms
        if not late_ms:
            arrives_at = self._down_free_at = max(self._down_free_at, arrives_at)
        universe.at(arrives_at, self._arrive, what)

    def _arrive(self, what: Parcel | None) -> None:
        if self.link.session is not self:
            return
        if self._incoming or not self._broker.way(self.host):
            self._incoming.append(what)
            self._try_later()
        else:
            self.link.take(what)

    def _try_later(self) -> None:
        if not self._trying:
            self._trying = True
            universe = self._broker.universe
            universe.at(universe.now + TRY_AGAIN_MS, self._try)

    def _try(self) -> None:
        self._trying = False
        if self.link.session is not self:
            return
        if not self._broker.way(self.host):
            self._try_later()
            return
        outgoing, self._outgoing = self._outgoing, []
        incoming, self._incoming = self._incoming, []
        for said in outgoing:
            self.say(said)
        for told in incoming:
            self._arrive(told)


class Broker:
    """The one broker of a life. `down`: how many faults keep it so; `cuts`: those of each node's way to it."""

    def __init__(self, universe: Universe, rng: random.Random) -> None:
        self.universe = universe
        self._rng = rng
        self.down = 0
        self.cuts: Counter[str] = Counter()
        self.loss = 0.0
        self.double = 0.0
        self.delay_ms = 0  # mean of an exponential delay on top
        self.spike = 0.0  # share of the messages that hold up a connection for some seconds
        self.late_wills_ms = 0
        self.sessions: dict[str, Session] = {}
        self.retained: dict[str, Publication] = {}
        self.recorded: list[Publication] = []  # heartbeats
        self.presences: list[Publication] = []
        # The truth, for those who judge: when it last took a heartbeat of a daemon, and the newest word of each
        # node that it has brought to a daemon.
        self.taken_at: dict[int, int] = {}
        self.brought: dict[tuple[int, str], Word] = {}

    @property
    def calm(self) -> bool:
        """Whether nothing befalls it or the ways to it."""
        troubles = (
            self.down,
            self.cuts.total(),
            self.loss,
            self.double,
            self.delay_ms,
            self.spike,
            self.late_wills_ms,
        )
        return not any(troubles)

    def stream(self, tag: str) -> random.Random:
        """Return the random numbers of one daemon's connections."""
        return random.Random(f"{self.universe.options.seed}:broker:{tag}")  # noqa: S311 - to be repeated, not secret

    def way(self, host: Host) -> bool:
        """Whether anything gets from a host to the broker's and back."""
        return host.powered and not host.suspended and not host.dark and not self.cuts[host.member.name]

    def flight_ms(self) -> int:
        """Return how long the next message takes, one way."""
        flight_ms, rng = self.universe.options.broker_ms, self._rng
        if self.delay_ms:
            flight_ms += round(rng.expovariate(1 / self.delay_ms))
        if self.spike and rng.random() < self.spike:
            flight_ms += rng.randrange(*SPIKE_MS)
        return flight_ms

    # -- sessions ----------------------------------------------------------------------------------------------

    def accept(self, link: Link, will: Publication) -> Session:
        """Let a node in; the session that it had ends, and what is kept is told."""
        name = link.process.name
        if name in self.sessions:
            self.end(name, will=True)
        session = self.sessions[name] = Session(self, link, will)
        self._note(f"has {link.process.tag}")
        for kept in self.retained.values():
            session.tell(Parcel(kept, retained=True))
        self.universe.at(self.universe.now + link.patience_ms, self._watch, session)
        return session

    def end(self, name: str, *, will: bool) -> None:
        """End a node's session, with its will or without."""
        session = self.sessions.pop(name)
        self._note(f"ends {session.link.process.tag}{' with its will' if will else ''}")
        session.tell(None)
        if will:
            self.universe.at(self.universe.now + self.late_wills_ms, self.publish, session.will)

    @staticmethod
    def close(process: Process | Incarnation) -> None:
        """See a daemon die, whose kernel closes the connection."""
        if process.link is not None:
            process.link.end()

    @staticmethod
    def lose(process: Process | Incarnation) -> None:
        """See a daemon's host lose its power: nobody closes the connection."""
        if process.link is not None:
            process.link.session = None

    def stop(self, *, wills: bool, keep: bool) -> None:
        """End all sessions, one after the other, and forget what is retained unless it is on a disk."""
        for name in tuple(self.sessions):
            self.end(name, will=wills)
        if not keep:
            self.retained.clear()

    def _watch(self, session: Session) -> None:
        """Miss a node that has sent nothing for one and a half keepalives."""
        name, universe = session.host.member.name, self.universe
        if self.sessions.get(name) is not session:
            return
        due = session.heard_at + session.link.patience_ms
        if universe.now >= due:
            self.end(name, will=True)
        else:
            universe.at(due, self._watch, session)

    # -- messages ----------------------------------------------------------------------------------------------

    def take(self, session: Session, what: Publication | str) -> None:
        """Take what has come over a connection, if it still stands here."""
        name = session.host.member.name
        if self.sessions.get(name) is not session:
            return
        session.heard_at = self.universe.now
        if isinstance(what, str):
            self.end(name, will=what != "bye")
            return
        if what.word is not None:
            self.taken_at[what.word.boot] = self.universe.now
            if what.word.number % 20 == 1:
                self._record(self.recorded, what)
        self.publish(what)

    def publish(self, what: Publication) -> None:
        """Bring a message to everybody who is connected."""
        if self.down:
            return
        if what.keep:
            self.retained[what.topic] = what
        if what.keep and "/presence/" in what.topic:
            self._record(self.presences, what)
        for session in self.sessions.values():
            for copy in range(self._copies(what)):
                session.tell(Parcel(what, retained=False), copy and self._rng.randrange(1, 3_000))

    def _copies(self, what: Publication) -> int:
        if what.keep:
            return 1
        lost = self.loss and self._rng.random() < self.loss
        return (not lost) + bool(self.double and self._rng.random() < self.double)

    def _record(self, records: list[Publication], what: Publication) -> None:
        records.append(what)
        if len(records) > MAX_RECORDED:
            records.pop(self._rng.randrange(MAX_RECORDED))

    def _note(self, what: str) -> None:
        self.universe.trace.note(self.universe.now, f"broker {what}")
