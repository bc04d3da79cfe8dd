"""What the cloud refuses for a while: no room on a target, a task at work, an action that there is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hafailover.emulator.values import ApiError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

TAKES = frozenset(
    {
        "MigratePrivateIpAddress",
        "AssignPrivateIpAddresses",
        "AssignIpv6Addresses",
        "MigrateNetworkInterface",
        "AttachNetworkInterface",
    }
)
RELEASES = frozenset({"UnassignPrivateIpAddresses", "UnassignIpv6Addresses", "DetachNetworkInterface"})


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A refusal of some actions: to one caller, or of one resource, or of all."""

    code: str
    actions: Collection[str]
    caller: str | None = None
    resource: str | None = None

    def bears_on(self, caller: str, action: str, params: Mapping[str, object]) -> bool:
        """Whether a request is refused by this rule."""
        if action not in self.actions or self.caller not in (None, caller):
            return False
        return self.resource is None or self.resource in named(params)


def named(params: Mapping[str, object]) -> list[str]:
    """Return the resources that a write is about: ENIs that move, or addresses."""
    found: list[str] = []
    for key, field in (("PrivateIpAddresses", "PrivateIpAddress"), ("Ipv6Addresses", "Address")):
        listed = params.get(key)
        found += [str(each[field]) for each in listed] if isinstance(listed, list) else []
    keys = () if found else ("AddressId", "PrivateIpAddress", "NetworkInterfaceId")
    return found or [str(params[key]) for key in keys if key in params][:1]


class Refusals:
    """The rules in force."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def admit(self, caller: str, action: str, params: Mapping[str, object]) -> None:
        """Let a request pass. Raises ApiError where a rule bears on it."""
        for rule in self.rules:
            if rule.bears_on(caller, action, params):
                raise ApiError(rule.code, "That is refused for a while.")
