"""Silence of the gateway is held against the node only where it has answered lately."""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hafailover.checks.echo import echo
from hafailover.daemon import gateway as module
from hafailover.daemon.gateway import LATELY_S, Gateway
from hafailover.election.values import GuardVerdict
from tests.unit.daemon.stage import until
from tests.unit.guest.namespace import ip, new_namespace

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S = 10.0
SILENCE_S = 0.3
DENY, PASS, UNKNOWN = GuardVerdict.DENY, GuardVerdict.PASS, GuardVerdict.UNKNOWN


class World:
    """A network of which the guard sees one gateway; its clock only moves by hand."""

    def __init__(self) -> None:
        self.route: str | None = "10.0.1.1"
        self.answer: bool | OSError = True
        self.now_s = 1000.0
        self.asked: list[str] = []

    def find(self, interface: str | None) -> str | None:
        assert interface == "eth0"
        return self.route

    async def ask(self, address: str, _timeout_s: float) -> bool:
        self.asked.append(address)
        if isinstance(self.answer, OSError):
            raise self.answer
        return self.answer

    def guard(self) -> Gateway:
        return Gateway("eth0", find=self.find, ask=self.ask, clock=lambda: self.now_s)


@pytest.fixture
def world() -> World:
    return World()


async def test_it_passes_while_the_gateway_answers_and_objects_when_it_no_longer_does(world: World) -> None:
    guard = world.guard()
    assert await guard.verdict(1) is PASS
    world.answer = False
    assert await guard.verdict(1) is DENY
    world.answer = True
    assert await guard.verdict(1) is PASS


async def test_a_gateway_that_never_answered_proves_nothing(world: World) -> None:
    world.answer = False
    assert await world.guard().verdict(1) is UNKNOWN


async def test_nor_does_one_that_has_not_answered_for_long(world: World) -> None:
    guard = world.guard()
    assert await guard.verdict(1) is PASS
    world.answer = False
    world.now_s += LATELY_S - 1
    assert await guard.verdict(1) is DENY
    world.now_s += 1
    assert await guard.verdict(1) is UNKNOWN


async def test_nor_one_that_has_another_address_now(world: World) -> None:
    guard = world.guard()
    assert await guard.verdict(1) is PASS
    world.route, world.answer = "10.0.2.1", False
    assert await guard.verdict(1) is UNKNOWN


async def test_a_route_that_is_gone_means_the_gateway_that_was(world: World) -> None:
    guard = world.guard()
    assert await guard.verdict(1) is PASS
    world.route, world.answer = None, False
    assert await guard.verdict(1) is DENY
    assert world.asked == ["10.0.1.1"] * 2


async def test_without_any_route_ever_it_does_not_know(world: World) -> None:
    world.route = None
    assert await world.guard().verdict(1) is UNKNOWN
    assert world.asked == []


async def test_what_may_not_be_asked_is_not_known(world: World) -> None:
    guard = world.guard()
    assert await guard.verdict(1) is PASS
    world.answer = PermissionError(1, "Operation not permitted")
    assert await guard.verdict(1) is UNKNOWN


async def test_it_is_asked_while_all_is_well(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ASKED_EVERY_S", 0.0)
    guard = world.guard()
    watching = asyncio.create_task(guard.watch())
    await until(lambda: len(world.asked) > 2)
    watching.cancel()
    world.answer = False
    assert await guard.verdict(1) is DENY


@pytest.mark.parametrize("answer", [False, PermissionError(1, "Operation not permitted")])
async def test_a_guard_that_is_blind_says_so_once(
    world: World,
    answer: bool | OSError,  # noqa: FBT001 - pytest's way
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(module, "ASKED_EVERY_S", 0.0)
    world.answer = answer
    watched = world.guard()
    watching = asyncio.create_task(watched.watch())
    await until(lambda: len(world.asked) > 3)
    assert capsys.readouterr().out.count("gateway_") == 1
    world.answer = True
    await until(lambda: watched._answered_at_s)
    await asyncio.sleep(0.01)
    world.answer, world.now_s = answer, world.now_s + LATELY_S
    asked = len(world.asked)
    await until(lambda: len(world.asked) > asked + 3)
    watching.cancel()
    assert capsys.readouterr().out.count("gateway_") == 1


def inside(process: subprocess.Popen[bytes], *words: str) -> None:
    """Run a command in the gateway's namespace."""
    argv = ("nsenter", "-t", str(process.pid), "-n", *words)
    subprocess.run(argv, check=True, capture_output=True, timeout=10)


def set_sysctl(name: str, value: str) -> None:
    subprocess.run(("sysctl", "-q", f"{name}={value}"), check=True, capture_output=True, timeout=10)


@contextmanager
def next_host() -> Iterator[subprocess.Popen[bytes]]:
    """Be in a namespace with eth0 and a default route to a gateway, which is another namespace."""
    with new_namespace(), subprocess.Popen(("unshare", "-n", "sleep", "300")) as process:
        try:
            own = Path("/proc/thread-self/ns/net").readlink()
            for _ in range(1000):
                if Path(f"/proc/{process.pid}/ns/net").readlink() != own and _runs(process, "sleep"):
                    break
                os.sched_yield()
            ip("link", "add", "eth0", "type", "veth", "peer", "name", "wire0", "netns", str(process.pid))
            ip("addr", "add", "10.0.1.17/24", "dev", "eth0")
            inside(process, "ip", "addr", "add", "10.0.1.1/24", "dev", "wire0")
            inside(process, "ip", "link", "set", "wire0", "up")
            ip("link", "set", "eth0", "up")
            ip("route", "add", "default", "via", "10.0.1.1")
            yield process
        finally:
            process.kill()


def _runs(process: subprocess.Popen[bytes], name: str) -> bool:
    return Path(f"/proc/{process.pid}/comm").read_text().strip() == name


@pytest.mark.lab
@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
async def test_what_a_raw_socket_hears_of_itself_is_no_answer() -> None:
    with new_namespace():
        ip("link", "set", "lo", "up")
        set_sysctl("net.ipv4.icmp_echo_ignore_all", "1")
        assert await echo("127.0.0.1", SILENCE_S) is False
        set_sysctl("net.ipv4.icmp_echo_ignore_all", "0")
        assert await echo("127.0.0.1", PATIENCE_S) is True


@pytest.mark.lab
@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
@pytest.mark.parametrize("group_range", ["1 0", "0 0"])  # by a raw socket, and by a datagram socket
async def test_a_real_gateway(group_range: str) -> None:
    with next_host() as process:
        set_sysctl("net.ipv4.ping_group_range", group_range)
        mute = ("sysctl", "-q", "net.ipv4.icmp_echo_ignore_all=1")
        inside(process, *mute)
        guard = Gateway(None)
        assert await guard.verdict(SILENCE_S) is UNKNOWN
        inside(process, *mute[:2], "net.ipv4.icmp_echo_ignore_all=0")
        assert await guard.verdict(PATIENCE_S) is PASS
        inside(process, *mute)
        assert await guard.verdict(SILENCE_S) is DENY
        inside(process, *mute[:2], "net.ipv4.icmp_echo_ignore_all=0")
        inside(process, "ip", "link", "set", "wire0", "down")
        assert await guard.verdict(SILENCE_S) is DENY
        inside(process, "ip", "link", "set", "wire0", "up")
        assert await guard.verdict(PATIENCE_S) is PASS
        ip("link", "set", "eth0", "down")  # takes the default route with it
        assert await guard.verdict(SILENCE_S) is DENY
