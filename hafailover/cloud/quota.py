"""How many ENIs an instance and how many addresses an ENI may have, by the product page. PURE.

DescribeNetworkInterfaceLimit says it of a given instance, and where it answers it is right; this is for where it
does not. The editions of the page (ENI, usage limits) disagree with one another, and some sizes are on none of
them. A row has what the oldest one says, which has no difference by instance family; and besides, over all editions
and for a size without an entry over its neighbours, the least and the most that there may be. `private_ips` counts
an ENI's primary address too.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quota:
    """ENIs per instance, the primary one included, and addresses per ENI, the primary one included."""

    enis: int
    private_ips: int


@dataclass(frozen=True, slots=True)
class Size:
    """Instances of so many cores and GiB of memory, both ends included, None for no end."""

    cores: tuple[int, int | None]
    memory_gb: tuple[int, int | None] = (0, None)

    def fits(self, cpu: int, memory_gb: int) -> bool:
        """Tell whether an instance is of this size."""
        return _within(cpu, self.cores) and _within(memory_gb, self.memory_gb)


def _within(value: int, bounds: tuple[int, int | None]) -> bool:
    low, high = bounds
    return low <= value and (high is None or value <= high)


@dataclass(frozen=True, slots=True)
class Row:
    """What instances of a size may have: by the oldest edition (None: it has no entry), at least, and at most."""

    size: Size
    page: Quota | None
    least: Quota
    most: Quota


MAX_PRIVATE_IPS = 30  # of an ENI on whatever instance

TABLE: tuple[Row, ...] = (
    Row(Size((0, 1), (0, 1)), Quota(2, 2), Quota(2, 2), Quota(2, 6)),
    Row(Size((0, 1), (2, None)), Quota(2, 6), Quota(2, 6), Quota(2, 6)),
    Row(Size((2, 2)), Quota(2, 10), Quota(2, 10), Quota(4, 10)),
    Row(Size((3, 3)), None, Quota(2, 10), Quota(4, 10)),
    Row(Size((4, 4), (0, 15)), Quota(4, 10), Quota(4, 10), Quota(4, 10)),
    Row(Size((4, 4), (16, 16)), None, Quota(4, 10), Quota(4, 20)),
    Row(Size((4, 4), (17, None)), Quota(4, 20), Quota(4, 10), Quota(4, 20)),
    Row(Size((5, 7)), None, Quota(4, 10), Quota(6, 20)),
    Row(Size((8, 8)), Quota(6, 20), Quota(6, 20), Quota(6, 20)),
    Row(Size((9, 12)), Quota(6, 20), Quota(6, 20), Quota(8, MAX_PRIVATE_IPS)),
    Row(Size((13, None)), *(Quota(8, MAX_PRIVATE_IPS),) * 3),
)


def row_of(cpu: int, memory_gb: int) -> Row:
    """Return the row of an instance with so many cores and GiB of memory, 0 or more of both."""
    return next(row for row in TABLE if row.size.fits(cpu, memory_gb))


def quota_of(cpu: int, memory_gb: int) -> Quota | None:
    """Return the quota of an instance with so many cores and GiB of memory, None where the page has no entry."""
    return row_of(cpu, memory_gb).page
