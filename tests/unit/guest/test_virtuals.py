"""Routes and rules that follow addresses, on the real kernel: each test has a network namespace for itself."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hafailover.config import routing
from hafailover.config.model import Group
from hafailover.errors import GuestError
from hafailover.guest.interface import Interface
from hafailover.guest.netlink import Guest
from tests.unit.guest.namespace import ENI, MAC, VIP, VIP6, attach, ip, routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hafailover.guest.network import Link

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]

ROUTES = (
    f"10.8.0.0/16 via 10.0.1.1 src {VIP}",
    f"10.0.1.0/24 src {VIP} table 100",
    "default via 10.0.1.1 dev eth0 table 100 metric 5",
    "blackhole 10.9.0.0/16",
    "unreachable 10.10.0.0/16 metric 9",
    "prohibit 10.11.0.0/16",
    "10.12.0.0/16 via 192.0.2.1 dev eth1 onlink",
)
ROUTES6 = (f"2001:db8:8::/48 via fe80::1 src {VIP6}", "::/0 dev eth0 table 100", "unreachable 2001:db8:9::/48")
DEFAULT = "default via 10.0.1.1 dev eth0"
RULES = (f"from {VIP} table 100", "from 10.0.9.0/24 to 10.8.0.0/16 table 100 priority 77", f"to {VIP6} table 100")
SHOWN = (
    "10.12.0.0/16 via 192.0.2.1 dev eth1 proto 77 onlink",
    f"10.8.0.0/16 via 10.0.1.1 dev eth0 proto 77 src {VIP}",
    f"2001:db8:8::/48 via fe80::1 dev eth0 proto 77 src {VIP6} metric 1024 pref medium",
    "blackhole 10.9.0.0/16 proto 77",
    "prohibit 10.11.0.0/16 proto 77",
    "unreachable 10.10.0.0/16 proto 77 metric 9",
    "unreachable 2001:db8:9::/48 dev lo proto 77 metric 1024 pref medium",
)
TABLED = (
    f"10.0.1.0/24 dev eth0 proto 77 scope link src {VIP}",
    "default dev eth0 proto 77 metric 1024 pref medium",
    "default via 10.0.1.1 dev eth0 proto 77 metric 5",
)


def group(*texts: str, rules: tuple[str, ...] = (), name: str = "vip") -> Group:
    made = tuple(map(routing.route, texts))
    return Group(name, addresses=(VIP, VIP6), routes=made, rules=tuple(map(routing.rule, rules)))


ALL = group(*ROUTES, *ROUTES6, rules=RULES)
ONE = group(ROUTES[0])


def ours(table: str = "main") -> tuple[str, ...]:
    return tuple(" ".join(line.split()) for line in routes(table) if "proto 77" in line)


def our_rules() -> list[str]:
    shown = [line for family in ("-4", "-6") for line in ip(family, "rule").splitlines()]
    return [" ".join(line.split()) for line in shown if "proto 77" in line]


def theirs() -> tuple[list[str], list[str]]:
    """Return what of routes and rules is not ours, without what the kernel makes of IPv6 by and by."""
    lines = [*ip("route", "show", "table", "all").splitlines(), *routes("main")]
    rules = [line for family in ("-4", "-6") for line in ip(family, "rule").splitlines()]
    return [line for line in lines if "proto 77" not in line], [line for line in rules if "proto 77" not in line]


@pytest.fixture
async def link(guest: Guest) -> Link:
    """The node's card, which has the addresses."""
    found = await guest.find_link(mac=MAC)
    for address in (VIP, VIP6):
        await guest.arm(address, found)
    return found


async def later() -> Guest:
    """Return another process's guest, which knows of nothing."""
    made = Guest()
    await made.open()
    return made


