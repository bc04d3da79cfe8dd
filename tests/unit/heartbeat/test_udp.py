from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import time
from typing import TYPE_CHECKING

import pytest

from hafailover.election.events import AdvertReceived, Event, PeerRefused
from hafailover.election.values import Advert, GroupAdvert, GroupName, Leaving, NodeName, State
from hafailover.errors import StartError
from hafailover.heartbeat import errqueue, udp
from hafailover.heartbeat.errqueue import QueuedError
from hafailover.heartbeat.udp import UdpPath
from hafailover.heartbeat.wire import Reject
from tests import ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from hafailover.heartbeat.path import Path

A, B, C = NodeName("a"), NodeName("b"), NodeName("c")
KEY = b"k" * 32
SILENT_US = 500_000
GROUPS = tuple(GroupName(f"g{number}") for number in range(100))
LOOPBACK = "127.0.0.1"


def advert(node: NodeName, count: int = 1) -> Advert:
    groups = tuple(GroupAdvert(name, State.BACKUP, 1, 100, eligible=True) for name in GROUPS[:count])
    return Advert(node, b"digest!!", 1_000, Leaving.NO, False, (), groups)


def free_port(host: str = LOOPBACK) -> int:
    return ports.free(socket.SOCK_DGRAM, host)


def clock_us() -> int:
    return time.monotonic_ns() // 1_000


