"""Real TCP connections from another network namespace, to an address that leaves."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from hafailover.errors import GuestError
from hafailover.guest import flows
from hafailover.guest.flows import close_flows
from hafailover.guest.interface import Interface
from hafailover.guest.message import Conversation
from tests.unit.guest.namespace import VIP, VIP6, Vpc, ip, new_vpc, sysctl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import Popen

    from hafailover.guest.netlink import Guest

ENI = "20:90:6f:00:0a:01"
PORT = 8000
# in a subnet of its own, and in that of the first card, where a strict filter drops most easily
ENIS = (
    Interface(ENI, ("10.0.2.5", "2001:db8:2::5"), 24, "10.0.2.1"),
    Interface(ENI, ("10.0.1.50", "2001:db8:1::50"), 24, "10.0.1.1"),
)
RESET, STALE = "ConnectionResetError", "TimeoutError"

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]


class Service:
    """Greets whoever connects to the node, by one socket for both families; it runs in the node's namespace."""

    def __init__(self) -> None:
        self._sock = socket.create_server(("", PORT), family=socket.AF_INET6, dualstack_ipv6=True)
        self._sock.settimeout(5)
        self.accepted: list[socket.socket] = []

    def greet(self) -> None:
        sock, _ = self._sock.accept()
        self.accepted.append(sock)
        sock.sendall(b"hello")

    def close(self) -> None:
        for sock in (*self.accepted, self._sock):
            sock.close()


@pytest.fixture
def service(node: None) -> Iterator[Service]:  # noqa: ARG001 - the service is that node's
    service = Service()
    yield service
    service.close()


@pytest.fixture
def vpc(node: None) -> Iterator[Vpc]:  # noqa: ARG001 - the VPC is that node's
    """A VPC with the node's first card and an ENI, and a node that filters strictly as some images do."""
    sysctl("ipv4/conf/all/rp_filter", "1")
    ip("link", "set", "wire0", "name", "wire-eth0")
    ip("link", "add", "eth2", "address", ENI, "type", "veth", "peer", "name", "wire-eth2")
    ip("addr", "add", "2001:db8:1::17/64", "dev", "eth0", "nodad")
    ip("-6", "route", "add", "default", "via", Vpc.GATEWAY6, "dev", "eth0")
    with new_vpc() as vpc:
        vpc.bind("eth0", "10.0.1.17", VIP, "2001:db8:1::17", VIP6)
        yield vpc


def connect(vpc: Vpc, service: Service, address: str) -> Popen[str]:
    client = vpc.client(address, PORT)
    try:
        service.greet()
    except TimeoutError:
        pytest.fail(f"{address} does not answer: the client says {end_of(client)}")
    assert client.stdout is not None
    assert client.stdout.readline() == "hello\n"
    return client


def end_of(client: Popen[str]) -> str:
    return client.communicate(timeout=10)[0].strip()


def assert_answers(vpc: Vpc, service: Service, address: str) -> None:
    client = connect(vpc, service, address)
    service.accepted[-1].close()
    assert end_of(client) == "closed"


@pytest.mark.parametrize("address", [VIP, VIP6])
async def test_a_client_of_a_disarmed_address_sees_a_reset(
    guest: Guest, vpc: Vpc, service: Service, address: str
) -> None:
    await guest.arm(address, await guest.find_link(name="eth0"))
    client = connect(vpc, service, address)
    await guest.disarm(address)
    assert end_of(client) == RESET
    with pytest.raises(ConnectionAbortedError):
        service.accepted[0].recv(1)


async def test_what_is_asked_for_later_comes_later(guest: Guest, vpc: Vpc, service: Service) -> None:
    link = await guest.find_link(name="eth0")
    await guest.arm(VIP, link)
    await guest.plug(ENIS[0], deadline_s=5)
    client = connect(vpc, service, VIP)
    leaving = [asyncio.create_task(guest.disarm(VIP)), asyncio.create_task(guest.unplug(ENI))]
    await asyncio.sleep(0)
    await guest.plug(ENIS[0], deadline_s=5)
    await guest.arm(VIP, link)
    await asyncio.gather(*leaving)
    assert end_of(client) == RESET
    assert await guest.present([VIP]) == {VIP}
    assert await guest.plugged([ENI]) == {ENI}


