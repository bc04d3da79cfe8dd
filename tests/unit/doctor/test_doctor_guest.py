"""Faults of the machine itself, in a network namespace that each test has for itself."""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hafailover.config import routing
from hafailover.doctor import machine
from hafailover.doctor.findings import Level
from hafailover.doctor.guest import TO_COME
from hafailover.emulator.world import VIP, mac_of
from hafailover.guest.writers import second_writers
from tests.unit.doctor.clinic import ENI, B, healthy
from tests.unit.doctor.test_doctor_faults import group, moving
from tests.unit.guest.namespace import ip, new_namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.unit.doctor.clinic import Clinic

NOBODY = 65534

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]


@pytest.fixture
def node(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clinic]:
    """The standby: eth0 is its ENI and the way out, eth1 another one; the group is put on the guest."""
    group(guest="netlink")(clinic)
    monkeypatch.setattr(machine, "second_writers", partial(second_writers, root=clinic.folder / "root"))
    with new_namespace():
        for number, mac in ((0, mac_of(B.eni_id)), (1, "52:54:00:00:00:01")):
            ip("link", "add", f"eth{number}", "address", mac, "type", "veth", "peer", "name", f"wire{number}")
            ip("link", "set", f"eth{number}", "up")
            ip("link", "set", f"wire{number}", "up")
            rp_filter(f"eth{number}", 0)
        ip("link", "set", "lo", "up")
        ip("addr", "add", "10.0.1.16/24", "dev", "eth0")
        ip("route", "add", "default", "via", "10.0.1.1")
        rp_filter("all", 0)
        rp_filter("default", 0)
        yield clinic


def rp_filter(interface: str, value: int) -> None:
    Path(f"/proc/sys/net/ipv4/conf/{interface}/rp_filter").write_text(str(value))


def nothing(_clinic: Clinic) -> None:
    pass


def leftover(_clinic: Clinic) -> None:
    ip("addr", "add", f"{VIP}/32", "dev", "eth0")


def being_claimed(clinic: Clinic) -> None:
    leftover(clinic)
    clinic.told = lambda config: [{**healthy(config), "groups": [{"name": "vip", "state": "CLAIMING"}]}]


def no_interface(_clinic: Clinic) -> None:
    ip("link", "del", "eth0")


def another_way_out(_clinic: Clinic) -> None:
    ip("addr", "add", "10.0.2.16/24", "dev", "eth1")
    ip("route", "replace", "default", "via", "10.0.2.1")


def strict(clinic: Clinic) -> None:
    another_way_out(clinic)
    rp_filter("all", 1)


def loose(clinic: Clinic) -> None:
    strict(clinic)
    rp_filter("eth0", 2)


def strict_to_come(clinic: Clinic) -> None:
    moving()(clinic)
    rp_filter("default", 1)


def managed(clinic: Clinic) -> None:
    """Have NetworkManager manage the card of the node's own ENI."""
    root = clinic.folder / "root"
    (root / "sys/fs/cgroup/system.slice/NetworkManager.service").mkdir(parents=True)
    devices = root / "run/NetworkManager/devices"
    devices.mkdir(parents=True)
    (devices / str(socket.if_nametoindex("eth0"))).write_text("[device]\nmanaged=true\n")


def managed_secondary(clinic: Clinic) -> None:
    managed(clinic)
    another_way_out(clinic)
    clinic.network = clinic.network.with_enis(replace(clinic.network.enis[B.eni_id], primary=False, device_index=1))


def hot_plug(clinic: Clinic) -> None:
    rules = clinic.folder / "root/etc/udev/rules.d"
    rules.mkdir(parents=True)
    (rules / "99-nic-hotplug.rules").write_text("")


def hot_plug_to_come(clinic: Clinic) -> None:
    moving()(clinic)
    hot_plug(clinic)


def hot_plug_here(clinic: Clinic) -> None:
    hot_plug_to_come(clinic)
    ip("link", "set", "eth1", "address", mac_of(ENI))


def route(text: str) -> Callable[[Clinic], None]:
    def plant(clinic: Clinic) -> None:
        group(guest="netlink", routes=(routing.route(text),))(clinic)

    return plant


FAULTS: dict[str, tuple[Callable[[Clinic], None], set[str]]] = {
    "nothing": (nothing, set()),
    "the address was left behind": (leftover, {"guest-leftover"}),
    "the address is being claimed": (being_claimed, set()),
    "there is no such interface": (no_interface, {"guest-interface"}),
    "the answers would leave by another interface": (another_way_out, set()),
    "and the kernel is strict about that": (strict, {"guest-rp-filter"}),
    "or strict in general, and loose for this one": (loose, set()),
    "interfaces to come would be filtered": (strict_to_come, {"guest-rp-filter"}),
    "another program manages the first card": (managed, set()),
    "another program manages that of a secondary ENI": (managed_secondary, {"second-writer"}),
    "another program would set up cards to come, and none come": (hot_plug, set()),
    "another program would set up cards to come": (hot_plug_to_come, {"second-writer"}),
    "a route has its gateway on the link": (route(f"10.8.0.0/16 via 10.0.1.1 src {VIP}"), set()),
    "a route has not": (route("10.8.0.0/16 via 10.0.2.1"), {"guest-route"}),
    "a route is out of an interface that is not there": (route("10.8.0.0/16 dev eth9"), {"guest-route"}),
    "a route has the place of another": (route("default via 10.0.1.9"), {"guest-route"}),
    "and one of them is here": (hot_plug_here, {"second-writer"}),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_of_the_machine_is_found_and_nothing_else(fault: str, node: Clinic) -> None:
    plant, names = FAULTS[fault]
    plant(node)
    report = await node.examine()
    assert {finding.name for finding in report.findings} == names


@pytest.mark.parametrize(
    ("plant", "about"),
    [(managed_secondary, "eth0"), (hot_plug_to_come, TO_COME), (hot_plug_here, "eth1")],
)
async def test_a_second_writer_is_named_once_with_the_card(
    node: Clinic, plant: Callable[[Clinic], None], about: str
) -> None:
    plant(node)
    (finding,) = (await node.examine()).findings
    assert (finding.name, finding.level, finding.about) == ("second-writer", Level.WARNING, about)
    assert finding.what.startswith(("NetworkManager manages eth0", "nic-hotplug"))


async def test_a_route_that_cannot_be_set_is_named(node: Clinic) -> None:
    route("10.8.0.0/16 via 10.0.2.1")(node)
    (finding,) = (await node.examine()).findings
    assert finding.about == "10.8.0.0/16 via 10.0.2.1 dev eth0"
    assert finding.what == "the gateway 10.0.2.1 is not on the link of eth0"


async def test_a_group_that_leaves_the_guest_alone_is_no_matter(node: Clinic) -> None:
    leftover(node)
    before = node.amend
    node.amend = lambda config: replace(before(config), groups=(replace(config.groups[0], guest="none"),))
    assert (await node.examine()).findings == ()


async def test_the_rights_are_those_of_the_daemon(node: Clinic) -> None:  # noqa: ARG001 - its namespace
    process = await asyncio.create_subprocess_exec("sleep", "60", user=NOBODY)
    try:
        lacking = await machine.look((), interface="eth0", mac=None, daemon_pid=process.pid)
        own = await machine.look((), interface="eth0", mac=None, daemon_pid=None)
        gone = await machine.look((), interface="eth0", mac=None, daemon_pid=2**22 + 1)
    finally:
        process.kill()
        await process.wait()
    assert [seen.capable for seen in (lacking, own, gone)] == [False, True, None]
    assert lacking.interface == "eth0"
