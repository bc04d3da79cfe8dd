"""Secondary ENIs on the real kernel, in a network namespace that each test has for itself."""

from __future__ import annotations

import asyncio
import itertools
import os
import select
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from hafailover.errors import GuestError
from hafailover.guest.changes import Changes
from hafailover.guest.interface import Interface
from hafailover.guest.netlink import Guest
from tests.unit.guest.namespace import ENI, ENI_TABLE, addresses, attach, ip, is_up, routes, rules, sysctl

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

TABLE = ENI_TABLE
OTHER, OTHER_TABLE = "20:90:6f:00:0a:02", "1275070978"
WANTED = Interface(ENI, ("10.0.2.5", "10.0.2.6", "2001:db8:2::5"), 24, "10.0.2.1")
SECOND = Interface(OTHER, ("10.0.2.7",), 24, "10.0.2.1")
SOON_S = 5.0
RULES = tuple(f"7694: from {address} lookup {TABLE} proto 76" for address in WANTED.addresses)
ROUTES = (
    "10.0.2.0/24 dev eth2 proto 76 scope link",
    "default via 10.0.2.1 dev eth2 proto 76",
    "default via fe80::feee:ffff:feff:ffff dev eth2 proto 76 metric 1024 pref medium",
)

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]


def assert_set_up() -> None:
    assert is_up()
    assert sorted(addresses("eth2")) == ["10.0.2.5/32", "10.0.2.6/32"]
    assert addresses("eth2", "-6") == ["2001:db8:2::5/128"]
    assert rules() == RULES
    assert routes() == ROUTES
    assert not [line for line in routes("main") if "eth2" in line]


def assert_taken_off() -> None:
    assert (rules(), routes()) == ((), ())
    assert not is_up()
    assert addresses("eth2") == addresses("eth2", "-6") == []


@contextmanager
def told() -> Iterator[list[str]]:
    """Yield what the kernel tells of, without IPv6's link-local news; it is filled in when this ends."""
    argv = ("stdbuf", "-oL", "ip", "monitor", "address", "route", "rule")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as monitor:
        assert monitor.stdout is not None
        while not select.select([monitor.stdout], [], [], 0.1)[0]:
            ip("addr", "replace", "192.0.2.1", "dev", "eth1")  # until it is heard
        seen: list[str] = []
        try:
            yield seen
        finally:
            ip("addr", "add", "192.0.2.2", "dev", "eth1")
            heard = itertools.takewhile(lambda line: "192.0.2.2" not in line, monitor.stdout)
            seen.extend(line for line in heard if "fe80:" not in line and "ff00:" not in line)
            monitor.terminate()


async def test_sets_up_an_eni_and_leaves_the_main_table_alone(guest: Guest) -> None:
    attach()
    before = routes("main")
    await guest.plug(WANTED, deadline_s=SOON_S)
    assert_set_up()
    assert routes("main") == before
    assert await guest.plugged([ENI, OTHER]) == {ENI}


async def test_the_answers_of_each_address_leave_by_the_eni(guest: Guest) -> None:
    attach()
    await guest.plug(WANTED, deadline_s=SOON_S)
    for source, target, way in (
        ("10.0.2.5", "203.0.113.5", "via 10.0.2.1 dev eth2"),
        ("10.0.2.6", "10.0.2.77", "dev eth2"),
        ("10.0.1.17", "10.0.2.77", "via 10.0.1.1 dev eth0"),
        ("2001:db8:2::5", "2001:db8:2::77", "via fe80::feee:ffff:feff:ffff dev eth2"),
    ):
        assert way in ip("route", "get", target, "from", source)
    assert "src 10.0.1.17" in ip("route", "get", "203.0.113.5")