async def test_an_address_that_may_not_leave_keeps_its_connections(
    guest: Guest, vpc: Vpc, service: Service
) -> None:
    ip("addr", "add", "10.0.1.18/24", "dev", "eth0")  # hangs on the node's first
    client = connect(vpc, service, "10.0.1.17")
    with pytest.raises(GuestError, match=r"would remove 10\.0\.1\.18 too"):
        await guest.disarm("10.0.1.17")
    service.close()
    assert end_of(client) == "closed"


async def test_no_reset_leaves_after_an_address_is_off(guest: Guest, vpc: Vpc, service: Service) -> None:
    await guest.arm(VIP, await guest.find_link(name="eth0"))
    client = connect(vpc, service, VIP)
    ip("addr", "del", f"{VIP}/32", "dev", "eth0")
    assert await close_flows(VIP) == 1
    assert end_of(client) == STALE


@pytest.mark.parametrize("interface", ENIS, ids=["own-subnet", "same-subnet"])
@pytest.mark.parametrize("which", [0, 1], ids=["IPv4", "IPv6"])
async def test_an_eni_answers_until_it_is_unplugged_and_its_clients_see_a_reset(
    guest: Guest, vpc: Vpc, service: Service, interface: Interface, which: int
) -> None:
    vpc.bind("eth2", *interface.addresses)
    await guest.plug(interface, deadline_s=5)
    client = connect(vpc, service, interface.addresses[which])
    await guest.unplug(ENI)
    assert end_of(client) == RESET
    assert end_of(vpc.client(interface.addresses[which], PORT)) in (STALE, "OSError")
    await guest.plug(interface, deadline_s=5)
    assert_answers(vpc, service, interface.addresses[which])


async def test_without_its_rules_an_eni_does_not_answer(guest: Guest, vpc: Vpc, service: Service) -> None:
    vpc.bind("eth2", *ENIS[0].addresses)
    await guest.plug(ENIS[0], deadline_s=5)
    ip("rule", "del", "from", "10.0.2.5")
    sysctl("ipv4/conf/all/rp_filter", "0")
    sysctl("ipv4/conf/eth2/rp_filter", "0")
    assert end_of(vpc.client("10.0.2.5", PORT)) == STALE  # it goes out by eth0, and the VPC drops it
    await guest.plug(ENIS[0], deadline_s=5)
    assert_answers(vpc, service, "10.0.2.5")


@pytest.mark.parametrize("interface", ENIS, ids=["own-subnet", "same-subnet"])
@pytest.mark.parametrize("which", [0, 1], ids=["IPv4", "IPv6"])
async def test_an_address_on_a_nodes_own_secondary_eni_answers_by_it(
    guest: Guest, vpc: Vpc, service: Service, interface: Interface, which: int
) -> None:
    vpc.bind("eth2", *interface.addresses)
    ip("link", "set", "eth2", "up")
    address, link = interface.addresses[which], await guest.find_link(mac=ENI)
    if which == 0:  # what comes from another card is not dropped by this VPC where it is IPv6
        await guest.arm(address, link)
        assert end_of(vpc.client(address, PORT)) == STALE  # as it would be done on the primary one
    await guest.arm(address, link, replace(interface, own=True))
    client = connect(vpc, service, address)
    await guest.disarm(address)
    assert end_of(client) == RESET
    await guest.arm(address, link, replace(interface, own=True))
    assert_answers(vpc, service, address)
    assert_answers(vpc, service, "10.0.1.17")