async def until(met: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not met():  # noqa: ASYNC110 - what is waited for is in the kernel
            await asyncio.sleep(0.002)


class Node:
    """A path on loopback and what it has delivered."""

    def __init__(
        self, me: NodeName, address: tuple[str, int], peers: dict[NodeName, tuple[str, int]], key: bytes
    ) -> None:
        self.me = me
        self.events: list[Event] = []
        self.path = UdpPath(
            me=me,
            cluster="web",
            address=address,
            peers=peers,
            groups=GROUPS,
            keys=[key],
            deliver=self.events.append,
            clock_us=clock_us,
            boot_id=os.urandom(8),
            silent_after_us=SILENT_US,
        )

    def send(self, count: int = 1) -> None:
        self.path.send(advert(self.me, count))

    @property
    def sure(self) -> bool:
        return any(isinstance(event, AdvertReceived) and event.confirmed for event in self.events)

    @property
    def refusals(self) -> int:
        return self.events.count(PeerRefused(B)) + self.events.count(PeerRefused(A))


class Lab:
    """Makes paths and closes them all at the end."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []

    async def node(
        self, me: NodeName, address: tuple[str, int], peers: dict[NodeName, tuple[str, int]], key: bytes = KEY
    ) -> Node:
        node = Node(me, address, peers, key)
        self.nodes.append(node)
        await node.path.open()
        return node

    async def pair(self, host: str = LOOPBACK, key_of_b: bytes = KEY) -> tuple[Node, Node]:
        at_a, at_b = (host, free_port(host)), (host, free_port(host))
        return await self.node(A, at_a, {B: at_b}), await self.node(B, at_b, {A: at_a}, key_of_b)


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    made = Lab()
    yield made
    for node in made.nodes:
        node.path.close()


@pytest.mark.parametrize("host", [LOOPBACK, "::1"])
async def test_two_paths_are_sure_of_each_other_after_one_advert_of_each(lab: Lab, host: str) -> None:
    a, b = await lab.pair(host)
    a.send()
    b.send()
    await until(lambda: a.sure and b.sure)
    (stats,) = a.path.stats()
    assert stats.peer == B
    assert stats.confirmed
    assert stats.rtt_s is not None
    assert 0 <= stats.rtt_s < 5
    assert stats.last_seen_s is not None
    assert 0 <= stats.last_seen_s < 5
    assert (stats.loss, stats.send_errors, stats.foreign_source) == (0.0, 0, 0)
    assert stats.sent >= 1
    assert stats.received >= 2
    assert a.path.rejected == {}


async def test_a_peer_never_heard_has_no_figures(lab: Lab) -> None:
    a, _ = await lab.pair()
    (stats,) = a.path.stats()
    assert (stats.last_seen_s, stats.rtt_s, stats.rtt_last_s, stats.loss) == (None, None, None, 0.0)
    assert not stats.confirmed


@pytest.mark.parametrize("host", [LOOPBACK, "::1"])
async def test_a_peer_whose_daemon_is_gone_is_reported_and_others_are_still_reached(lab: Lab, host: str) -> None:
    at_a, at_b, at_c = ((host, free_port(host)) for _ in range(3))
    a = await lab.node(A, at_a, {B: at_b, C: at_c})
    c = await lab.node(C, at_c, {A: at_a, B: at_b})
    for _ in range(5):
        a.send()
        await asyncio.sleep(0.005)
    await until(lambda: PeerRefused(B) in a.events)
    await until(lambda: len(c.events) >= 5)
    refused, reached = a.path.stats()
    assert refused.refused >= 1
    assert reached.refused == 0
    assert reached.send_errors == 0


async def test_a_flood_of_garbage_does_not_stop_delivery(lab: Lab) -> None:
    a, b = await lab.pair()
    b.send()
    a.send()
    await until(lambda: a.sure and b.sure)
    before = len(a.events)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as flooder:
        for _ in range(50):
            for size in (0, 10, 145, 145, 1400, 1500):
                with contextlib.suppress(BlockingIOError):
                    flooder.sendto(os.urandom(size), a.path.local_address)
            b.send()
            await asyncio.sleep(0)
        await until(lambda: len(a.events) >= before + 50)
    rejected = a.path.rejected
    assert set(rejected) == {Reject.TOO_SHORT, Reject.TOO_LONG, Reject.BAD_MAGIC}
    assert rejected[Reject.TOO_LONG] == 50


async def test_one_turn_of_the_loop_takes_a_bounded_number(lab: Lab) -> None:
    a, b = await lab.pair()
    for _ in range(udp.DATAGRAMS_PER_TURN * 2):
        b.send()
    await asyncio.sleep(0)
    a.events.clear()
    a.path._on_readable()
    assert 0 < len(a.events) <= udp.DATAGRAMS_PER_TURN


async def test_a_wrong_key_is_counted_and_nothing_is_delivered(lab: Lab) -> None:
    a, b = await lab.pair(key_of_b=b"x" * 32)
    b.send()
    await until(lambda: a.path.rejected[Reject.BAD_MAC] == 1)
    assert a.events == []


async def test_many_groups_arrive_in_several_datagrams(lab: Lab) -> None:
    a, b = await lab.pair()
    b.send(count=100)
    await until(lambda: len(a.events) == 3)
    names = [
        group.group for event in a.events if isinstance(event, AdvertReceived) for group in event.advert.groups
    ]
    assert names == list(GROUPS)


async def test_datagrams_leave_from_the_configured_port_and_another_source_is_counted(lab: Lab) -> None:
    a, b = await lab.pair()
    b.send()
    await until(lambda: a.events)
    a.path.configure(peers={B: (LOOPBACK, free_port())}, groups=GROUPS, keys=[KEY], silent_after_us=SILENT_US)
    b.send()
    await until(lambda: a.path.stats()[0].foreign_source == 1)
    assert len(a.events) == 2


async def test_a_reload_goes_on_with_the_same_socket_and_sessions(lab: Lab) -> None:
    a, b = await lab.pair()
    a.send()
    b.send()
    await until(lambda: a.sure and b.sure)
    a.path.configure(
        peers={B: b.path.local_address}, groups=GROUPS[:1], keys=[b"n" * 32, KEY], silent_after_us=SILENT_US
    )
    b.path.configure(
        peers={A: a.path.local_address}, groups=GROUPS, keys=[KEY, b"n" * 32], silent_after_us=SILENT_US
    )
    a.events.clear()
    b.events.clear()
    a.send()
    b.send()
    await until(lambda: a.events and b.events)
    assert all(isinstance(event, AdvertReceived) and event.confirmed for event in [*a.events, *b.events])


async def test_a_reload_that_cannot_work_changes_nothing(lab: Lab) -> None:
    a, b = await lab.pair()
    with pytest.raises(StartError, match="'b': ::1 is of another family"):
        a.path.configure(peers={B: ("::1", 1)}, groups=GROUPS, keys=[KEY], silent_after_us=SILENT_US)
    with pytest.raises(StartError, match="keys"):
        a.path.configure(peers={}, groups=GROUPS, keys=[], silent_after_us=SILENT_US)
    b.send()
    await until(lambda: a.events)
    assert [stats.peer for stats in a.path.stats()] == [B]


async def test_a_second_daemon_on_the_port_does_not_start(lab: Lab) -> None:
    a, _ = await lab.pair()
    second = Node(C, a.path.local_address, {}, KEY)
    host, port = a.path.local_address
    with pytest.raises(StartError, match=f"{host}:{port}: cannot bind: Address already in use"):
        await second.path.open()
    second.path.close()


async def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(StartError, match=r"\[2001:db8::1\]:7: cannot bind"):
        await Node(A, ("2001:db8::1", 7), {}, KEY).path.open()


async def test_an_own_name_without_an_address_is_named() -> None:
    with pytest.raises(StartError, match="no such name:7: the name has no address"):
        await Node(A, ("no such name", 7), {}, KEY).path.open()


async def test_a_peer_of_another_family_stops_the_start() -> None:
    with pytest.raises(StartError, match=r"node 'b': ::1 is of another family than .* 127\.0\.0\.1:0"):
        await Node(A, (LOOPBACK, 0), {B: ("::1", 7)}, KEY).path.open()


async def test_a_peer_given_by_name_is_reached_once_it_resolves(lab: Lab) -> None:
    at_b = (LOOPBACK, free_port())
    b = await lab.node(B, at_b, {A: (LOOPBACK, 9)})
    a = await lab.node(A, (LOOPBACK, 0), {B: ("localhost", at_b[1])})
    a.send()  # nowhere yet: the start does not wait for DNS
    assert a.path.stats()[0].sent == 0
    await until(lambda: a.path._peers[B].address is not None)
    a.send()
    await until(lambda: b.events)


async def test_a_name_that_does_not_resolve_is_asked_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def answer(host: str, *_args: object, **_options: object) -> list[object]:
        asked.append(host)
        if len(asked) == 1:
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return [(socket.AF_INET, socket.SOCK_DGRAM, 0, "", (LOOPBACK, len(asked)))]

    monkeypatch.setattr(udp, "RERESOLVE_S", 0.001)
    monkeypatch.setattr(udp, "RERESOLVE_UNKNOWN_S", 0.001)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", answer)
    a = await lab.node(A, (LOOPBACK, 0), {B: ("peer.example", 7)})
    await until(lambda: len(asked) >= 3)
    address = a.path._peers[B].address
    assert address is not None
    assert address[1] >= 2


async def test_what_the_network_refuses_is_counted_and_never_raised(lab: Lab) -> None:
    a = await lab.node(A, (LOOPBACK, 0), {B: ("192.0.2.1", 7)})  # from loopback: no such route
    a.send()
    assert a.path.stats()[0].send_errors == 1
    assert sum(a.path.send_error_codes.values()) == 1
    assert set(a.path.send_error_codes) <= {errno.errorcode[errno.EINVAL], errno.errorcode[errno.ENETUNREACH]}


async def test_an_error_that_is_no_refusal_by_the_peer_is_counted_only(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only a router could report these on a real network, so the kernel's queue is played.
    a, b = await lab.pair()
    target = b.path.local_address
    queue = [
        QueuedError(target, errno.EHOSTUNREACH, LOOPBACK),
        QueuedError(target, errno.ECONNREFUSED, "192.0.2.1"),
        QueuedError(("192.0.2.9", 1), errno.ECONNREFUSED, "192.0.2.9"),
        QueuedError(target, 0, ""),
    ]
    monkeypatch.setattr(errqueue, "take", lambda _sock: queue.pop(0) if queue else None)
    a.path._on_readable()
    assert a.events == []
    assert a.path.send_error_codes == {"EHOSTUNREACH": 1, "ECONNREFUSED": 1, "OTHER": 1}
    (stats,) = a.path.stats()
    assert (stats.refused, stats.send_errors) == (0, 3)


async def test_a_closed_path_is_quiet(lab: Lab) -> None:
    a, b = await lab.pair()
    a.path.close()
    a.path.close()
    a.send()
    a.path._on_readable()
    b.send()
    await until(lambda: PeerRefused(A) in b.events)
    assert a.events == []


async def test_it_is_a_path(lab: Lab) -> None:
    a, _ = await lab.pair()
    path: Path = a.path
    assert path.name == "udp"
