"""Whether there is room on every node that something may move to. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hafailover.doctor.findings import failure, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hafailover.cloud.quota import Row
    from hafailover.cloud.replies import Eni, Limits
    from hafailover.config.model import Node
    from hafailover.doctor.findings import Finding
    from hafailover.doctor.ground import Ground


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an instance is allowed: certainly `least`, at most `most`; the same where the API has said it."""

    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Allowed:
    """ENIs of an instance and addresses of each; `source` is who says so, "" where nobody did."""

    enis: Bounds
    private_ips: Bounds
    source: str


def by_api(limits: Limits) -> Allowed:
    """Return what DescribeNetworkInterfaceLimit says."""
    return Allowed(
        Bounds(limits.enis, limits.enis),
        Bounds(limits.private_ips, limits.private_ips),
        "DescribeNetworkInterfaceLimit",
    )


def by_table(row: Row) -> Allowed:
    """Return what the product pages say of an instance of this size."""
    return Allowed(
        Bounds(row.least.enis, row.most.enis),
        Bounds(row.least.private_ips, row.most.private_ips),
        "the product pages",
    )


def addresses(ground: Ground, allowed: Mapping[str, Allowed]) -> Iterator[Finding]:
    """Look for room for all addresses on every node's ENI; nothing is said of nodes that `allowed` leaves out."""
    for node, eni in ground.placed:
        there = {held.ip for held in eni.addresses}
        more = [address for address in ground.addresses if ":" not in address and address not in there]
        if node.name in allowed and more:
            yield from _addresses(node, eni, len(more), allowed[node.name])


def _addresses(node: Node, eni: Eni, more: int, allowed: Allowed) -> Iterator[Finding]:
    count = _ipv4(eni)
    have = f"{eni.id} has {count} addresses and would get {more} more"
    yield from _judge("quota-addresses", node.name, have, count + more, allowed.private_ips, allowed.source)


def _ipv4(eni: Eni) -> int:
    """Return how many of an ENI's addresses count: the API says nothing of how many IPv6 ones there may be."""
    return sum(":" not in held.ip for held in eni.addresses)


def enis(
    ground: Ground, allowed: Mapping[str, Allowed], attached: Mapping[str, frozenset[str]]
) -> Iterator[Finding]:
    """Look for room for all moving ENIs, with their addresses, on every node; `attached` are each node's ENIs."""
    for node in ground.members:
        if node.name not in allowed or node.name not in attached or not ground.moving:
            continue
        there, rules = attached[node.name], allowed[node.name]
        more = [eni_id for eni_id in ground.moving if eni_id in ground.enis and eni_id not in there]
        if more:
            have = f"it has {len(there)} ENIs and would get {len(more)} more"
            yield from _judge("quota-enis", node.name, have, len(there) + len(more), rules.enis, rules.source)
        for eni_id in more:
            yield from _carried(node, ground.enis.get(eni_id), rules)


def _carried(node: Node, eni: Eni | None, allowed: Allowed) -> Iterator[Finding]:
    if eni is not None:
        have = f"{eni.id} brings {_ipv4(eni)} addresses"
        yield from _judge("quota-addresses", node.name, have, _ipv4(eni), allowed.private_ips, allowed.source)


def _judge(name: str, about: str, have: str, needed: int, bounds: Bounds, source: str) -> Iterator[Finding]:
    if needed > bounds.most:
        yield failure(name, about, f"{have}; {bounds.most} are allowed ({source})")
    elif needed > bounds.least:
        said = f"{have}; {source} leave open whether {bounds.least} or {bounds.most} are allowed"
        yield unknown(name, about, said)
