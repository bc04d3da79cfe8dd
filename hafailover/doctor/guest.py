"""Whether this machine could take the addresses: rights, interface, filters, leftovers. PURE."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hafailover.doctor.findings import failure, unknown, warning

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from hafailover.config.model import Node
    from hafailover.doctor.findings import Finding
    from hafailover.doctor.ground import Ground

TO_COME = "interfaces to come"
STRICT = 1  # net.ipv4.conf.*.rp_filter (Linux, networking/ip-sysctl)


@dataclass(frozen=True, slots=True)
class Guest:
    """What was seen of this machine.

    `capable`: whether the daemon, or else this process as root, may change addresses; None where that is not known.
    `interface`: the one of the node's ENI, "" where it was not found, for the reason `link_error`. `present`: those
    of the groups' addresses that it carries, None where that could not be read, for the reason `error`. `filters`:
    rp_filter by interface, with "all" and "default". `way_out`: the interface of the default route. `writers`: what
    there is to say of other programs that may set up a card, with the card's name. `lacking`: by group, what of its
    routes and rules is not there, each with what is in its way, "" where nothing is.
    """

    capable: bool | None = None
    interface: str = ""
    link_error: str = ""
    present: frozenset[str] | None = None
    error: str = ""
    filters: Mapping[str, int] = field(default_factory=dict)
    way_out: str | None = None
    writers: tuple[tuple[str, str], ...] = ()
    lacking: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def guest(ground: Ground, me: Node, seen: Guest, busy: Collection[str]) -> Iterator[Finding]:
    """Look at this machine; `busy` are the groups that are just being claimed or released here."""
    if seen.capable is False:
        yield failure("guest-capability", me.name, "CAP_NET_ADMIN is missing")
    elif seen.capable is None:
        found = "doctor is not root and can look at no daemon's process, so the rights of that are not known"
        yield unknown("guest-capability", me.name, found)
    if seen.error:
        yield unknown("guest-unreadable", me.name, seen.error)
        return
    if seen.link_error:
        yield failure("guest-interface", me.name, seen.link_error)
    yield from _filters(ground, seen)
    for interface, found in seen.writers:
        yield warning("second-writer", interface, found)
    yield from leftovers(ground, me, seen.present or frozenset(), busy)
    yield from _routes(ground, me, seen, busy)


def _routes(ground: Ground, me: Node, seen: Guest, busy: Collection[str]) -> Iterator[Finding]:
    """Look for what is in the way of the routes and rules that follow addresses, or is gone where these are."""
    for group in ground.config.groups:
        serves = group.name not in busy and (seen.present or frozenset()).issuperset(group.addresses)
        holds = all(ground.own.get(me.name) in _holders(ground, address) for address in group.addresses)
        for each, obstacle in seen.lacking.get(group.name, {}).items():
            if obstacle:
                yield failure("guest-route", each, obstacle)
            elif serves and holds:
                yield failure("guest-route", each, f'it is not there, though {me.name} has group "{group.name}"')


def _holders(ground: Ground, address: str) -> list[str]:
    return [eni.id for eni in ground.enis.values() if any(held.ip == address for held in eni.addresses)]


def _filters(ground: Ground, seen: Guest) -> Iterator[Finding]:
    """Look at the interface where it is not the way out, and at those to come where ENIs move."""
    names = [seen.interface] if seen.interface and seen.way_out not in (None, seen.interface) else []
    names += ["default"] if ground.moving else []
    for name in names:
        value = max(seen.filters.get("all", 0), seen.filters.get(name, 0))  # the kernel takes the greater one
        if value == STRICT:
            about = TO_COME if name == "default" else name
            yield warning("guest-rp-filter", about, "rp_filter is strict (1)")


def leftovers(ground: Ground, me: Node, present: Collection[str], busy: Collection[str]) -> Iterator[Finding]:
    """Look for addresses that are configured here although the cloud names another holder."""
    own = ground.own.get(me.name)
    for group in ground.config.groups:
        if group.guest != "netlink" or group.name in busy:
            continue
        for address in group.addresses:
            holders = _holders(ground, address)
            if address in present and holders and own not in holders:
                found = f"it is configured here, and the cloud says that {holders[0]} has it"
                yield failure("guest-leftover", address, found)
