"""What a daemon that died leaves on its guest, and who takes it away.

A daemon that is killed keeps its addresses and ENIs: when it comes back within the grace, nothing is lost. When it
does not come back, they must go, or this machine goes on answering itself for an address that is another's. The
dead cannot do that, and the configuration may be what it died of. So a daemon that starts notes its addresses and
ENIs in systemd's runtime directory, which lives exactly as long as they do, until the machine boots again;
`hafailover release-guest` takes off what is noted. When that is due is systemd's to know:
hafailover-guest.service. Which cards are those of the ENIs need not be noted, nor which routes and rules followed
the addresses: what the kernel has of them is marked as ours.
"""

from __future__ import annotations

import asyncio
import os
import sys
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from hafailover.errors import GuestError
from hafailover.guest.netlink import Guest

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence

    from hafailover.config.model import Group
    from hafailover.guest.network import GuestNetwork

    Leave = Callable[[], Coroutine[object, object, None]]

FILE = "addresses"
MOST_BYTES = 1 << 20
DEFAULT_DIRECTORY = Path("/run/hafailover")

log = structlog.get_logger()


def directory_of(environment: Mapping[str, str]) -> Path | None:
    """Return the runtime directory that systemd has made for this service, None where it has not."""
    first = environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(first) if first.startswith("/") else None


async def note(
    directory: Path, groups: Sequence[Group], guest: GuestNetwork, own: Iterable[str | None] = ()
) -> None:
    """Note the addresses and ENIs that a daemon with these groups may put on the guest.

    What an earlier one has noted and this one's configuration does not know any more comes off at once; of ENIs,
    where none is left at all and none of them is a node's `own` by now: which card is whose, the cloud must say
    first. Neither failing keeps a daemon from its work; it is logged.
    """
    try:
        old = noted(directory)
    except OSError:
        old = ()
    known = {word for group in groups for word in (*group.addresses, *group.enis)}
    unclear = any(map(_is_eni, known)) or not set(own).isdisjoint(old)
    strays = [word for word in old if word not in known and not (_is_eni(word) and unclear)]
    if strays:
        log.info("leftovers_released", addresses=strays, failed=await _take_off(guest, strays))
    renew(directory, groups)


def renew(directory: Path, groups: Sequence[Group]) -> None:
    """Note what a daemon with these groups may put on the guest, and leave what was noted before where it is."""
    netlink = [group for group in groups if group.guest == "netlink"]
    ours = [word for group in netlink for word in (*group.addresses, *group.enis)]
    try:
        _write(directory / FILE, ours)
    except OSError as error:
        log.warning("leftovers_not_noted", directory=str(directory), error=error.strerror or str(error))


async def lift(guest: GuestNetwork, groups: Sequence[Group]) -> None:
    """Take off the routes and rules that follow the addresses of none of these groups; they need no note."""
    try:
        await guest.lift_others(groups)
    except GuestError as error:
        log.warning("leftovers_not_released", error=str(error))


def noted(directory: Path) -> tuple[str, ...]:
    """Return the addresses and ENIs noted there; raises OSError where the file cannot be read."""
    try:
        with (directory / FILE).open("rb") as file:
            words = file.read(MOST_BYTES).decode("ascii", errors="replace").split()
    except FileNotFoundError:
        return ()
    return tuple(word for word in words if _is_eni(word) or _is_address(word))


def _is_eni(word: str) -> bool:
    return word.startswith("eni-")


def _is_address(word: str) -> bool:
    try:
        ip_address(word)
    except ValueError:
        return False
    return True


def _write(path: Path, words: Iterable[str]) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text("".join(f"{word}\n" for word in words), encoding="ascii")
    fresh.replace(path)


async def _take_off(guest: GuestNetwork, words: Sequence[str], *first: Leave) -> list[str]:
    """Remove the addresses, and all ENIs where one is named; return what kept any from going, each once."""
    complaints: dict[str, None] = {}
    leaving: list[Leave] = [*first, *(partial(guest.disarm, word) for word in words if not _is_eni(word))]
    if any(map(_is_eni, words)):
        leaving.append(guest.unplug_others)
    for leave in leaving:
        try:
            await leave()
        except GuestError as error:
            complaints[str(error)] = None
    return list(complaints)


def add_arguments(_parser: ArgumentParser) -> None:
    """Add nothing: systemd's environment says where to look."""


def run(_args: Namespace) -> int:
    """Take everything off the guest that is noted; return 0, or 1 where something stays."""
    directory = directory_of(os.environ) or DEFAULT_DIRECTORY
    try:
        words = noted(directory)
        complaints = asyncio.run(_release(words)) if words else []
        if not complaints:
            (directory / FILE).unlink(missing_ok=True)
    except OSError as error:
        complaints = [f"{directory / FILE}: {error.strerror or error}"]
    for complaint in complaints:
        sys.stderr.write(f"{complaint}\n")
    return 1 if complaints else 0


async def _release(words: Sequence[str]) -> list[str]:
    guest = Guest()
    try:
        await guest.open()
    except GuestError as error:
        return [str(error)]
    try:
        return await _take_off(guest, words, partial(guest.lift_others, ()))
    finally:
        await guest.close()