async def test_changes_nothing_where_all_is_so_already(guest: Guest) -> None:
    attach()
    await guest.plug(WANTED, deadline_s=SOON_S)
    await asyncio.sleep(0.2)  # the kernel's own news of a new card
    with told() as seen:
        await guest.plug(WANTED, deadline_s=SOON_S)
    assert [line for line in seen if "eth2" in line or TABLE in line] == []
    assert_set_up()


async def test_waits_for_a_link_that_comes_late(guest: Guest) -> None:
    plugging = asyncio.create_task(guest.plug(WANTED, deadline_s=SOON_S))
    await asyncio.sleep(0.2)
    assert not plugging.done()
    # made elsewhere and moved here, as one that appears with all that it has
    there = f"ip link add eth2 address {ENI} type veth peer name wire && ip link set eth2 netns {os.getpid()}"
    moving = await asyncio.create_subprocess_exec("unshare", "--net", "sh", "-c", f"{there} && exec sleep 30")
    await plugging
    assert_set_up()
    moving.kill()
    await moving.wait()


async def test_says_which_link_has_not_come(guest: Guest) -> None:
    with pytest.raises(GuestError, match=rf"MAC address {ENI}: it has not come within 0\.2 s; is the ENI attached"):
        await guest.plug(WANTED, deadline_s=0.2)
    attach()
    assert await guest.plugged([ENI]) == frozenset()
    assert rules() == ()


async def test_does_not_set_up_what_was_unplugged_while_it_was_waited_for(guest: Guest) -> None:
    plugging = asyncio.create_task(guest.plug(WANTED, deadline_s=SOON_S))
    await asyncio.sleep(0.1)
    await guest.unplug(ENI)
    attach()
    with pytest.raises(GuestError, match="it was to be taken off"):
        await plugging
    assert rules() == ()


@pytest.mark.parametrize(("all_cards", "card"), [("1", "0"), ("0", "1"), ("1", "1")])
async def test_a_strict_reverse_path_filter_becomes_loose(guest: Guest, all_cards: str, card: str) -> None:
    attach()
    sysctl("ipv4/conf/all/rp_filter", all_cards)
    sysctl("ipv4/conf/eth2/rp_filter", card)
    await guest.plug(WANTED, deadline_s=SOON_S)
    assert sysctl("ipv4/conf/eth2/rp_filter") == "2"
    assert sysctl("ipv4/conf/all/rp_filter") == all_cards


@pytest.mark.parametrize(("all_cards", "card"), [("0", "0"), ("2", "0"), ("2", "1")])
async def test_a_reverse_path_filter_that_is_not_strict_stays(guest: Guest, all_cards: str, card: str) -> None:
    attach()
    sysctl("ipv4/conf/all/rp_filter", all_cards)
    sysctl("ipv4/conf/eth2/rp_filter", card)
    await guest.plug(WANTED, deadline_s=SOON_S)
    assert sysctl("ipv4/conf/eth2/rp_filter") == card


