"""Who else may set up a network card here: two writers of one card undo each other's work.

It is told from what they leave in /run and /etc, without asking anybody and without starting anything. Those files
stay when their writer has ended, so it must also have a cgroup: systemd removes that with the last process.

- NetworkManager notes in /run/NetworkManager/devices/INDEX whether it manages a card.
- systemd-networkd does so in /run/systemd/netif/links/INDEX. When it starts it also removes all rules and routes
  that it has not made, of any card, unless networkd.conf says otherwise.
- cloud-init sets up cards that are attached where its udev rule is there and its FIFO listens.
- Tencent's nic-hotplug does the same on CentOS, by udev rules or units of that name.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hafailover.guest.network import Link

_MOST_BYTES: Final = 64 * 1024
_MOST_FILES: Final = 200
_CGROUPS: Final = ("sys/fs/cgroup", "sys/fs/cgroup/unified", "sys/fs/cgroup/systemd")
_RULES: Final = ("etc/udev/rules.d", "run/udev/rules.d", "usr/lib/udev/rules.d", "lib/udev/rules.d")
_UNITS: Final = ("etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system")
_CLOUD_INIT_FIFOS: Final = ("run/cloud-init/hook-hotplug-cmd", "run/cloud-init/share/hook-hotplug-cmd")


def second_writers(link: Link, root: Path = Path("/")) -> tuple[str, ...]:
    """Return a sentence for each other program that may set up this card: which, and how to make it stop.

    It reads at most some hundred small files below `root`; what cannot be read counts as not there. `link` needs
    its MAC address, for what it says to be done.
    """
    found = (_network_manager(link, root), _networkd(link, root), _cloud_init(root), _nic_hotplug(root))
    return tuple(text for text in found if text)


def _network_manager(link: Link, root: Path) -> str:
    state = _values(root / f"run/NetworkManager/devices/{link.index}")
    if state.get("managed") != "true" or not _runs("NetworkManager.service", root):
        return ""
    return (
        f"NetworkManager manages {link.name}: write [keyfile] unmanaged-devices=mac:{link.mac} into a file in"
        " /etc/NetworkManager/conf.d and run: systemctl reload NetworkManager"
    )


def _networkd(link: Link, root: Path) -> str:
    state = _values(root / f"run/systemd/netif/links/{link.index}")
    managed = state.get("ADMIN_STATE") in ("configuring", "configured")
    if not managed or not _runs("systemd-networkd.service", root):
        return ""
    file = state.get("NETWORK_FILE")
    by = f" by {file}" if file else ""
    return (
        f"systemd-networkd manages {link.name}{by}: write [Match] MACAddress={link.mac} and [Link] Unmanaged=yes"
        " into /etc/systemd/network/00-unmanaged.network, ManageForeignRoutes=no and"
        " ManageForeignRoutingPolicyRules=no into networkd.conf, and run: systemctl restart systemd-networkd"
    )


def _cloud_init(root: Path) -> str:
    rule = next(_named("*cloud-init-hook-hotplug*.rules", _RULES, root), None)
    listens = any((root / fifo).exists() for fifo in _CLOUD_INIT_FIFOS)
    if rule is None or not listens or (root / "etc/cloud/cloud-init.disabled").exists():
        return ""
    return (
        f"cloud-init sets up network cards when they are attached ({rule}): take hotplug out of its"
        " updates.network.when and run: systemctl disable --now cloud-init-hotplugd.socket"
    )


def _nic_hotplug(root: Path) -> str:
    name = next(_named("*nic[-_]hotplug*", (*_RULES, *_UNITS), root), None) or _rule_that_says("nic-hotplug", root)
    if name is None:
        return ""
    return f"nic-hotplug sets up network cards when they are attached ({name}): remove it"


def _runs(unit: str, root: Path) -> bool:
    return any((root / cgroup / "system.slice" / unit).is_dir() for cgroup in _CGROUPS)


def _named(pattern: str, folders: tuple[str, ...], root: Path) -> Iterator[Path]:
    """Yield the files of this name, as they are named on this machine."""
    for folder in folders:
        for path in (root / folder).glob(pattern):
            yield Path("/") / path.relative_to(root)


def _rule_that_says(word: str, root: Path) -> Path | None:
    """Return the udev rule of this machine's administrator that mentions the word."""
    rules = islice((root / _RULES[0]).glob("*.rules"), _MOST_FILES)
    found = next((path for path in rules if word in _read(path)), None)
    return found and Path("/") / found.relative_to(root)


def _values(path: Path) -> dict[str, str]:
    """Return the values of a file of KEY=VALUE lines, without its sections."""
    pairs = (line.partition("=") for line in _read(path).splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode(errors="replace")
    except OSError:
        return ""
