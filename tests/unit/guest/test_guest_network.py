from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hafailover.config.model import Group
from hafailover.config.routing import route
from hafailover.errors import GuestError
from hafailover.guest.interface import Interface
from hafailover.guest.network import GuestNetwork, NullGuest, require_capability

if TYPE_CHECKING:
    from pathlib import Path


def status(folder: Path, effective: str) -> Path:
    path = folder / "status"
    path.write_text(f"Name:\tpython3\nCapPrm:\t0000000000000000\nCapEff:\t{effective}\nSeccomp:\t0\n")
    return path


@pytest.mark.parametrize("effective", ["0000000000001000", "000001ffffffffff"])
def test_the_capability_is_seen(tmp_path: Path, effective: str) -> None:
    require_capability(status(tmp_path, effective))


@pytest.mark.parametrize("effective", ["0000000000000000", "000001ffffffefff"])
def test_a_missing_capability_is_one_clear_line(tmp_path: Path, effective: str) -> None:
    with pytest.raises(GuestError, match="CAP_NET_ADMIN is missing") as caught:
        require_capability(status(tmp_path, effective))
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is sure to have it")
def test_root_has_the_capability() -> None:
    require_capability()


async def test_a_guest_left_alone_is_as_it_should_be() -> None:
    guest: GuestNetwork = NullGuest()
    await guest.open()
    link = await guest.find_link(mac="02:AB:00:00:00:01")
    assert (link.index, link.mac) == (0, "02:ab:00:00:00:01")
    assert (await guest.find_link(name="eth0")).name == "eth0"
    await guest.arm("10.0.1.100", link)
    await guest.disarm("10.0.1.100")
    assert await guest.present(["10.0.1.100"]) == {"10.0.1.100"}
    await guest.plug(Interface(link.mac, ("10.0.2.5",), 24, "10.0.2.1"), deadline_s=0)
    await guest.unplug(link.mac)
    await guest.unplug_others()
    assert await guest.plugged([link.mac]) == {link.mac}
    group = Group("vip", addresses=("10.0.1.100",), routes=(route("10.8.0.0/16"),))
    await guest.lift_others([group])
    await guest.lay(group, link)
    await guest.lift(group)
    assert await guest.lacking(group, link) == {}
    watching = asyncio.create_task(guest.watch(lambda _address: None))
    await asyncio.sleep(0.01)
    assert not watching.done()
    watching.cancel()
    await guest.close()


def test_a_guest_left_alone_does_without_the_library() -> None:
    program = (
        "import sys, hafailover.guest.network, hafailover.guest.netlink, hafailover.guest.hooks\n"
        "print([name for name in sys.modules if name.startswith('pyroute2')])"
    )
    said = subprocess.run((sys.executable, "-c", program), check=True, capture_output=True, text=True, timeout=30)
    assert said.stdout.strip() == "[]"
