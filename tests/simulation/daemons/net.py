"""Heartbeats as bytes between simulated sockets: the daemons' own UDP path speaks, the links of tier 1 carry."""

from __future__ import annotations

import errno
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.simulation.daemons.loop import OWNER
from tests.simulation.wire import BACKLOG, Network

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from typing import Any

    from hafailover.heartbeat.resolve import SocketAddress
    from tests.simulation.daemons.daemon import Incarnation
    from tests.simulation.daemons.loop import Slot
    from tests.simulation.daemons.town import Town


@dataclass(frozen=True, slots=True)
class Packet:
    """One datagram."""

    sender: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the error queue says of a datagram that nobody took; `heartbeat.errqueue` has the real one."""

    target: tuple[str, int]
    number: int = errno.ECONNREFUSED
    refused_by_target: bool = True


class Socket:
    """A non-blocking UDP socket. An error that has come back also fails the next call once, as in Linux."""

    def __init__(self, process: Incarnation, address: SocketAddress) -> None:
        self._process = process
        self._address = address
        self._sent = 0
        self._waiting: deque[tuple[bytes, SocketAddress]] = deque()
        self._errors: deque[Refusal] = deque()
        self._failed = False
        self._reader: Slot | None = None
        self._enqueue: Callable[[Slot], None] | None = None
        self._queued = False

    def watch(self, slot: Slot, enqueue: Callable[[Slot], None]) -> None:
        """Have a slot run whenever something waits."""
        slot.args = (slot.callback,)
        slot.callback, slot.readiness = self._read, True
        self._reader, self._enqueue = slot, enqueue

    def unwatch(self) -> bool:
        """Have it run no more."""
        watched, self._reader = self._reader is not None, None
        return watched

    def _poke(self) -> None:
        if self._reader is not None and not self._queued and (self._waiting or self._errors):
            assert self._enqueue is not None
            self._queued = True
            self._enqueue(self._reader)

    def _read(self, callback: Callable[[], None]) -> None:
        self._queued = False
        if self._reader is not None:
            callback()
            self._poke()  # as long as something waits, it is called again

    def arrive(self, got: Packet, source: SocketAddress) -> None:
        """Take a datagram, if there is room."""
        if len(self._waiting) < BACKLOG:
            self._waiting.append((got.data, source))
            self._poke()

    def refused(self, target: tuple[str, int]) -> None:
        """Take the news that nobody listens at a peer's."""
        self._errors.append(Refusal(target))
        self._failed = True
        self._poke()

    def take_error(self) -> Refusal | None:
        """Return the error that has waited longest."""
        self._failed = False
        return self._errors.popleft() if self._errors else None

    def _fail_once(self) -> None:
        if self._failed:
            self._failed = False
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")

    def recvfrom(self, size: int) -> tuple[bytes, SocketAddress]:
        """Return a datagram and whence it came. Raises OSError."""
        self._fail_once()
        if not self._waiting:
            raise BlockingIOError(errno.EAGAIN, "nothing has come")
        data, source = self._waiting.popleft()
        return data[:size], source

    def sendto(self, data: bytes, address: SocketAddress) -> int:
        """Send a datagram. Raises OSError."""
        self._fail_once()
        self._process.town.wire.post(self._process.name, data, address)
        return len(data)

    def getsockname(self) -> SocketAddress:
        """Return where it is bound."""
        return self._address

    def close(self) -> None:
        """Free the address."""
        self.unwatch()
        if self._process.socket is self:
            self._process.socket = None


class Wire(Network):
    """The links of tier 1 with datagrams of bytes, a share of which may be damaged."""

    corrupt = 0.0

    def __init__(self, town: Town, rng: random.Random) -> None:
        super().__init__(town, rng)
        self._town = town
        self._dice = rng
        self._posted = 0
        self.addresses: dict[tuple[str, int], str] = {}

    def post(self, sender: str, data: bytes, address: SocketAddress) -> None:
        """Send what a socket was given."""
        packet = Packet(sender, data)
        self.send(packet, self.addresses[address[0], address[1]])  # type: ignore[arg-type]
        self._posted += 1
        if self._posted % 20 == 1:
            self._record(packet)  # type: ignore[arg-type]

    def deliver(self, got: Any, name: str) -> None:
        """Let a datagram arrive."""
        host = self._town.hosts[name]
        if not host.powered or host.suspended:
            return
        socket = None if host.process is None else self._town.process(name).socket
        if socket is None:
            self._refuse(got.sender, name)
            return
        if self.corrupt and self._dice.random() < self.corrupt:
            got = Packet(got.sender, damaged(got.data, self._dice))
        socket.arrive(got, (self._town.address(got.sender), self._town.port))

    def _refused(self, sender: str, name: str) -> None:
        if self._town.hosts[sender].process is None:
            return
        socket = self._town.process(sender).socket
        if socket is not None:
            socket.refused((self._town.address(name), self._town.port))


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Return a datagram with one bit turned, or cut short."""
    if rng.random() < 0.3:
        return data[: rng.randrange(len(data))]
    spoilt = bytearray(data)
    spoilt[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(spoilt)


def bind(_family: object, address: SocketAddress, _wanted: object) -> Socket:
    """Make the socket of the process that asks; in the place of `heartbeat.udp._bind`."""
    process: Any = OWNER.get()
    process.socket = Socket(process, address)
    made: Socket = process.socket
    return made