async def test_all_kinds_are_laid_once_and_lifted_and_nothing_else_changes(guest: Guest, link: Link) -> None:
    ip("route", "add", "10.8.0.0/16", "via", "10.0.1.2", "metric", "7")
    before = theirs()
    for _ in range(2):
        await guest.lay(ALL, link)
        assert ours() == SHOWN
        assert ours("100") == TABLED
        assert our_rules() == [
            "77: from 10.0.9.0/24 to 10.8.0.0/16 lookup 100 proto 77",
            f"7693: from {VIP} lookup 100 proto 77",
            f"7693: from all to {VIP6} lookup 100 proto 77",
        ]
        assert await guest.lacking(ALL, link) == {}
    assert f"src {VIP}" in ip("route", "get", "10.8.3.4")
    assert theirs() == before
    for _ in range(2):
        await guest.lift(ALL)
        assert (ours(), ours("100"), our_rules()) == ((), (), [])
    assert theirs() == before


async def test_what_a_dead_process_has_left_is_lifted_and_what_is_of_no_group(guest: Guest, link: Link) -> None:
    await guest.lay(ALL, link)
    heir = await later()
    await heir.lift_others((ONE,))
    assert ours() == (SHOWN[1],)
    assert our_rules() == []
    await heir.lay(ONE, link)  # nothing to do
    await heir.lift(replace(ONE, routes=(routing.route("10.8.0.0/16 via 10.0.1.9"),)))  # the file says it otherwise
    assert ours() == ()
    await guest.lay(ALL, link)
    await heir.lift_others(())
    assert (ours(), ours("100"), our_rules()) == ((), (), [])
    await heir.close()


async def test_one_that_is_to_be_otherwise_takes_the_place_of_the_one_that_is_there(
    guest: Guest, link: Link
) -> None:
    await guest.lay(ONE, link)
    await guest.lay(group("10.8.0.0/16 via 10.0.1.9"), link)
    assert ours() == ("10.8.0.0/16 via 10.0.1.9 dev eth0 proto 77",)


async def test_two_groups_keep_apart(guest: Guest, link: Link) -> None:
    other = group("10.20.0.0/16 via 10.0.1.1", name="other")
    await guest.lay(ONE, link)
    await guest.lay(other, link)
    await guest.lift(ONE)
    assert ours() == ("10.20.0.0/16 via 10.0.1.1 dev eth0 proto 77",)
    await guest.lift(other)
    assert ours() == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("10.8.0.0/16 via 192.0.2.1 dev eth0", "the gateway 192.0.2.1 is not on the link of eth0"),
        ("10.8.0.0/16 dev eth9", "there is no interface eth9"),
        ("10.8.0.0/16 dev eth0 src 10.0.1.77", "10.0.1.77 is no address of this node"),
        (
            DEFAULT,
            f"the place is taken by a route of somebody else, {DEFAULT}: one of the two needs another metric",
        ),
        ("2001:db8:8::/48 via 2001:db8:7::1 dev eth0", "the gateway 2001:db8:7::1 is not on the link of eth0"),
    ],
)
async def test_what_is_in_the_way_is_named_and_nothing_laid(guest: Guest, link: Link, text: str, told: str) -> None:
    wanted = group("10.20.0.0/16 via 10.0.1.1", text)
    assert await guest.lacking(wanted, link) == {"10.20.0.0/16 via 10.0.1.1 dev eth0": "", text: told}
    with pytest.raises(GuestError) as error:
        await guest.lay(wanted, link)
    assert str(error.value) == f'cannot set "{text}": {told}'
    assert ours() == ()


async def test_what_only_the_kernel_knows_is_its_refusal(guest: Guest, link: Link) -> None:
    ip("link", "set", "eth1", "down")
    with pytest.raises(GuestError, match=r'^cannot set "10.20.0.0/16 dev eth1": Network is down$'):
        await guest.lay(group("10.20.0.0/16 dev eth1"), link)


async def test_a_gateway_is_looked_for_out_of_its_interface(guest: Guest, link: Link) -> None:
    ip("route", "add", "192.0.2.0/24", "dev", "eth1")
    assert set((await guest.lacking(group("10.8.0.0/16 via 192.0.2.1"), link)).values()) != {""}
    for text in ("10.8.0.0/16 via 192.0.2.1 dev eth1", "10.8.0.0/16 via 10.0.1.1"):
        wanted = group(text)
        assert list((await guest.lacking(wanted, link)).values()) == [""]
        await guest.lay(wanted, link)
        await guest.lift(wanted)


