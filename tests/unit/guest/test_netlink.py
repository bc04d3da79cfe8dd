"""The kernel is the real one, in a network namespace that each test has for itself."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from hafailover.errors import GuestError
from hafailover.guest.netlink import Guest
from hafailover.guest.network import Link
from tests.unit.guest.namespace import MAC, VIP, VIP6, addresses, ip, sysctl

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]


async def test_arms_and_disarms_any_number_of_times(guest: Guest) -> None:
    link = await guest.find_link(name="eth0")
    for _ in range(2):
        await guest.arm(VIP, link)
        assert addresses("eth0") == ["10.0.1.17/24", f"{VIP}/32"]
        assert await guest.present([VIP, "10.0.1.17", "10.0.1.101"]) == {VIP, "10.0.1.17"}
    for _ in range(2):
        await guest.disarm(VIP)
        assert addresses("eth0") == ["10.0.1.17/24"]
        assert await guest.present([VIP]) == frozenset()


async def test_disarms_on_all_interfaces_and_with_any_prefix(guest: Guest) -> None:
    ip("addr", "add", f"{VIP}/32", "dev", "lo")
    ip("addr", "add", f"{VIP}/24", "dev", "eth0")
    await guest.arm(VIP, await guest.find_link(name="eth1"))
    await guest.disarm(VIP)
    assert [addresses(device) for device in ("lo", "eth0", "eth1")] == [["127.0.0.1/8"], ["10.0.1.17/24"], []]


async def test_the_node_goes_on_calling_out_from_its_own_address(guest: Guest) -> None:
    def sources() -> list[str]:
        return [
            ip("route", "get", target).partition(" src ")[2].split()[0] for target in ("203.0.113.5", "10.0.1.16")
        ]

    await guest.arm(VIP, await guest.find_link(name="eth0"))
    assert sources() == ["10.0.1.17", "10.0.1.17"]
    # what a network manager does when it starts the interface anew: now ours is the older one
    ip("addr", "del", "10.0.1.17/24", "dev", "eth0")
    ip("addr", "add", "10.0.1.17/24", "dev", "eth0")
    ip("route", "replace", "default", "via", "10.0.1.1")
    assert sources() == ["10.0.1.17", "10.0.1.17"]
    assert ip("route", "get", "203.0.113.5", "from", VIP).split()[2] == VIP


async def test_arming_and_disarming_leave_the_routes_as_they_are(guest: Guest) -> None:
    before = ip("route", "show", "table", "main")
    await guest.arm(VIP, await guest.find_link(name="eth0"))
    assert ip("route", "show", "table", "main") == before
    await guest.disarm(VIP)
    assert ip("route", "show", "table", "main") == before


async def test_does_not_take_the_nodes_own_address_along(guest: Guest) -> None:
    # the static configuration names the shared address first: it is primary, and the node's own hangs on it
    ip("addr", "flush", "dev", "eth1")
    ip("addr", "add", "10.0.2.100/24", "dev", "eth1")
    ip("addr", "add", "10.0.2.17/24", "dev", "eth1")
    sysctl("ipv4/conf/eth1/promote_secondaries", "0")
    sysctl("ipv4/conf/all/promote_secondaries", "0")
    with pytest.raises(GuestError, match=r"would remove 10\.0\.2\.17 too: take it out of the static"):
        await guest.disarm("10.0.2.100")
    assert addresses("eth1") == ["10.0.2.100/24", "10.0.2.17/24"]
    sysctl("ipv4/conf/eth1/promote_secondaries", "1")
    await guest.disarm("10.0.2.100")
    assert addresses("eth1") == ["10.0.2.17/24"]


async def test_finds_an_interface_by_mac_address_or_name(guest: Guest) -> None:
    by_mac = await guest.find_link(mac=MAC.upper())
    assert (by_mac.name, by_mac.mac) == ("eth0", MAC)
    assert (await guest.find_link(name="eth0", mac="ff:ff:ff:ff:ff:ff")).index == by_mac.index
    ip("link", "property", "add", "dev", "eth0", "altname", "enp0s5")
    assert (await guest.find_link(name="enp0s5")).index == by_mac.index


async def test_arms_and_disarms_an_ipv6_address(guest: Guest) -> None:
    link = await guest.find_link(name="eth0")
    routes = ip("-6", "route", "show", "table", "main")
    written_otherwise = "2001:DB8:1:0::100"
    for address in (VIP6, written_otherwise):
        await guest.arm(address, link)
        assert addresses("eth0", "-6") == [f"{VIP6}/128"]
        assert await guest.present([address, "2001:db8:1::101"]) == {address}
    assert "tentative" not in ip("-6", "addr", "show", "dev", "eth0", "scope", "global")
    assert ip("-6", "route", "show", "table", "main") == routes
    await guest.disarm(written_otherwise)
    await guest.disarm(VIP6)
    assert addresses("eth0", "-6") == []


async def test_disarms_an_ipv6_address_on_all_interfaces_and_with_any_prefix(guest: Guest) -> None:
    ip("addr", "add", f"{VIP6}/64", "dev", "eth0")
    ip("addr", "add", f"{VIP6}/128", "dev", "lo")
    ip("addr", "add", "2001:db8:1::17/64", "dev", "eth0")
    await guest.disarm(VIP6)
    assert (addresses("eth0", "-6"), addresses("lo", "-6")) == (["2001:db8:1::17/64"], ["::1/128"])


async def test_the_node_goes_on_calling_out_from_its_own_ipv6_address(guest: Guest) -> None:
    ip("addr", "add", "2001:db8:1::17/64", "dev", "eth0", "nodad")
    ip("-6", "route", "add", "default", "via", "fe80::1", "dev", "eth0")
    await guest.arm(VIP6, await guest.find_link(name="eth0"))
    # the second is nearer to the shared address than to the node's own
    for target in ("2001:db8:2::1", "2001:db8:1::101"):
        assert ip("route", "get", target).partition(" src ")[2].split()[0] == "2001:db8:1::17"
    assert ip("route", "get", "2001:db8:2::1", "from", VIP6).split()[2] == VIP6


async def test_says_that_ipv6_is_off(guest: Guest) -> None:
    sysctl("ipv6/conf/eth0/disable_ipv6", "1")
    with pytest.raises(GuestError, match=r"cannot add 2001:db8:1::100 to eth0: IPv6 is switched off there"):
        await guest.arm(VIP6, await guest.find_link(name="eth0"))


async def test_tells_of_an_ipv6_address_that_somebody_else_removed(guest: Guest) -> None:
    missing: asyncio.Queue[str] = asyncio.Queue()
    await guest.arm(VIP6, await guest.find_link(name="eth0"))
    watching = asyncio.create_task(guest.watch(missing.put_nowait))
    await asyncio.sleep(0.1)
    assert missing.empty()
    ip("addr", "del", f"{VIP6}/128", "dev", "eth0")
    async with asyncio.timeout(10):
        assert await missing.get() == VIP6
    watching.cancel()


async def test_says_which_interfaces_there_are(guest: Guest) -> None:
    with pytest.raises(GuestError, match=rf"there is no interface eth7; there are: .*eth0 \({MAC}\)"):
        await guest.find_link(name="eth7")
    with pytest.raises(
        GuestError, match="there is no interface with the MAC address aa:bb:cc:dd:ee:ff; there are: "
    ):
        await guest.find_link(mac="aa:bb:cc:dd:ee:ff")
    with pytest.raises(GuestError, match=r"there is no interface with the MAC address \(unknown\)"):
        await guest.find_link()


async def test_prefers_the_whole_to_its_parts_among_interfaces_of_one_mac_address(guest: Guest) -> None:
    shared = "02:00:00:00:00:01"
    ip("link", "add", "br0", "address", shared, "type", "bridge")
    ip("link", "set", "wire0", "address", shared, "master", "br0")  # a part of br0
    ip("link", "set", "wire1", "address", shared)  # made of another: of its peer
    assert (await guest.find_link(mac=shared)).name == "br0"
    ip("link", "add", "br1", "address", shared, "type", "bridge")
    with pytest.raises(GuestError, match=f"more than one interface with the MAC address {shared}: .*; name the"):
        await guest.find_link(mac=shared)


async def test_names_the_interface_that_is_gone(guest: Guest) -> None:
    with pytest.raises(GuestError, match=f"cannot add {VIP} to eth9: the interface is gone"):
        await guest.arm(VIP, Link(99, "eth9"))


async def test_notices_that_somebody_else_has_removed_an_address(guest: Guest) -> None:
    missing: asyncio.Queue[str] = asyncio.Queue()
    watching = asyncio.create_task(guest.watch(missing.put_nowait))
    link = await guest.find_link(name="eth0")
    await guest.arm(VIP, link)
    await guest.arm("10.0.1.101", link)
    await guest.disarm("10.0.1.101")  # on purpose: nobody is told
    ip("addr", "del", f"{VIP}/32", "dev", "eth0")
    async with asyncio.timeout(10):
        assert await missing.get() == VIP
    await guest.arm(VIP, link)
    await asyncio.sleep(0.1)
    ip("link", "del", "eth0")  # a detached ENI
    async with asyncio.timeout(10):
        assert await missing.get() == VIP
    assert missing.empty()
    watching.cancel()


async def test_a_burst_of_changes_is_noticed_though_notifications_are_lost(
    guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hafailover.guest.notices._DRAINED", 1)
    missing: asyncio.Queue[str] = asyncio.Queue()
    await guest.arm(VIP, await guest.find_link(name="eth0"))
    watching = asyncio.create_task(guest.watch(missing.put_nowait))
    await asyncio.sleep(0.05)
    for batch in range(4):
        lines = [f"addr add 10.9.{batch}.{number}/32 dev eth1" for number in range(250)]
        subprocess.run(("ip", "-batch", "-"), input="\n".join(lines), text=True, check=True, timeout=20)  # noqa: ASYNC221 - the loop is to be busy
    ip("addr", "del", f"{VIP}/32", "dev", "eth0")
    async with asyncio.timeout(20):
        assert await missing.get() == VIP
    watching.cancel()


async def test_goes_on_after_an_operation_was_cut_off(guest: Guest) -> None:
    link = await guest.find_link(name="eth0")
    cut_off = asyncio.create_task(guest.arm(VIP, link))
    await asyncio.sleep(0)
    cut_off.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cut_off
    await guest.arm(VIP, link)
    assert await guest.present([VIP]) == {VIP}


@pytest.mark.usefixtures("node")
async def test_ends_in_time_when_the_kernel_does_not_answer() -> None:
    guest = Guest(deadline_s=0.05)
    await guest.open()
    async with guest._kernel.lock:
        with pytest.raises(GuestError, match=r"cannot remove 10\.0\.1\.100: the kernel did not answer in 0\.05 s"):
            await guest.disarm(VIP)
    guest._kernel.deadline_s = 2
    await guest.disarm(VIP)
    await guest.close()


def test_without_the_capability_it_says_so() -> None:
    program = (
        "import asyncio\n"
        "from hafailover.guest.netlink import Guest\n"
        "from hafailover.guest.network import Link\n"
        "try: asyncio.run(Guest().open())\n"
        "except Exception as error: print(type(error).__name__, error)\n"
        "async def arm():\n"
        "    guest = Guest()\n"
        "    import hafailover.guest.kernel as module\n"
        "    module.require_capability = lambda: None\n"
        "    await guest.open()\n"
        "    try: await guest.arm('10.0.1.100', Link(1, 'lo'))\n"
        "    except Exception as error: print(type(error).__name__, error)\n"
        "    await guest.close()\n"
        "asyncio.run(arm())\n"
    )
    argv = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", sys.executable, "-c", program)
    said = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=30).stdout.splitlines()
    assert said[0].startswith("GuestError CAP_NET_ADMIN is missing")
    assert said[1].startswith("GuestError cannot add 10.0.1.100 to lo: CAP_NET_ADMIN is missing")
