"""How many ENIs an instance and how many addresses an ENI may have, and how often an action may be called.

The editions of the product page (ENI, usage limits) disagree with one another; this is the oldest, which allows the
least and has no entry for some sizes. What an instance of such a size may have is unknown, unless a world says it.
"""

from __future__ import annotations

from dataclasses import dataclass

from hafailover.cloud.quota import Quota


@dataclass(frozen=True, slots=True)
class Size:
    """Instances of so many cores and GiB of memory, both ends included, None for no end."""

    cores: tuple[int, int | None]
    memory_gb: tuple[int, int | None] = (1, None)

    def fits(self, cpu: int, memory_gb: int) -> bool:
        """Tell whether an instance is of this size."""
        return _within(cpu, self.cores) and _within(memory_gb, self.memory_gb)


def _within(value: int, bounds: tuple[int, int | None]) -> bool:
    low, high = bounds
    return low <= value and (high is None or value <= high)


MAX_VPC_ENIS = 1000
MAX_PRIVATE_IPS = 30  # of an ENI on whatever instance
UNATTACHED = Quota(enis=0, private_ips=MAX_PRIVATE_IPS)

# Not in it: 3 and 5 to 7 cores, and 4 cores with just 16 GiB.
TABLE: tuple[tuple[Size, Quota], ...] = (
    (Size((1, 1), (1, 1)), Quota(2, 2)),
    (Size((1, 1), (2, None)), Quota(2, 6)),
    (Size((2, 2)), Quota(2, 10)),
    (Size((4, 4), (1, 15)), Quota(4, 10)),
    (Size((4, 4), (17, None)), Quota(4, 20)),
    (Size((8, 12)), Quota(6, 20)),
    (Size((13, None)), Quota(8, MAX_PRIVATE_IPS)),
)

RATE_CODES = ("RequestLimitExceeded", "LimitExceeded.ActionLimited")

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


def quota_of(cpu: int, memory_gb: int) -> Quota | None:
    """Return the quota of an instance with so many cores and GiB of memory, None where the table has a gap."""
    return next((quota for size, quota in TABLE if size.fits(cpu, memory_gb)), None)
