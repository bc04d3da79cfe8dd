"""What a daemon gets instead of the world while a life is lived, in one table. All else is the real code."""

from __future__ import annotations

import logging
import os
import random
import time
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import httpx
import structlog

from hafailover.broker import link
from hafailover.checks import registry
from hafailover.checks.runner import CheckRunner
from hafailover.cloud.dating import Dating
from hafailover.control import server
from hafailover.daemon import arming, eipkeeper, guards, historyfile, statefile, supervisor
from hafailover.daemon.gateway import Gateway
from hafailover.guest import hooks
from hafailover.heartbeat import udp
from hafailover.observe.log import configure
from tests.simulation.daemons import guest, mooring, net
from tests.simulation.daemons.cloud import Skyway
from tests.simulation.daemons.daemon import Incarnation, WatchedNode, WatchedPerformer
from tests.simulation.daemons.loop import OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulation.daemons.town import Town

KEYS = {"TENCENTCLOUD_SECRET_ID": "simulated", "TENCENTCLOUD_SECRET_KEY": "simulated"}


class Clocks:
    """The time as whoever asks has it: each host has its own monotonic clock and its own time of day."""

    def __init__(self, town: Town) -> None:
        self._town = town

    def monotonic(self) -> float:
        """As time.monotonic."""
        return self._town.loop.local_us() / 1e6

    def monotonic_ns(self) -> int:
        """As time.monotonic_ns."""
        return self._town.loop.local_us() * 1000

    def time(self) -> float:
        """As time.time."""
        return self.time_ns() / 1e9

    def time_ns(self) -> int:
        """As time.time_ns."""
        process: Any = OWNER.get()
        wall_ms = self._town.wall_ms() if process is None else self._town.wall_of_ms(process.name)
        return wall_ms * 1_000_000

    def clock_gettime(self, clock_id: int) -> float:
        """As time.clock_gettime."""
        return self.clock_gettime_ns(clock_id) / 1e9

    def clock_gettime_ns(self, clock_id: int) -> int:
        """As time.clock_gettime_ns; the time since the boot goes on while the machine is suspended."""
        process: Any = OWNER.get()
        slept_ms = process.slept_ms if isinstance(process, Incarnation) else 0
        return self.monotonic_ns() + (slept_ms * 1_000_000 if clock_id == time.CLOCK_BOOTTIME else 0)


def _chance(_size: object = None) -> random.Random:
    """Make the random numbers of the core and the cloud's client: tier 1's, so that both tiers can be compared."""
    process = guest.current()
    return random.Random(f"{process.town.options.seed}:{process.name}:{process.boot}")  # noqa: S311 - to be repeated


def _bytes(size: int) -> bytes:
    return guest.current().rng.randbytes(size)


def _no_sleep(_seconds: float) -> None:
    raise NotImplementedError("a daemon that sleeps blocks its loop")


class Listener:
    """The control socket's place in the file system."""

    sock = None
    group_id = None

    def lengthen_queue(self) -> None:
        """Do nothing: nobody waits."""

    def close(self) -> None:
        """Remove it."""


def _gateway(interface: str | None) -> Gateway:
    clock = time.monotonic  # as it is while the life is lived
    return Gateway(interface, find=lambda _interface: guest.GATEWAY, ask=guest.echo, clock=clock)


def _listen(_path: object, _group: object) -> Listener:
    return Listener()


@contextmanager
def in_place(town: Town) -> Iterator[None]:
    """Put the simulated things in the place of the real ones; for one life."""
    clocks = Clocks(town)
    with ExitStack() as stack:
        for owner, name, value in (*_times(clocks), *_parts()):
            stack.enter_context(patch.object(owner, name, value))
        stack.enter_context(patch.dict(os.environ, KEYS))
        stack.enter_context(patch.dict(registry._MAKERS, {"tcp": lambda _check: guest.SimulatedProbe()}))
        stack.enter_context(_logging(town))
        yield


def _times(clocks: Clocks) -> tuple[tuple[object, str, object], ...]:
    names = ("monotonic", "monotonic_ns", "time", "time_ns", "clock_gettime", "clock_gettime_ns")
    swapped = {id(getattr(time, name)): getattr(clocks, name) for name in names}
    bound = (Dating.__init__, CheckRunner.__init__)  # they took the real ones when they were defined
    return (
        *((time, name, getattr(clocks, name)) for name in names),
        (time, "sleep", _no_sleep),
        *((each, "__defaults__", _exchanged(each.__defaults__, swapped)) for each in bound),
    )


def _exchanged(defaults: tuple[Any, ...] | None, swapped: dict[int, Any]) -> tuple[Any, ...]:
    return tuple(swapped.get(id(each), each) for each in defaults or ())


def _parts() -> tuple[tuple[object, str, object], ...]:
    return (
        (random, "SystemRandom", _chance),
        (os, "urandom", _bytes),
        (httpx, "AsyncHTTPTransport", Skyway),
        (statefile, "save", guest.save),
        (statefile, "load", guest.load),
        (statefile, "write", guest.write),
        (eipkeeper, "load", guest.load_eips),
        (historyfile, "save", guest.save_history),
        (historyfile, "load", guest.load_history),
        (supervisor, "Guest", guest.SimulatedGuest),
        (supervisor, "Gateway", _gateway),
        (supervisor, "Node", WatchedNode),
        (supervisor, "Performer", WatchedPerformer),
        (udp, "_bind", net.bind),
        (link, "Link", mooring.Link),
        (udp, "errqueue", SimpleNamespace(take=net.Socket.take_error)),
        (arming, "second_writers", guest.second_writers),
        (hooks, "run_hook", guest.run_hook),
        (guards, "connect", guest.connect),
        (server, "listen", _listen),
    )


@contextmanager
def _logging(town: Town) -> Iterator[None]:
    root = logging.getLogger()
    before, handlers, level = structlog.get_config(), list(root.handlers), root.level
    configured = structlog.is_configured()
    town.sink = configure("info", "json", town.log, cluster="sim")  # type: ignore[arg-type]
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.configure(**before) if configured else structlog.reset_defaults()
