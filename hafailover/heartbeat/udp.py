"""Heartbeats over UDP: one non-blocking socket for all peers.

The socket is bound exclusively to the configured address, all datagrams leave from there. ICMP errors come from
the socket's error queue, see `errqueue`. What the network does to a datagram is counted, never raised.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hafailover.election.events import PeerRefused
from hafailover.errors import StartError
from hafailover.heartbeat import errqueue
from hafailover.heartbeat.endpoint import Endpoint, Membership
from hafailover.heartbeat.path import stats_of
from hafailover.heartbeat.resolve import SocketAddress, literal, lookup
from hafailover.heartbeat.wire import MAX_DATAGRAM, PathId

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hafailover.election.events import Event
    from hafailover.election.values import Advert, GroupName, NodeName
    from hafailover.heartbeat.lineage import Lineages
    from hafailover.heartbeat.path import PeerPathStats

DATAGRAMS_PER_TURN: Final = 32  # then the loop's other work has its turn, whatever waits in the socket
ERRORS_PER_TURN: Final = 32
RECEIVE_BUFFER: Final = 512 * 1024  # bytes asked of the kernel: a flood must last to push real ones out
SOCKET_PRIORITY: Final = 6  # ahead of bulk traffic in the local queue (socket(7)); 6 needs no privilege
RERESOLVE_S: Final = 60.0
RERESOLVE_UNKNOWN_S: Final = 5.0  # while some name has not resolved yet


@dataclass(slots=True)
class _Peer:
    """Where a peer is and what became of the datagrams to and from it."""

    host: str
    port: int
    address: SocketAddress | None = None
    sent: int = 0
    received: int = 0
    send_errors: int = 0
    refused: int = 0
    foreign_source: int = 0


class UdpPath:
    """The UDP path of this node; see `path.Path`.

    `address` and the addresses of `peers` are (host or IP, port) and of one family, that of `address`.
    `deliver` gets AdvertReceived and PeerRefused, from within the event loop and never from within `send`.
    `clock_us` is monotonic. `boot_id`: 8 random bytes, new for each start of the daemon.
    `silent_after_us`: see `session.PeerSessions`; half the dead interval is right. `lineages` are shared with the
    other paths, where there are any.
    """

    name = "udp"

    def __init__(  # noqa: PLR0913 - all by keyword, and each is something else
        self,
        *,
        me: NodeName,
        cluster: str,
        address: tuple[str, int],
        peers: Mapping[NodeName, tuple[str, int]],
        groups: Sequence[GroupName],
        keys: Sequence[bytes],
        deliver: Callable[[Event], None],
        clock_us: Callable[[], int],
        boot_id: bytes,
        silent_after_us: int,
        lineages: Lineages | None = None,
    ) -> None:
        membership = Membership(me, cluster, tuple(peers), tuple(groups))
        self._endpoint = Endpoint(
            PathId.UDP,
            membership,
            keys,
            boot_id=boot_id,
            silent_after_us=silent_after_us,
            lineages=lineages,
        )
        self._membership = membership
        self._address = address
        self._deliver = deliver
        self._clock_us = clock_us
        self._peers = {name: _Peer(host, port) for name, (host, port) in peers.items()}
        self._by_address: dict[tuple[str, int], NodeName] = {}
        self._socket: socket.socket | None = None
        self._family = socket.AF_INET
        self._resolver: asyncio.Task[None] | None = None
        self.send_error_codes: Counter[str] = Counter()

    @property
    def rejected(self) -> Counter[str]:
        """Datagrams that were not taken, by reason."""
        return self._endpoint.rejected

    @property
    def local_address(self) -> tuple[str, int]:
        """The (host, port) that the open socket is bound to."""
        if self._socket is None:
            return self._address
        host, port, *_ = self._socket.getsockname()
        return host, port

    async def open(self) -> None:
        """Bind and begin to receive; StartError names the address where that is not possible."""
        found = await lookup(*self._address)
        if found is None:
            raise StartError(f"heartbeat address {_text(self._address)}: the name has no address")
        self._family, address = found
        self._place(self._peers)
        self._index()
        self._socket = _bind(self._family, address, self._address)
        asyncio.get_running_loop().add_reader(self._socket, self._on_readable)
        self._watch_names()

    def configure(
        self,
        *,
        peers: Mapping[NodeName, tuple[str, int]],
        groups: Sequence[GroupName],
        keys: Sequence[bytes],
        silent_after_us: int,
    ) -> None:
        """Take a reloaded configuration into an open path; the socket, the sequence and the sessions go on.

        A changed `me`, `cluster` or own address needs a new path (with a new boot id). Raises StartError, and
        then nothing has changed.
        """
        membership = Membership(self._membership.me, self._membership.cluster, tuple(peers), tuple(groups))
        moved = {name: _moved(self._peers.get(name), *address) for name, address in peers.items()}
        self._place(moved)
        self._endpoint.configure(membership, keys, silent_after_us)
        self._membership = membership
        self._peers = moved
        self._index()
        self._watch_names()

    def send(self, advert: Advert, now_us: int | None = None) -> None:
        """Send the advert to every peer whose address is known: one datagram each, more only when split."""
        now_us = self._clock_us() if now_us is None else now_us
        for datagram in self._endpoint.datagrams(advert, now_us):
            self._send_to_all(datagram)

    def stats(self) -> tuple[PeerPathStats, ...]:
        """Return one record per peer, in the order of the configuration."""
        now_us = self._clock_us()
        return tuple(self._stats(name, peer, now_us) for name, peer in self._peers.items())

    def close(self) -> None:
        """Stop receiving and free the port; may be called twice."""
        if self._resolver is not None:
            self._resolver.cancel()
            self._resolver = None
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _on_readable(self) -> None:
        sock = self._socket
        if sock is None:
            return
        taken = 0
        for _ in range(DATAGRAMS_PER_TURN):
            try:
                data, source = sock.recvfrom(MAX_DATAGRAM + 1)
            except BlockingIOError:
                break
            except OSError:
                continue  # a queued ICMP error also fails the next call once; it is taken below
            taken += 1
            self._take(data, source)
        if taken in (0, DATAGRAMS_PER_TURN):
            # The loop calls again as long as errors wait, so they are looked for only when nothing else waits,
            # or when a flood might keep that from ever happening.
            self._take_errors(sock)

    def _take(self, data: bytes, source: SocketAddress) -> None:
        heard = self._endpoint.receive(data, self._clock_us())
        if heard is None:
            return
        peer = self._peers[heard.peer]
        peer.received += 1
        if peer.address is None or source[:2] != peer.address[:2]:
            peer.foreign_source += 1  # the tag, not the address, says whose it is: NAT may stand between
        if heard.answer is not None:
            self._send_to_all(heard.answer)
        if heard.event is not None:
            self._deliver(heard.event)

    def _take_errors(self, sock: socket.socket) -> None:
        for _ in range(ERRORS_PER_TURN):
            error = errqueue.take(sock)
            if error is None:
                return
            name = self._by_address.get(error.target)
            if name is None:
                continue
            if error.refused_by_target:
                self._peers[name].refused += 1
                self._deliver(PeerRefused(name))
            else:
                self._count_failure(self._peers[name], error.number)

    def _send_to_all(self, datagram: bytes) -> None:
        sock = self._socket
        if sock is None:
            return
        for peer in self._peers.values():
            if peer.address is not None:
                self._send(sock, datagram, peer, peer.address)

    def _send(self, sock: socket.socket, datagram: bytes, peer: _Peer, address: SocketAddress) -> None:
        try:
            try:
                sock.sendto(datagram, address)
            except BlockingIOError:
                raise
            except OSError:
                # Perhaps not this datagram's fate but the ICMP error of an earlier one, even to another peer:
                # then this one was not sent, and reporting the error has cleared it.
                sock.sendto(datagram, address)
        except OSError as error:
            self._count_failure(peer, error.errno)
        else:
            peer.sent += 1

    def _count_failure(self, peer: _Peer, number: int | None) -> None:
        peer.send_errors += 1
        self.send_error_codes[errno.errorcode.get(number or 0, "OTHER")] += 1

    def _stats(self, name: NodeName, peer: _Peer, now_us: int) -> PeerPathStats:
        return stats_of(
            name,
            self._endpoint.sessions[name],
            now_us,
            sent=peer.sent,
            received=peer.received,
            send_errors=peer.send_errors,
            refused=peer.refused,
            foreign_source=peer.foreign_source,
        )

    def _place(self, peers: Mapping[NodeName, _Peer]) -> None:
        """Give the peers that are named by a literal their address; StartError for one of another family."""
        for name, peer in peers.items():
            found = literal(peer.host, peer.port)
            if found is None:
                continue
            if found[0] != self._family:
                raise StartError(
                    f"heartbeat address of node {name!r}: {peer.host} is of another family than this node's "
                    f"own address {_text(self._address)}"
                )
            peer.address = found[1]

    def _index(self) -> None:
        self._by_address = {
            peer.address[:2]: name for name, peer in self._peers.items() if peer.address is not None
        }

    def _watch_names(self) -> None:
        named = any(literal(peer.host, peer.port) is None for peer in self._peers.values())
        if named and self._resolver is None:
            self._resolver = asyncio.get_running_loop().create_task(self._keep_resolving(), name="heartbeat-dns")

    async def _keep_resolving(self) -> None:
        while True:
            await self._resolve()
            unknown = any(peer.address is None for peer in self._peers.values())
            await asyncio.sleep(RERESOLVE_UNKNOWN_S if unknown else RERESOLVE_S)

    async def _resolve(self) -> None:
        """Look up all peers at once; one whose name does not resolve keeps the address that it had."""
        peers = tuple(self._peers.values())
        found = await asyncio.gather(*(lookup(peer.host, peer.port, self._family) for peer in peers))
        for peer, result in zip(peers, found, strict=True):
            if result is not None:
                peer.address = result[1]
        self._index()


def _moved(peer: _Peer | None, host: str, port: int) -> _Peer:
    return peer if peer is not None and (peer.host, peer.port) == (host, port) else _Peer(host, port)


def _text(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _bind(family: socket.AddressFamily, address: SocketAddress, wanted: tuple[str, int]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, SOCKET_PRIORITY)
        errqueue.enable(sock)
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise StartError(f"heartbeat address {_text(wanted)}: cannot bind: {error.strerror}") from error
    return sock
