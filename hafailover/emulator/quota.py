"""How many ENIs an instance and how many addresses an ENI may have, and how often an action may be called.

The product pages disagree with one another; this is the newer one without its differences by instance family
(ENI product page, usage limits). `private_ips` counts an ENI's primary address too.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quota:
    """ENIs per instance, the primary one included, and addresses per ENI, the primary one included."""

    enis: int
    private_ips: int


MAX_VPC_ENIS = 1000
UNATTACHED = Quota(enis=0, private_ips=30)

# (up to so many cores, below so much memory in GiB or None) -> quota; the first row that fits counts.
TABLE: tuple[tuple[int, int | None, Quota], ...] = (
    (1, 2, Quota(2, 2)),
    (1, None, Quota(2, 6)),
    (7, None, Quota(4, 10)),
    (11, None, Quota(6, 20)),
)
LARGEST = Quota(8, 30)

# Requests per second of one caller; an action that is not here is not limited (API documents, per action).
RATES: dict[str, int] = {
    "DescribeNetworkInterfaces": 100,
    "MigratePrivateIpAddress": 50,
    "AssignPrivateIpAddresses": 100,
    "UnassignPrivateIpAddresses": 100,
    "CreateNetworkInterface": 50,
    "CreateAndAttachNetworkInterface": 20,
    "AssociateNetworkInterfaceSecurityGroups": 20,
    "DisassociateNetworkInterfaceSecurityGroups": 20,
    "AttachNetworkInterface": 50,
    "DetachNetworkInterface": 100,
    "MigrateNetworkInterface": 100,
    "DescribeVpcTaskResult": 20,
    "DescribeNetworkInterfaceLimit": 20,
    "DescribeInstances": 40,
    "DescribeInstancesStatus": 40,
    "StopInstances": 10,
    "StartInstances": 10,
    "RebootInstances": 10,
}


def quota_of(cpu: int, memory_gb: int) -> Quota:
    """Return the quota of an instance with so many cores and GiB of memory."""
    for cores, below_gb, quota in TABLE:
        if cpu <= cores and (below_gb is None or memory_gb < below_gb):
            return quota
    return LARGEST