async def test_only_the_connections_of_the_address_are_ended(guest: Guest, vpc: Vpc, service: Service) -> None:
    await guest.arm(VIP, await guest.find_link(name="eth0"))
    clients = [connect(vpc, service, address) for address in (VIP, "10.0.1.17", VIP, "2001:db8:1::17")]
    assert await close_flows(VIP) == 2
    assert await close_flows(VIP) == 0
    assert await close_flows(VIP6) == 0
    assert [end_of(client) for client in (clients[0], clients[2])] == [RESET, RESET]
    for sock in service.accepted[1::2]:
        sock.close()
    assert [end_of(client) for client in (clients[1], clients[3])] == ["closed", "closed"]
    assert_answers(vpc, service, VIP)  # who listens goes on


async def test_an_ipv4_socket_is_found_as_one_of_both_families_is(guest: Guest) -> None:
    await guest.arm(VIP, await guest.find_link(name="eth0"))
    with (
        socket.create_server((VIP, PORT)) as server,
        socket.create_connection((VIP, PORT), 3) as client,
    ):
        accepted, _ = server.accept()
        assert await close_flows(VIP) >= 1  # both ends are here: the first takes the other with it
        with accepted, pytest.raises(OSError, match=r"abort|reset"):
            accepted.recv(1)
        with pytest.raises(OSError, match=r"abort|reset"):
            client.recv(1)


async def test_no_more_are_ended_at_once_than_is_bounded(
    guest: Guest, vpc: Vpc, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    await guest.arm(VIP, await guest.find_link(name="eth0"))
    clients = [connect(vpc, service, VIP) for _ in range(3)]
    monkeypatch.setattr(flows, "MOST_FLOWS", 2)
    assert await close_flows(VIP) == 2
    assert await close_flows(VIP) == 1
    assert [end_of(client) for client in clients] == [RESET] * 3


async def test_many_connections_are_ended_in_time(guest: Guest) -> None:
    await guest.arm(VIP, await guest.find_link(name="eth0"))
    sysctl("core/somaxconn", "1000")
    with socket.create_server((VIP, PORT), backlog=1000):
        clients = [socket.create_connection((VIP, PORT), 3) for _ in range(300)]
        assert await close_flows(VIP) >= 300
        assert await close_flows(VIP) == 0
        for client in clients:
            client.close()


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.EOPNOTSUPP, "the kernel cannot do that (CONFIG_INET_DIAG_DESTROY"),
        (errno.EPERM, "CAP_NET_ADMIN is missing"),
        (errno.EINVAL, "Invalid argument"),
    ],
)
async def test_a_kernel_that_refuses_is_said_once_and_the_address_comes_off(
    guest: Guest, monkeypatch: pytest.MonkeyPatch, number: int, text: str
) -> None:
    async def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    link = await guest.find_link(name="eth0")
    await guest.arm(VIP, link)
    with socket.create_server((VIP, PORT)), socket.create_connection((VIP, PORT), 3), capture_logs() as logs:
        monkeypatch.setattr(Conversation, "order", refuse)
        with pytest.raises(GuestError, match=re.escape(f"cannot end connections: {text}")):
            await close_flows(VIP)
        for _ in range(2):
            await guest.disarm(VIP)
            assert await guest.present([VIP]) == frozenset()
            await guest.arm(VIP, link)
    said = [entry for entry in logs if entry["event"] == "connections_not_ended"]
    assert [(entry["address"], entry["log_level"]) for entry in said] == [(VIP, "warning")]


async def test_ends_in_time_where_the_kernel_does_not_answer(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "DEADLINE_S", 0.05)
    monkeypatch.setattr(Conversation, "dump", lambda *_: asyncio.sleep(30))
    with pytest.raises(GuestError, match=r"cannot end all connections in 0\.05 s"):
        await close_flows(VIP)
    await guest.disarm(VIP)


async def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match="'vip' does not appear to be an IPv4 or IPv6 address"):
        await close_flows("vip")