AS_IN_THE_UNIT = """
import asyncio
from pathlib import Path
from hafailover.guest.interface import Interface
from hafailover.guest.netlink import Guest

async def main():
    guest = Guest()
    await guest.open()
    await guest.plug(Interface("20:90:6f:00:0a:01", ("10.0.2.5",), 24, "10.0.2.1"), deadline_s=5)
    await guest.close()

asyncio.run(main())
try:
    Path("/proc/sys/net/ipv4/conf/eth2/rp_filter").write_text("1")
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.usefixtures("node")
def test_needs_no_more_than_the_unit_allows() -> None:
    attach()
    sysctl("ipv4/conf/eth2/rp_filter", "1")
    # ProtectKernelTunables= and AmbientCapabilities=CAP_NET_ADMIN
    protect = 'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"'
    allowed = ("setpriv", "--bounding-set=-all,+net_admin", "--inh-caps=-all,+net_admin", "--no-new-privs")
    argv = ("unshare", "--mount", "sh", "-c", protect, "sh", *allowed, sys.executable, "-c", AS_IN_THE_UNIT)
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Read-only file system\n", "")
    assert sysctl("ipv4/conf/eth2/rp_filter") == "2"


async def test_takes_the_connected_routes_of_others_out_of_the_main_table(guest: Guest) -> None:
    attach(ENI, "eth2", "10.0.2.5/24", "2001:db8:2::5/64")  # its routes come when it is set up
    await guest.plug(WANTED, deadline_s=SOON_S)
    assert not [line for line in routes("main") if "eth2" in line]
    assert addresses("eth2") == ["10.0.2.5/24", "10.0.2.6/32"]


def _wrong_table() -> None:
    ip("rule", "del", "from", "10.0.2.5", "table", TABLE)
    ip("rule", "add", "from", "10.0.2.5", "table", "77", "protocol", "76", "priority", "5")


def _wrong_gateway() -> None:
    ip("route", "replace", "default", "via", "10.0.2.9", "dev", "eth2", "table", TABLE, "protocol", "76")


def _more_routes() -> None:
    ip("route", "add", "192.0.2.0/24", "via", "10.0.2.9", "dev", "eth2", "table", TABLE)


DAMAGE: tuple[Callable[[], object], ...] = (
    _wrong_table,
    _wrong_gateway,
    _more_routes,
    lambda: ip("rule", "del", "from", "10.0.2.6", "table", TABLE),
    lambda: ip("-6", "rule", "del", "from", "2001:db8:2::5", "table", TABLE),
    lambda: ip("route", "flush", "table", TABLE),
    lambda: ip("-6", "route", "flush", "table", TABLE),
    lambda: ip("addr", "del", "10.0.2.6/32", "dev", "eth2"),
    lambda: ip("-6", "addr", "del", "2001:db8:2::5/128", "dev", "eth2"),
    lambda: ip("link", "set", "eth2", "down"),
    lambda: ip("addr", "flush", "dev", "eth2"),
    lambda: sysctl("ipv4/conf/eth2/rp_filter", "1"),
)


@pytest.mark.parametrize("damage", DAMAGE)
async def test_puts_right_what_differs(guest: Guest, damage: Callable[[], object]) -> None:
    attach()
    await guest.plug(WANTED, deadline_s=SOON_S)
    damage()
    assert await guest.plugged([ENI]) == frozenset()
    await guest.plug(WANTED, deadline_s=SOON_S)
    assert_set_up()
    assert await guest.plugged([ENI]) == {ENI}


async def test_takes_off_an_address_that_the_eni_has_no_more(guest: Guest) -> None:
    attach()
    await guest.plug(replace(WANTED, addresses=(*WANTED.addresses, "10.0.2.8")), deadline_s=SOON_S)
    assert "10.0.2.8/32" in addresses("eth2")
    ip("addr", "add", "192.0.2.1/32", "dev", "eth2")  # somebody else's stays
    await guest.plug(WANTED, deadline_s=SOON_S)
    assert sorted(addresses("eth2")) == ["10.0.2.5/32", "10.0.2.6/32", "192.0.2.1/32"]
    assert rules() == RULES


async def test_takes_an_eni_off_while_it_is_still_there(guest: Guest) -> None:
    attach(ENI, "eth2", "10.0.2.5/24", "10.0.2.99/24")
    await guest.plug(WANTED, deadline_s=SOON_S)
    main = routes("main")
    for _ in range(2):
        await guest.unplug(ENI)
        assert_taken_off()
    assert routes("main") == main
    assert addresses("eth0") == ["10.0.1.17/24"]
    assert await guest.plugged([ENI]) == frozenset()
    await guest.plug(WANTED, deadline_s=SOON_S)
    assert_set_up()


async def test_takes_off_what_stays_when_the_link_has_left(guest: Guest) -> None:
    attach()
    attach(OTHER, "eth3")
    await guest.plug(WANTED, deadline_s=SOON_S)
    await guest.plug(SECOND, deadline_s=SOON_S)
    ip("link", "del", "eth2")
    assert set(rules()) > set(RULES)
    await guest.unplug(ENI)
    assert rules() == (f"7694: from 10.0.2.7 lookup {OTHER_TABLE} proto 76",)
    assert await guest.plugged([OTHER]) == {OTHER}


async def test_another_process_knows_the_enis_of_a_dead_one(guest: Guest) -> None:
    attach()
    attach(OTHER, "eth3")
    await guest.plug(WANTED, deadline_s=SOON_S)
    await guest.plug(SECOND, deadline_s=SOON_S)
    later = Guest()
    await later.open()
    assert await later.plugged([ENI, OTHER]) == {ENI, OTHER}
    ip("addr", "del", "10.0.2.7/32", "dev", "eth3")
    ip("route", "del", "default", "table", TABLE)
    assert await later.plugged([ENI, OTHER]) == frozenset()
    await later.close()
    await asyncio.sleep(0)


async def test_takes_off_all_but_what_is_to_be_kept(guest: Guest) -> None:
    attach()
    attach(OTHER, "eth3")
    await guest.plug(WANTED, deadline_s=SOON_S)
    await guest.plug(SECOND, deadline_s=SOON_S)
    ip("rule", "add", "from", "10.0.2.9", "table", "1275070999", "protocol", "76")  # its link is long gone
    later = Guest()
    await later.open()
    await later.unplug_others([OTHER])
    assert (is_up(), addresses("eth2"), addresses("eth2", "-6"), routes()) == (False, [], [], ())
    assert rules() == (f"7694: from 10.0.2.7 lookup {OTHER_TABLE} proto 76",)
    assert await guest.plugged([OTHER]) == {OTHER}
    await later.unplug_others()
    assert rules() == ()
    assert not is_up("eth3")
    assert is_up("eth0")
    await later.close()
    await asyncio.sleep(0)


async def test_a_link_that_only_looks_like_an_eni_is_left_alone(guest: Guest) -> None:
    attach("52:54:00:00:0a:01", "eth3", "10.0.3.17/24")  # the same low bits, but nothing of ours
    ip("link", "set", "eth3", "up")
    ip("rule", "add", "from", "10.0.2.5", "table", TABLE, "protocol", "76")
    await guest.unplug_others()
    await guest.unplug(ENI)
    assert rules() == ()
    assert (is_up("eth3"), addresses("eth3")) == (True, ["10.0.3.17/24"])


async def test_two_enis_do_not_share_a_table(guest: Guest) -> None:
    attach()
    await guest.plug(WANTED, deadline_s=SOON_S)
    with pytest.raises(GuestError, match=rf"52:54:00:00:0a:01 and {ENI} would share route table {TABLE}"):
        await guest.plug(replace(WANTED, mac="52:54:00:00:0a:01"), deadline_s=SOON_S)


async def test_two_links_of_one_mac_address_are_not_guessed_at(guest: Guest) -> None:
    for name in ("eth2", "eth3"):
        ip("link", "add", name, "address", ENI, "type", "bridge")
    with pytest.raises(GuestError, match=rf"more than one interface with the MAC address {ENI}: eth"):
        await guest.plug(WANTED, deadline_s=SOON_S)


@pytest.fixture
async def changes(guest: Guest) -> AsyncIterator[asyncio.Queue[str]]:
    """What `watch` tells, of an ENI that is set up."""
    attach()
    await guest.plug(WANTED, deadline_s=SOON_S)
    queue: asyncio.Queue[str] = asyncio.Queue()
    watching = asyncio.create_task(guest.watch(queue.put_nowait))
    await asyncio.sleep(0.2)
    assert queue.empty()
    yield queue
    watching.cancel()


TOLD_AT_ONCE = tuple(damage for number, damage in enumerate(DAMAGE) if number not in (1, 2, 5, 6))


@pytest.mark.parametrize("damage", [*TOLD_AT_ONCE, lambda: ip("link", "del", "eth2")])
async def test_tells_of_an_eni_that_lost_something(
    changes: asyncio.Queue[str], damage: Callable[[], object]
) -> None:
    damage()
    async with asyncio.timeout(10):
        assert await changes.get() == ENI


async def test_tells_of_lost_routes_when_it_looks_again(
    guest: Guest, changes: asyncio.Queue[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ip("route", "flush", "table", TABLE)
    await asyncio.sleep(0.2)
    assert changes.empty()
    monkeypatch.setattr("hafailover.guest.netlink._CHECKED_AGAIN_S", 0.1)
    watching = asyncio.create_task(guest.watch(changes.put_nowait))
    async with asyncio.timeout(10):
        assert await changes.get() == ENI
    watching.cancel()


async def test_tells_nothing_of_what_was_unplugged(guest: Guest, changes: asyncio.Queue[str]) -> None:
    await guest.unplug(ENI)
    ip("link", "del", "eth2")
    await asyncio.sleep(0.3)
    assert changes.empty()


@pytest.mark.parametrize("strict", ["0", "1"])  # which makes the first change another one
async def test_sets_up_a_link_that_went_meanwhile_and_came_again(
    guest: Guest, monkeypatch: pytest.MonkeyPatch, strict: str
) -> None:
    attach()
    ip("link", "set", "eth2", "up")
    sysctl("ipv4/conf/eth2/rp_filter", strict)
    carry_out = Changes.carry_out
    gone = asyncio.Event()

    async def vanish_first(*args: Any) -> None:
        if not gone.is_set():
            ip("link", "del", "eth2")
            gone.set()
        await carry_out(*args)

    monkeypatch.setattr(Changes, "carry_out", vanish_first)
    plugging = asyncio.create_task(guest.plug(WANTED, deadline_s=SOON_S))
    await gone.wait()
    await asyncio.sleep(0.1)
    assert not plugging.done()
    attach()
    await plugging
    assert_set_up()


async def test_says_what_the_kernel_refuses(guest: Guest) -> None:
    attach()
    with pytest.raises(GuestError, match=rf"cannot set up {ENI}: the gateway is not in the subnet"):
        await guest.plug(replace(WANTED, gateway6="2001:db8:9::1"), deadline_s=SOON_S)


async def test_sets_up_the_ipv4_addresses_where_ipv6_is_off_and_says_so(guest: Guest) -> None:
    attach()
    sysctl("ipv6/conf/eth2/disable_ipv6", "1")
    with capture_logs() as logs:
        await guest.plug(WANTED, deadline_s=SOON_S)
    assert [(entry["event"], entry["not_set_up"]) for entry in logs] == [("ipv6_is_off", ["2001:db8:2::5"])]
    assert (rules(), routes()) == (RULES[:2], ROUTES[:2])
    assert await guest.plugged([ENI]) == {ENI}
    sysctl("ipv6/conf/eth2/disable_ipv6", "0")
    assert await guest.plugged([ENI]) == frozenset()
    await guest.plug(WANTED, deadline_s=SOON_S)
    assert_set_up()


async def test_sets_up_an_eni_on_a_kernel_without_ipv6(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    attach()
    monkeypatch.setattr("hafailover.guest.seen._IPV6_IS_THERE", Path("/nonexistent"))
    await guest.plug(replace(WANTED, addresses=WANTED.addresses[:2]), deadline_s=SOON_S)
    assert (rules(), routes()) == (RULES[:2], ROUTES[:2])
    await guest.unplug(ENI)
    assert_taken_off()


async def test_does_not_fight_for_ever(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    attach()
    monkeypatch.setattr(Changes, "add_rule", lambda *_: asyncio.sleep(0))
    with pytest.raises(GuestError, match="does not stay so, somebody else changes it"):
        await guest.plug(WANTED, deadline_s=SOON_S)
