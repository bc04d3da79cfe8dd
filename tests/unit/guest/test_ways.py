"""A node's own secondary ENI on the real kernel, in a network namespace that each test has for itself.

eth2 is that ENI, set up by the administrator with its own address; real clients are in test_flows.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hafailover.errors import GuestError
from hafailover.guest.interface import Interface
from hafailover.guest.netlink import Guest
from hafailover.guest.network import Link
from tests.unit.guest.namespace import ENI, ENI_TABLE, addresses, attach, ip, is_up, routes, rules, sysctl

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

TABLE = "1291848193"  # 0x4d000a01
ADDRESS, OTHER, ADDRESS6 = "10.0.2.100", "10.0.2.101", "2001:db8:2::100"
OWN = Interface(ENI, ("10.0.2.17", ADDRESS), 24, "10.0.2.1", own=True)
MOVING = Interface("20:90:6f:00:0a:02", ("10.0.2.7",), 24, "10.0.2.1")
SUBNET, WAY = "10.0.2.0/24 dev eth2 proto 76 scope link", "default via 10.0.2.1 dev eth2 proto 76"
WAY6 = "default via fe80::feee:ffff:feff:ffff dev eth2 proto 76 metric 1024 pref medium"

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]


def rule(address: str) -> str:
    return f"7694: from {address} lookup {TABLE} proto 76"


def others_rules() -> list[str]:
    return [line for line in ip("rule").splitlines() if "proto 76" not in line]


@pytest.fixture
async def link(guest: Guest) -> Link:
    """The card of the node's own ENI, as its administrator has it: with rules and a table for its own address."""
    attach(ENI, "eth2", "10.0.2.17/24")
    ip("link", "set", "eth2", "up")
    ip("route", "add", "default", "via", "10.0.2.1", "dev", "eth2", "table", "102")
    ip("rule", "add", "from", "10.0.2.17", "table", "102", "priority", "2048")
    ip("rule", "add", "from", ADDRESS, "table", "102", "priority", "9000")
    return await guest.find_link(mac=ENI)


async def later() -> Guest:
    """Return another process's guest, which knows of nothing."""
    made = Guest()
    await made.open()
    return made


async def test_answers_of_an_armed_address_leave_by_the_eni_and_all_else_as_before(
    guest: Guest, link: Link
) -> None:
    main, others, theirs = routes("main"), others_rules(), routes("102")
    for _ in range(2):
        await guest.arm(ADDRESS, link, OWN)
        assert rules() == (rule(ADDRESS),)
        assert routes(TABLE) == (SUBNET, WAY)
        assert sorted(addresses("eth2")) == [f"{ADDRESS}/32", "10.0.2.17/24"]
    assert "via 10.0.2.1 dev eth2" in ip("route", "get", "203.0.113.5", "from", ADDRESS)
    assert "src 10.0.1.17" in ip("route", "get", "203.0.113.5")
    assert (routes("main"), others_rules(), routes("102")) == (main, others, theirs)
    for _ in range(2):
        await guest.disarm(ADDRESS)
        assert (rules(), routes(TABLE)) == ((), ())
        assert (is_up(), addresses("eth2")) == (True, ["10.0.2.17/24"])
    assert (routes("main"), others_rules(), routes("102")) == (main, others, theirs)


async def test_an_address_on_the_primary_eni_gets_nothing_of_the_kind(guest: Guest) -> None:
    await guest.arm("10.0.1.100", await guest.find_link(name="eth0"))
    assert (rules(), routes(TABLE)) == ((), ())


async def test_the_table_stays_for_as_long_as_an_address_needs_it(guest: Guest, link: Link) -> None:
    for address in (ADDRESS, OTHER, ADDRESS6):
        await guest.arm(address, link, OWN)
    assert rules() == (rule(ADDRESS), rule(OTHER), rule(ADDRESS6))
    assert routes(TABLE) == (SUBNET, WAY, WAY6)
    assert "via fe80::feee:ffff:feff:ffff dev eth2" in ip("route", "get", "2001:db8:9::1", "from", ADDRESS6)
    await guest.disarm(ADDRESS)
    await guest.disarm(ADDRESS6)
    assert (rules(), routes(TABLE)) == ((rule(OTHER),), (SUBNET, WAY, WAY6))
    await guest.disarm(OTHER)
    assert (rules(), routes(TABLE)) == ((), ())


async def test_what_a_dead_process_has_left_goes_with_the_address(guest: Guest, link: Link) -> None:
    await guest.arm(ADDRESS, link, OWN)
    await guest.arm(OTHER, link, OWN)
    fresh = await later()
    await fresh.arm(ADDRESS, link, OWN)  # it has come back, and the other address is in use all the time
    assert (rules(), routes(TABLE)) == ((rule(ADDRESS), rule(OTHER)), (SUBNET, WAY))
    await fresh.disarm(OTHER)
    ip("link", "del", "eth2")
    assert rules() == (rule(ADDRESS),)
    await fresh.disarm(ADDRESS)
    assert rules() == ()
    await fresh.close()
    await asyncio.sleep(0)


async def test_taking_off_the_enis_that_move_does_not_mean_the_nodes_own(guest: Guest, link: Link) -> None:
    attach(MOVING.mac, "eth3")
    await guest.plug(MOVING, deadline_s=5)
    await guest.arm(ADDRESS, link, OWN)
    fresh = await later()
    await fresh.unplug_others()
    assert (is_up("eth3"), addresses("eth3")) == (False, [])
    assert (is_up(), sorted(addresses("eth2"))) == (True, [f"{ADDRESS}/32", "10.0.2.17/24"])
    assert (rules(), routes(TABLE)) == ((rule(ADDRESS),), (SUBNET, WAY))
    await fresh.close()
    await asyncio.sleep(0)