@pytest.mark.parametrize("table", ["", " table 9"])
async def test_on_an_eni_without_an_address_of_its_own_the_gateway_has_to_be_led_to(
    guest: Guest, table: str
) -> None:
    attach()
    own = Interface(ENI, (VIP,), 24, "10.0.2.1", own=True)
    link = await guest.find_link(mac=ENI)
    await guest.arm(VIP, link, own)
    lost, led = f"10.8.0.0/16 via 10.0.2.1{table}", f"10.0.2.0/24{table}"
    assert list((await guest.lacking(group(lost), link)).values()) != [""]
    for wanted in (group(led, lost), group(f"{lost} onlink")):
        await guest.lay(wanted, link)
        assert await guest.lacking(wanted, link) == {}
        await guest.lift(wanted)


async def test_an_interface_may_have_its_alternative_name(guest: Guest, link: Link) -> None:
    ip("link", "property", "add", "dev", "eth1", "altname", "services-card")
    wanted = group("10.20.0.0/16 dev services-card")
    await guest.lay(wanted, link)
    assert ours() == ("10.20.0.0/16 dev eth1 proto 77 scope link",)
    assert await guest.lacking(wanted, link) == {}
    await guest.lift(wanted)


async def test_what_is_made_for_enis_and_what_follows_addresses_do_not_touch_each_other(
    guest: Guest, link: Link
) -> None:
    attach()
    eni = Interface(ENI, ("10.0.2.5",), 24, "10.0.2.1")
    wanted = group("10.20.0.0/16 dev eth2", f"10.8.0.0/16 via 10.0.1.1 src {VIP}", rules=("from 10.0.2.5 table 9",))
    await guest.plug(eni, deadline_s=2)
    await guest.lay(wanted, link)
    assert await guest.plugged([ENI]) == {ENI}
    await guest.plug(eni, deadline_s=2)
    await guest.lift_others((wanted,))
    assert await guest.lacking(wanted, link) == {}
    assert await guest.plugged([ENI]) == {ENI}
    await guest.lift(wanted)
    assert await guest.plugged([ENI]) == {ENI}


@pytest.fixture
async def told(guest: Guest, link: Link) -> AsyncIterator[asyncio.Queue[str]]:
    """What a watching guest says is missing, with all there."""
    queue: asyncio.Queue[str] = asyncio.Queue()
    await guest.lift_others((ALL,))
    await guest.lay(ALL, link)
    watching = asyncio.ensure_future(guest.watch(queue.put_nowait))
    await asyncio.sleep(0.3)
    assert queue.empty()
    yield queue
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


@pytest.mark.parametrize(
    "command",
    [
        ("route", "del", "10.8.0.0/16"),
        ("route", "del", "blackhole", "10.9.0.0/16"),
        ("-6", "route", "flush", "table", "100"),
        ("rule", "del", "from", VIP),
    ],
    ids=" ".join,
)
async def test_what_others_remove_is_told_at_once_and_laid_again(
    guest: Guest, link: Link, told: asyncio.Queue[str], command: tuple[str, ...]
) -> None:
    ip(*command)
    assert await asyncio.wait_for(told.get(), 5) == VIP
    await guest.lay(ALL, link)
    assert await guest.lacking(ALL, link) == {}


async def test_while_its_interface_is_down_a_route_is_not_missing(
    guest: Guest, link: Link, told: asyncio.Queue[str]
) -> None:
    wanted = group(ROUTES[0])  # what is left of the group without IPv6, of which the kernel removes the address too
    await guest.lift(ALL)
    await guest.disarm(VIP6)
    await guest.lay(wanted, link)
    ip("link", "set", "eth0", "down")
    await asyncio.sleep(0.3)
    assert told.empty()
    ip("link", "set", "eth0", "up")
    assert await asyncio.wait_for(told.get(), 5) == VIP
    await guest.lay(wanted, link)
    assert ours() == (SHOWN[1],)


async def test_what_was_lifted_is_not_missing(guest: Guest, told: asyncio.Queue[str]) -> None:
    await guest.lift(ALL)
    ip("route", "add", "10.30.0.0/16", "via", "10.0.1.1")
    await asyncio.sleep(0.3)
    assert told.empty()
