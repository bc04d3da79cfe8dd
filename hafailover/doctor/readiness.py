"""The part of an examination that costs next to nothing, for the daemon to repeat: check by check, yes or no. PURE.

It looks at what the daemon has read for itself anyway, at one quota, and at this machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hafailover.doctor import addresses, room
from hafailover.doctor.findings import Level, in_order
from hafailover.doctor.ground import moving_enis, placement, security_groups
from hafailover.doctor.guest import guest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from hafailover.cloud.replies import Limits
    from hafailover.config.model import Node
    from hafailover.doctor.findings import Finding
    from hafailover.doctor.ground import Ground
    from hafailover.doctor.guest import Guest

PLACES = ("eni-gone", "eni-detached", "eni-instance", "security-groups")
ADDRESSES = ("eni-subnet", "address-primary")
ENIS = ("eni-primary", "eni-stranger", "eni-zone", "eni-vpc")
QUOTA = ("quota-addresses",)
GUEST = ("guest-capability", "guest-interface", "guest-leftover")
ROUTES = ("guest-route",)


@dataclass(frozen=True, slots=True)
class Readiness:
    """What was found. `checks`: for each finding looked for, whether it is absent; None where that is not known."""

    checks: Mapping[str, bool | None]
    findings: tuple[Finding, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as it stands in the status."""
        return {
            "checks": dict(self.checks),
            "findings": [
                {"name": each.name, "level": each.level.value, "about": each.about, "what": each.what}
                for each in self.findings
            ],
        }


def examine(
    ground: Ground, me: Node, limits: Limits | None, seen: Guest | None, busy: Collection[str]
) -> Readiness:
    """Look at the ENIs, at this node's quota where it is known, and at this machine where a group needs it."""
    allowed = {} if limits is None else {me.name: room.by_api(limits)}
    found = in_order(
        (
            *placement(ground),
            *security_groups(ground),
            *moving_enis(ground),
            *(each for each in addresses.holders(ground) if each.name in ADDRESSES),
            *room.addresses(ground, allowed),
            *(() if seen is None else guest(ground, me, seen, busy)),
        )
    )
    open_names = {each.name for each in found if each.level is Level.UNKNOWN}
    wrong = {each.name for each in found} - open_names
    known = set(_known(ground, limits, seen)) - open_names
    checks = {name: name not in wrong if name in known | wrong else None for name in _looked_for(ground)}
    return Readiness(checks, tuple(each for each in found if each.name in checks))


def _looked_for(ground: Ground) -> Iterator[str]:
    yield from PLACES
    yield from ADDRESSES if ground.addresses else ()
    yield from ENIS if ground.moving else ()
    yield from QUOTA if ground.addresses else ()
    yield from GUEST if any(group.guest == "netlink" for group in ground.config.groups) else ()
    yield from ROUTES if any(group.followers for group in ground.config.groups) else ()


def _known(ground: Ground, limits: Limits | None, seen: Guest | None) -> Iterator[str]:
    yield from (*PLACES, *ADDRESSES, *(ENIS if ground.moving else ()))
    yield from () if limits is None else QUOTA
    yield from () if seen is None or seen.error else GUEST
    yield from ROUTES if seen is not None and seen.lacking else ()
