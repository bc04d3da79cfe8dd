"""One run of one whole daemon, in the shape in which tier 1's faults and invariants know a process."""

from __future__ import annotations

import random
import signal
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from hafailover.daemon import supervisor
from hafailover.daemon.performer import Performer
from hafailover.election import events as ev
from hafailover.election.node import Node
from tests.simulation.daemons.loop import OWNER, Owner
from tests.simulation.process import DIGEST, DOOMED_BATCH, Heard
from tests.simulation.universe import Broken

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable

    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from tests.simulation.daemons.guest import Disk, SimulatedGuest
    from tests.simulation.daemons.mooring import Link
    from tests.simulation.daemons.net import Socket
    from tests.simulation.daemons.streams import Doors, End
    from tests.simulation.daemons.town import Town
    from tests.simulation.host import Host


def _unborn(town: Town, host: Host) -> Node:
    """Return the core of a daemon that is still starting, as far as anybody asks: it never handles anything."""
    members = [each.member for each in town.hosts.values()]
    options = town.options
    return Node(
        host.member,
        members,
        options.timing,
        options.policies,
        config_digest=DIGEST,
        memory=host.memory,
        rng=random.Random(0),  # noqa: S311 - never used
        now=town.now + host.offset_ms,
    )


class Incarnation(Owner):
    """A daemon's process. `boot` counts the starts of all daemons, so that each run has its own."""

    def __init__(self, town: Town, host: Host, boot: int) -> None:
        super().__init__(host.member.order + 1, host.offset_ms * 1000)
        self.town, self.universe, self.host, self.boot = town, town, host, boot
        self.name: str = host.member.name
        self.tag = f"{self.name}{boot}"
        self.heard: dict[str, Heard] = {}
        self.wanted: set[str] = set()  # what its guest is to have
        self.turns = 0
        self.rng = random.Random(f"{town.options.seed}:{self.name}:{boot}:own")  # noqa: S311 - to be repeated
        self.frozen = False
        self.doomed = False
        self.started_at, self.timing = town.now, town.options.timing
        self.retimed_at: int | None = None  # no file is read again in this tier
        self.restarting = False  # by the job that systemd has for it
        self.barred = False
        self.slept_ms = 0
        self.socket: Socket | None = None
        self.guest: SimulatedGuest | None = None
        self.disk: Disk = town.disks[self.name]
        self.link: Link | None = None  # to the broker, where there is one
        self.doors: dict[str, Doors] = {}
        self.ends: list[End] = []
        self.node = _unborn(town, host)
        self.effects_left: int | None = None
        self.asked_to_stop_at: int | None = None
        self.left_at: int | None = None
        self.resumed_at: int | None = None
        self.turned_at = town.now
        self.main: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start the daemon."""
        context = copy_context()
        context.run(OWNER.set, self)
        daemon = context.run(supervisor.Daemon, self.town.config, self.name, self.town.sink)
        self.main = self.town.loop.create_task(daemon.run(), context=context)
        self.main.add_done_callback(self._ended, context=copy_context())

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        self.town.ended(self, error)

    @property
    def alive(self) -> bool:
        """Whether it has neither ended nor been killed."""
        return not self.dead

    @property
    def clock(self) -> int:
        """This host's monotonic clock in milliseconds."""
        return self.town.now + self.host.offset_ms

    def repeated(self, event: ev.AdvertReceived) -> Heard | None:
        """Note an advert about to be handled, as tier 1 does; return what was heard before if it says the same."""
        name = event.advert.node
        heard = self.heard.get(name)
        if heard is not None and heard.confirmed is event.confirmed and heard.advert == event.advert:
            heard.at = self.clock
            return heard
        self.heard[name] = Heard(event, self.clock, heard)
        return None

    # -- what happens to it --------------------------------------------------------------------------------------

    def post(self, event: Event) -> None:
        """Let it come to know what tier 1's faults post, in the way in which a daemon does."""
        if self.dead:
            return
        if isinstance(event, ev.StopAsked):
            if self.asked_to_stop_at is None:
                self.asked_to_stop_at = self.town.now
            self._stop(event)
        elif isinstance(event, ev.AddressVanished) and self.guest is not None:
            self.within(self.guest.vanished, event.resource.id)

    def _stop(self, event: ev.StopAsked) -> None:
        """Send SIGTERM; whether it is a restart the daemon asks systemd."""
        handler = self.signals.get(signal.SIGTERM)
        self.restarting = event.restarting
        if handler is None:
            self.town.kill(self.name)  # it had no handler yet: the signal ends it
        else:
            self.within(handler[0], *handler[1])

    def within(self, callback: Any, *args: object) -> None:
        """Have something called on the loop as this process's own."""
        context = copy_context()
        context.run(OWNER.set, self)
        self.town.loop.call_soon(callback, *args, context=context)

    def freeze(self) -> None:
        """Stop running; the clock goes on."""
        self.frozen = True
        self.town.loop.stop_owner(self)

    def thaw(self, lag_ms: int = 0) -> None:
        """Run again; `lag_ms` is for how long the machine's monotonic clock stood still."""
        self.frozen = False
        self.resumed_at = self.town.now
        self.slept_ms += lag_ms
        self.offset_us = self.host.offset_ms * 1000
        self.town.loop.resume_owner(self)

    def die(self) -> None:
        """End without a word; the kernel closes what it had open."""
        self.town.loop.kill_owner(self)
        self.socket = None
        for end in self.ends:
            end.forget()
            if end.peer is not None:
                end.peer.lose(ConnectionResetError("the daemon is gone"))
        self.doors.clear()
        self.ends.clear()


class WatchedNode(Node):
    """The core, whose every turn is shown to the invariants."""

    _process: Incarnation
    _within = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        process: Any = OWNER.get()
        self._process = process
        process.node = self
        process.town.born(process)

    def handle(self, event: Event, *, now: int) -> tuple[Effect, ...]:
        """Handle an event by way of the universe, which asks back for it."""
        if self._within:
            return super().handle(event, now=now)
        process = self._process
        process.turns += 1
        town = process.town
        self._within = True
        try:
            effects = town.handled(process, event)  # type: ignore[arg-type]
        except BaseException as found:
            town.loop.fail(found)
            raise
        finally:
            self._within = False
        if process.doomed and len(effects) >= DOOMED_BATCH and process.effects_left is None:
            process.effects_left = town.faults_rng.randrange(1, len(effects))
        return effects


class WatchedPerformer(Performer):
    """The performer, whose every effect is shown to the invariants, and at which a doomed process dies."""

    def perform(self, effect: Effect) -> Awaitable[None] | None:
        """Carry out an effect."""
        process: Any = OWNER.get()
        if process.effects_left is not None:
            if process.effects_left == 0:
                process.town.kill(process.name)
                future: asyncio.Future[None] = process.town.loop.create_future()
                return future
            process.effects_left -= 1
        try:
            process.town.performing(process, effect)
        except Broken as broken:
            process.town.loop.fail(broken)
            raise
        barrier = super().perform(effect)
        return None if barrier is None else _behind(process, barrier)


async def _behind(process: Incarnation, barrier: Awaitable[None]) -> None:
    process.barred = True
    await barrier
    process.barred = False
