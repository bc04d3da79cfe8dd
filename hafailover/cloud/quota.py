"""How many ENIs an instance and how many addresses an ENI may have, by the product pages. PURE.

DescribeNetworkInterfaceLimit says it of a given instance, and where it answers it is right; this is for where it
does not. The pages disagree with one another, differ by instance family, and leave sizes out: a row says what is
certain (`least`), what the most generous of them says (`most`), and what the newest one says (`newest`: ENI product
page, usage limits, without its differences by family). `private_ips` counts an ENI's primary address too.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quota:
    """ENIs per instance, the primary one included, and addresses per ENI, the primary one included."""

    enis: int
    private_ips: int


@dataclass(frozen=True, slots=True)
class Row:
    """What holds for instances of up to `cores` (None: any number) and below so much memory in GiB (None: any)."""

    cores: int | None
    below_gb: int | None
    newest: Quota
    least: Quota
    most: Quota


_SMALL, _COMMON, _MIDDLE, _LARGE = Quota(2, 6), Quota(4, 10), Quota(6, 20), Quota(8, 30)

# The first row that fits counts.
TABLE: tuple[Row, ...] = (
    Row(1, 2, Quota(2, 2), Quota(2, 2), _SMALL),
    Row(1, None, _SMALL, _SMALL, _SMALL),
    Row(2, None, _COMMON, Quota(2, 10), _COMMON),
    Row(3, None, _COMMON, Quota(2, 10), _COMMON),  # on no page
    Row(4, 16, _COMMON, _COMMON, _COMMON),
    Row(4, None, _COMMON, _COMMON, Quota(4, 20)),
    Row(7, None, _COMMON, _COMMON, _MIDDLE),  # 5 and 7 cores are on no page
    Row(8, None, _MIDDLE, _MIDDLE, _MIDDLE),
    Row(11, None, _MIDDLE, _MIDDLE, _LARGE),  # 9 and 11 cores are on no page
    Row(12, None, _LARGE, _MIDDLE, _LARGE),
    Row(None, None, _LARGE, _LARGE, _LARGE),
)


def row_of(cpu: int, memory_gb: int) -> Row:
    """Return the row of an instance with so many cores and GiB of memory."""
    fitting = (
        row
        for row in TABLE
        if (row.cores is None or cpu <= row.cores) and (row.below_gb is None or memory_gb < row.below_gb)
    )
    return next(fitting)


def quota_of(cpu: int, memory_gb: int) -> Quota:
    """Return the quota that the newest page gives an instance with so many cores and GiB of memory."""
    return row_of(cpu, memory_gb).newest
