"""What a daemon that died leaves on its guest, and who takes it away.

A daemon that is killed keeps its addresses: when it comes back within the grace, nothing is lost. When it does not
come back, they must go, or this machine goes on answering itself for an address that is another's. The dead cannot
do that, and the configuration may be what it died of. So a daemon that starts notes its addresses in systemd's
runtime directory, which lives exactly as long as the addresses do, until the machine boots again;
`hafailover release-guest` takes off what is noted. When that is due is systemd's to know: hafailover-guest.service.
"""

from __future__ import annotations

import asyncio
import os
import sys
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from hafailover.errors import GuestError
from hafailover.guest.netlink import Guest

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable, Mapping, Sequence

    from hafailover.config.model import Group
    from hafailover.guest.network import GuestNetwork

FILE = "addresses"
MOST_BYTES = 1 << 20
DEFAULT_DIRECTORY = Path("/run/hafailover")

log = structlog.get_logger()


def directory_of(environment: Mapping[str, str]) -> Path | None:
    """Return the runtime directory that systemd has made for this service, None where it has not."""
    first = environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(first) if first.startswith("/") else None


async def note(directory: Path, groups: Sequence[Group], guest: GuestNetwork) -> None:
    """Note the addresses that a daemon with these groups may put on the guest.

    What an earlier one has noted and this one's configuration does not know any more comes off at once. Neither
    failing keeps a daemon from its work; it is logged.
    """
    try:
        old = noted(directory)
    except OSError:
        old = ()
    known = {address for group in groups for address in group.addresses}
    strays = [address for address in old if address not in known]
    if strays:
        log.info("leftovers_released", addresses=strays, failed=await _take_off(guest, strays))
    ours = [address for group in groups if group.guest == "netlink" for address in group.addresses]
    try:
        _write(directory / FILE, ours)
    except OSError as error:
        log.warning("leftovers_not_noted", directory=str(directory), error=error.strerror or str(error))


def noted(directory: Path) -> tuple[str, ...]:
    """Return the addresses noted there, without what is none; raises OSError where the file cannot be read."""
    try:
        with (directory / FILE).open("rb") as file:
            words = file.read(MOST_BYTES).decode("ascii", errors="replace").split()
    except FileNotFoundError:
        return ()
    return tuple(word for word in words if _is_address(word))


def _is_address(word: str) -> bool:
    try:
        IPv4Address(word)
    except ValueError:
        return False
    return True


def _write(path: Path, addresses: Iterable[str]) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text("".join(f"{address}\n" for address in addresses), encoding="ascii")
    fresh.replace(path)


async def _take_off(guest: GuestNetwork, addresses: Iterable[str]) -> list[str]:
    """Remove the addresses; return what kept any of them from going, each once."""
    complaints: dict[str, None] = {}
    for address in addresses:
        try:
            await guest.disarm(address)
        except GuestError as error:
            complaints[str(error)] = None
    return list(complaints)


def add_arguments(_parser: ArgumentParser) -> None:
    """Add nothing: systemd's environment says where to look."""


def run(_args: Namespace) -> int:
    """Take everything off the guest that is noted; return 0, or 1 where something stays."""
    directory = directory_of(os.environ) or DEFAULT_DIRECTORY
    try:
        addresses = noted(directory)
        complaints = asyncio.run(_release(addresses)) if addresses else []
        if not complaints:
            (directory / FILE).unlink(missing_ok=True)
    except OSError as error:
        complaints = [f"{directory / FILE}: {error.strerror or error}"]
    for complaint in complaints:
        sys.stderr.write(f"{complaint}\n")
    return 1 if complaints else 0


async def _release(addresses: Iterable[str]) -> list[str]:
    guest = Guest()
    try:
        await guest.open()
    except GuestError as error:
        return [str(error)]
    try:
        return await _take_off(guest, addresses)
    finally:
        await guest.close()