async def test_nor_where_it_was_one_of_those_that_move_before(guest: Guest, link: Link) -> None:
    await guest.plug(replace(OWN, own=False), deadline_s=5)
    await guest.arm(ADDRESS, link, OWN)
    fresh = await later()
    await fresh.unplug_others()
    assert (is_up(), sorted(addresses("eth2"))) == (True, [f"{ADDRESS}/32", "10.0.2.17/24"])
    assert (rules(), routes(TABLE)) == ((rule(ADDRESS),), (SUBNET, WAY))
    assert routes(ENI_TABLE) == ()
    await fresh.close()
    await asyncio.sleep(0)


async def test_what_is_in_the_way_of_an_address_makes_room_and_nothing_else_does(guest: Guest, link: Link) -> None:
    ip("rule", "add", "from", ADDRESS, "table", "1291848999", "protocol", "76", "priority", "7694")  # another ENI's
    ip("route", "add", "default", "via", "10.0.2.9", "dev", "eth2", "table", TABLE)
    await guest.arm(ADDRESS6, link, OWN)
    await guest.arm(ADDRESS, link, OWN)
    assert rules() == (rule(ADDRESS), rule(ADDRESS6))
    assert routes(TABLE) == (SUBNET, WAY, WAY6)


async def test_a_strict_reverse_path_filter_becomes_loose_on_that_card_alone(guest: Guest, link: Link) -> None:
    sysctl("ipv4/conf/all/rp_filter", "1")
    sysctl("ipv4/conf/eth0/rp_filter", "0")
    await guest.arm(ADDRESS, link, OWN)
    filters = [sysctl(f"ipv4/conf/{name}/rp_filter") for name in ("all", "eth0", "eth2")]
    assert filters == ["1", "0", "2"]


async def test_a_card_that_nobody_has_set_up_is_set_up(guest: Guest) -> None:
    attach()
    await guest.arm(ADDRESS, await guest.find_link(mac=ENI), OWN)
    assert (is_up(), addresses("eth2")) == (True, [f"{ADDRESS}/32"])
    assert routes(TABLE) == (SUBNET, WAY)


async def test_without_the_card_or_its_ipv6_an_address_is_not_armed(guest: Guest, link: Link) -> None:
    with pytest.raises(GuestError, match=f"cannot add {ADDRESS} to eth9: the interface is gone"):
        await guest.arm(ADDRESS, Link(99, "eth9"), OWN)
    sysctl("ipv6/conf/eth2/disable_ipv6", "1")
    with pytest.raises(GuestError, match=f"cannot add {ADDRESS6} to eth2: IPv6 is switched off there"):
        await guest.arm(ADDRESS6, link, OWN)
    assert rules() == ()


@pytest.fixture
async def changes(guest: Guest, link: Link) -> AsyncIterator[asyncio.Queue[str]]:
    """What `watch` tells, of two addresses that are armed."""
    await guest.arm(ADDRESS, link, OWN)
    await guest.arm(OTHER, link, OWN)
    queue: asyncio.Queue[str] = asyncio.Queue()
    watching = asyncio.create_task(guest.watch(queue.put_nowait))
    await asyncio.sleep(0.2)
    assert queue.empty()
    yield queue
    watching.cancel()


async def next_of(changes: asyncio.Queue[str]) -> str:
    async with asyncio.timeout(10):
        return await changes.get()


@pytest.mark.parametrize(
    "damage",
    [
        lambda: ip("rule", "del", "from", ADDRESS, "table", TABLE),
        lambda: ip("addr", "del", f"{ADDRESS}/32", "dev", "eth2"),
    ],
)
async def test_tells_of_a_lost_rule_until_it_is_armed_again(
    guest: Guest, link: Link, changes: asyncio.Queue[str], damage: Callable[[], object]
) -> None:
    damage()
    assert await next_of(changes) == ADDRESS
    await guest.arm(ADDRESS, link, OWN)
    await asyncio.sleep(0.3)
    assert changes.empty()
    assert rules() == (rule(ADDRESS), rule(OTHER))


async def test_tells_nothing_of_a_rule_that_was_taken_off(guest: Guest, changes: asyncio.Queue[str]) -> None:
    await guest.disarm(ADDRESS)
    await asyncio.sleep(0.3)
    assert changes.empty()


async def test_does_not_set_up_what_somebody_sets_down_and_tells_once_it_is_up(
    guest: Guest, link: Link, changes: asyncio.Queue[str]
) -> None:
    ip("link", "set", "eth2", "down")  # which takes the routes along
    await asyncio.sleep(0.3)
    assert (changes.empty(), is_up()) == (True, False)
    ip("link", "set", "eth2", "up")
    assert {await next_of(changes), await next_of(changes)} == {ADDRESS, OTHER}
    await guest.arm(ADDRESS, link, OWN)
    assert routes(TABLE) == (SUBNET, WAY)


async def test_tells_of_lost_routes_when_it_looks_again(
    guest: Guest, changes: asyncio.Queue[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ip("route", "flush", "table", TABLE)
    monkeypatch.setattr("hafailover.guest.netlink._CHECKED_AGAIN_S", 0.1)
    watching = asyncio.create_task(guest.watch(changes.put_nowait))
    assert {await next_of(changes), await next_of(changes)} == {ADDRESS, OTHER}
    watching.cancel()
