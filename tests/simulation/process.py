"""One run of one daemon: the core, and a model of the runner that turns it.

As in `hafailover.daemon.runner`, one event at a time is handled to its end, effects in the order returned and
barriers waited for; what arrives meanwhile queues up. A process can be frozen at any instant, and killed between
any two effects of one batch.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hafailover.election import events as ev
from hafailover.election.node import Node
from tests.simulation.eips import Keeper
from tests.simulation.trace import told_event
from tests.simulation.wire import Datagram, Ears
from tests.simulation.wires import Letter, Wires

if TYPE_CHECKING:
    from collections.abc import Callable

    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from hafailover.election.values import Advert, GroupName
    from tests.simulation.broker import Parcel
    from tests.simulation.host import Host
    from tests.simulation.universe import File, Universe

TIMER = ev.TimerExpired()
DIGEST = b"\0" * 8
DOOMED_BATCH = 3  # a batch of so many effects has something to be interrupted in


class Heard:
    """What a daemon has handled of one peer: the last advert and when, the one before, the last confirmed one."""

    __slots__ = ("advert", "at", "before", "confirmed", "sure", "text")

    def __init__(self, event: ev.AdvertReceived, at: int, former: Heard | None) -> None:
        self.advert, self.confirmed, self.at = event.advert, event.confirmed, at
        self.before: Advert | None = None if former is None else former.advert
        known = None if former is None else former.sure
        self.sure: Advert | None = event.advert if event.confirmed else known
        self.text = told_event(event)


def waits_ms(process: Process, peer: str) -> int:
    """Return the silence after which a peer is dead to a daemon: that of whichever of their files is longer."""
    heard = process.heard.get(peer)
    asked_ms = 0 if heard is None or heard.sure is None else heard.sure.dead_interval_ms
    return max(process.timing.dead_interval_ms, asked_ms)


class Process:
    """A running daemon. `boot` counts the starts of all daemons, so that each run has its own."""

    def __init__(self, universe: Universe, host: Host, boot: int) -> None:
        options = universe.options
        self.universe, self.host, self.boot = universe, host, boot
        self.name: str = host.member.name
        self.tag = f"{self.name}{boot}"
        self.started_at = universe.now
        self.peers: list[str] = []  # whom it speaks and listens to
        self.alive = True
        self.frozen = False
        self.doomed = False
        self.turns = 0  # events handled
        self.turned_at = universe.now
        self.has_read = universe.file.digest  # of the file, which may be handled later
        self.timing = universe.file.timing  # of the file that is in force
        self.retimed_at: int | None = None  # when it had last to take in another file
        self.heard: dict[str, Heard] = {}
        self.socket: list[Datagram | Letter | Parcel] = []
        self.wanted: set[str] = set()  # what the guest was asked to answer for
        self.groups: frozenset[GroupName] = frozenset()  # of the file that it has read
        self._anew: set[str] = set()  # whose next words are news, for they may be of groups that have come since
        self._known: dict[str, tuple[Advert, Advert]] = {}  # what was told last, and what of that is of these
        self.listens_to(universe.file)
        self.keeper = Keeper(self) if options.eips and not host.member.witness else None
        self.node = Node(
            host.member,
            [universe.hosts[name].member for name in universe.file.names],
            universe.file.timing,
            universe.file.policies,
            config_digest=universe.file.digest,
            memory=host.memory,
            rng=random.Random(f"{options.seed}:{self.name}:{boot}"),  # noqa: S311 - to be repeated, not secret
            now=self.clock,
        )
        self.wires = None if universe.broker is None else Wires(self, universe.broker)
        self.link = None if self.wires is None else self.wires.link
        ears = Ears(self.name, boot, options.hasty.dead_interval_ms // 2)
        self.ears: Any = self.wires or ears  # which of them hears what the network of this life carries
        self._inbox: deque[Event] = deque()
        self._todo: deque[Effect] = deque()
        self._waiting: list[Callable[[], None]] = []
        self._busy = False
        self._effects_left: int | None = None
        self._armed_for: int | None = None

    @property
    def clock(self) -> int:
        """This host's monotonic clock."""
        return self.universe.now + self.host.offset_ms

    # -- events ------------------------------------------------------------------------------------------------

    def post(self, event: Event) -> None:
        """Queue an event, and handle it if nothing is in the way."""
        if self.alive:
            self._inbox.append(event)
            self._turn()

    def is_about_to_hear(self, name: str) -> bool:
        """Whether a word of a node has been read from the socket and waits for its turn: the disk may be slow."""
        return any(isinstance(event, ev.AdvertReceived) and event.advert.node == name for event in self._inbox)

    def repeated(self, event: ev.AdvertReceived) -> Heard | None:
        """Note an advert about to be handled; return what was heard before where it says the same once more."""
        name = event.advert.node
        heard = self.heard.get(name)
        same = heard is not None and heard.advert is event.advert and heard.confirmed is event.confirmed
        if heard is not None and same and name not in self._anew:
            heard.at = self.clock
            return heard
        self._anew.discard(name)
        self.heard[name] = Heard(event, self.clock, heard)
        return None

    def take_in(self, got: Datagram | Letter | Parcel) -> None:
        """Read a datagram from the socket, or a message of the broker's."""
        event = self._of_known_groups(self.ears.hear(got, self.universe.now))
        if event is not None:
            self.post(event)

    def listens_to(self, file: File) -> None:
        """Take in the nodes and groups of the file, as `heartbeat.endpoint` does before the core."""
        self.peers = [name for name in file.names if name != self.name]
        self.groups = frozenset(policy.group for policy in file.policies)
        self._known.clear()
        self._anew = set(self.heard)

    def _of_known_groups(self, event: ev.AdvertReceived | None) -> ev.AdvertReceived | None:
        if event is None or event.advert.node not in self.peers:
            return None
        if all(each.group in self.groups for each in event.advert.groups):
            return event
        told, known = self._known.get(event.advert.node, (None, None))
        if told is not event.advert or known is None:
            said = tuple(each for each in event.advert.groups if each.group in self.groups)
            known = replace(event.advert, groups=said)
            self._known[event.advert.node] = event.advert, known
        return replace(event, advert=known)

    def when_running(self, action: Callable[[], None]) -> None:
        """Do something of this process's own now, or when it runs again; never once it is dead."""
        if not self.alive:
            return
        if self.frozen:
            self._waiting.append(action)
        else:
            action()

    def wake(self, armed_for: int) -> None:
        """Let the timer run out."""
        if self._armed_for == armed_for:
            self._armed_for = None
            self._turn()

    def _turn(self) -> None:
        timer_done = False
        while self.alive and not self.frozen and not self._busy:
            if self._inbox:
                self._handle(self._inbox.popleft())
            elif not timer_done and self.clock >= self.node.deadline:
                timer_done = True
                self._handle(TIMER)
            else:
                self._arm_timer()
                return

    def _arm_timer(self) -> None:
        universe = self.universe
        due = max(self.node.deadline - self.host.offset_ms, universe.now + 1)
        if self._armed_for is None or due < self._armed_for:
            self._armed_for = due
            universe.at(due, self.wake, due)

    def _handle(self, event: Event) -> None:
        self.turns += 1
        if type(event) is ev.Reconfigured:
            self.timing, self.retimed_at = event.timing, self.universe.now
        effects = self.universe.handled(self, event)
        if not effects:
            return
        self._todo.extend(effects)
        if self.doomed and len(effects) >= DOOMED_BATCH and self._effects_left is None:
            self._effects_left = self.universe.faults_rng.randrange(1, len(effects))
        self._perform()

    def _perform(self) -> None:
        while self._todo and self.alive:
            if self._effects_left is not None:
                if self._effects_left == 0:
                    self.universe.kill(self.name)
                    return
                self._effects_left -= 1
            wait_ms = self.universe.perform(self, self._todo.popleft())
            if wait_ms:
                self._busy = True
                self.universe.at(self.universe.now + wait_ms, self.when_running, self._go_on)
                return

    def _go_on(self) -> None:
        self._busy = False
        self._perform()
        self._turn()

    # -- being stopped -----------------------------------------------------------------------------------------

    def freeze(self) -> None:
        """Stop running; the clock goes on."""
        self.frozen = True

    def thaw(self, lag_ms: int = 0) -> None:
        """Run again; `lag_ms` is for how long the machine's monotonic clock stood still."""
        self.frozen = False
        # A loop that runs again looks at its sockets before its timers.
        heard = [self._of_known_groups(self.ears.hear(got, self.universe.now)) for got in self.socket]
        self.socket.clear()
        self._inbox.extendleft(reversed([event for event in heard if event is not None]))
        if lag_ms:
            self._inbox.appendleft(ev.LoopLagged(lag_ms))
        waiting, self._waiting = self._waiting, []
        for action in waiting:
            self.when_running(action)
        self._turn()

    @property
    def barred(self) -> bool:
        """Whether effects wait behind a barrier."""
        return self._busy

    def die(self) -> None:
        """End without a word."""
        self.alive = False
        self._inbox.clear()
        self._todo.clear()
