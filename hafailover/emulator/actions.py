"""The actions that there are: of which product, and what reads a request for a write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.emulator import eni_moves, power, writes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hafailover.emulator.writing import Parser

PARSERS: Mapping[str, Parser] = {**writes.PARSERS, **eni_moves.PARSERS, **power.PARSERS}
POWER_ACTIONS = frozenset(power.PARSERS)
WRITE_ACTIONS = frozenset(PARSERS)
VPC_READS = frozenset({"DescribeNetworkInterfaces", "DescribeNetworkInterfaceLimit", "DescribeVpcTaskResult"})
CVM_READS = frozenset({"DescribeInstances", "DescribeInstancesStatus"})
SERVICES: Mapping[str, frozenset[str]] = {
    "vpc": VPC_READS | (WRITE_ACTIONS - POWER_ACTIONS),
    "cvm": CVM_READS | POWER_ACTIONS,
}
