"""The files are as the programs leave them (NetworkManager 1.42, systemd 252, cloud-init 23.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hafailover.guest.network import Link
from hafailover.guest.writers import second_writers

if TYPE_CHECKING:
    from pathlib import Path

LINK = Link(3, "eth1", "20:90:6f:00:0a:01")
MANAGED = "[device]\nmanaged=true\nconnection-uuid=b0a4fd6e-77a4-3b8e-9f43-a5c5b1d1b0c1\nroute-metric-default=101\n"
CONFIGURED = (
    "# This is private data. Do not parse.\nADMIN_STATE=configured\nOPER_STATE=routable\n"
    "NETWORK_FILE=/run/systemd/network/10-netplan-all.network\nDNS=183.60.83.19\n"
)
CGROUP = "sys/fs/cgroup/system.slice"
HOOK = "etc/udev/rules.d/90-cloud-init-hook-hotplug.rules"


def write(root: Path, name: str, text: str = "") -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def run(root: Path, unit: str, cgroup: str = CGROUP) -> None:
    write(root, f"{cgroup}/{unit}/cgroup.procs", "123\n")


def test_nobody_else_is_there(tmp_path: Path) -> None:
    run(tmp_path, "NetworkManager.service")
    run(tmp_path, "systemd-networkd.service")
    write(tmp_path, "etc/udev/rules.d/70-persistent-net.rules", 'SUBSYSTEM=="net", NAME="eth0"\n')
    assert second_writers(LINK, tmp_path) == ()


@pytest.mark.parametrize("cgroup", [CGROUP, "sys/fs/cgroup/systemd/system.slice"])
def test_network_manager_is_named_and_how_to_stop_it(tmp_path: Path, cgroup: str) -> None:
    run(tmp_path, "NetworkManager.service", cgroup)
    write(tmp_path, "run/NetworkManager/devices/3", MANAGED)
    (text,) = second_writers(LINK, tmp_path)
    assert text.startswith("NetworkManager manages eth1: ")
    assert "unmanaged-devices=mac:20:90:6f:00:0a:01" in text


@pytest.mark.parametrize("state", ["[device]\nmanaged=false\n", "[device]\n", ""])
def test_network_manager_leaves_a_card_alone(tmp_path: Path, state: str) -> None:
    run(tmp_path, "NetworkManager.service")
    write(tmp_path, "run/NetworkManager/devices/3", state)
    write(tmp_path, "run/NetworkManager/devices/2", MANAGED)
    assert second_writers(LINK, tmp_path) == ()


def test_what_a_stopped_writer_left_does_not_count(tmp_path: Path) -> None:
    write(tmp_path, "run/NetworkManager/devices/3", MANAGED)
    write(tmp_path, "run/systemd/netif/links/3", CONFIGURED)
    assert second_writers(LINK, tmp_path) == ()


def test_networkd_is_named_and_the_file_by_which_it_does(tmp_path: Path) -> None:
    run(tmp_path, "systemd-networkd.service")
    write(tmp_path, "run/systemd/netif/links/3", CONFIGURED)
    (text,) = second_writers(LINK, tmp_path)
    assert text.startswith("systemd-networkd manages eth1 by /run/systemd/network/10-netplan-all.network: ")
    assert "MACAddress=20:90:6f:00:0a:01" in text
    assert "ManageForeignRoutingPolicyRules=no" in text


@pytest.mark.parametrize("state", ["unmanaged", "pending", "linger"])
def test_networkd_leaves_a_card_alone(tmp_path: Path, state: str) -> None:
    run(tmp_path, "systemd-networkd.service")
    write(tmp_path, "run/systemd/netif/links/3", f"ADMIN_STATE={state}\n")
    assert second_writers(LINK, tmp_path) == ()


@pytest.mark.parametrize("fifo", ["run/cloud-init/hook-hotplug-cmd", "run/cloud-init/share/hook-hotplug-cmd"])
def test_cloud_inits_hotplug_hook_is_named(tmp_path: Path, fifo: str) -> None:
    write(tmp_path, HOOK)
    assert second_writers(LINK, tmp_path) == ()  # nobody listens
    write(tmp_path, fifo)
    (text,) = second_writers(LINK, tmp_path)
    assert text.startswith(f"cloud-init sets up network cards when they are attached (/{HOOK}): ")
    assert "systemctl disable --now cloud-init-hotplugd.socket" in text


def test_cloud_init_that_is_off_or_has_no_rule_does_not_count(tmp_path: Path) -> None:
    write(tmp_path, "run/cloud-init/hook-hotplug-cmd")
    assert second_writers(LINK, tmp_path) == ()
    write(tmp_path, HOOK)
    write(tmp_path, "etc/cloud/cloud-init.disabled")
    assert second_writers(LINK, tmp_path) == ()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("etc/udev/rules.d/80-nic-hotplug.rules", ""),
        ("etc/udev/rules.d/99-net.rules", 'SUBSYSTEM=="net", RUN+="/usr/local/nic-hotplug/hotplug.sh"\n'),
        ("usr/lib/systemd/system/nic_hotplug.service", ""),
    ],
)
def test_nic_hotplug_is_named_by_its_files(tmp_path: Path, name: str, text: str) -> None:
    write(tmp_path, name, text)
    assert second_writers(LINK, tmp_path) == (
        f"nic-hotplug sets up network cards when they are attached (/{name}): remove it",
    )


def test_all_are_named(tmp_path: Path) -> None:
    for unit in ("NetworkManager.service", "systemd-networkd.service"):
        run(tmp_path, unit)
    write(tmp_path, "run/NetworkManager/devices/3", MANAGED)
    write(tmp_path, "run/systemd/netif/links/3", CONFIGURED)
    write(tmp_path, HOOK)
    write(tmp_path, "run/cloud-init/hook-hotplug-cmd")
    write(tmp_path, "etc/udev/rules.d/80-nic-hotplug.rules")
    found = second_writers(LINK, tmp_path)
    assert [text.split()[0] for text in found] == [
        "NetworkManager",
        "systemd-networkd",
        "cloud-init",
        "nic-hotplug",
    ]


def test_a_huge_file_is_read_in_part(tmp_path: Path) -> None:
    run(tmp_path, "NetworkManager.service")
    write(tmp_path, "run/NetworkManager/devices/3", "#" * 100_000 + "\nmanaged=true\n")
    assert second_writers(LINK, tmp_path) == ()


def test_on_this_machine_nobody_manages_a_card_that_is_not_there() -> None:
    found = second_writers(Link(2**31 - 1, "none", LINK.mac))
    assert not [text for text in found if "manages none" in text]
