"""The actions that there are: of which product, and what reads a request for a write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hafailover.emulator import (
    eip_reads,
    eip_writes,
    eni_creation,
    eni_moves,
    power,
    reads,
    repair_reads,
    vpc_reads,
    writes,
)
from hafailover.emulator.eni_attributes import AT_ONCE
from hafailover.emulator.task_reads import TASK_READS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hafailover.emulator.network import Network
    from hafailover.emulator.writing import Parser

    Reader = Callable[[Network, Mapping[str, Any]], dict[str, Any]]

PARSERS: Mapping[str, Parser] = {
    **writes.PARSERS,
    **eni_moves.PARSERS,
    **eni_creation.PARSERS,
    **eip_writes.PARSERS,
    **power.PARSERS,
}
POWER_ACTIONS = frozenset(power.PARSERS)
WRITE_ACTIONS = frozenset({*PARSERS, *AT_ONCE})
CVM_READS: Mapping[str, Reader] = {
    "DescribeInstances": reads.describe_instances,
    "DescribeInstancesStatus": reads.describe_instances_status,
    "DescribeTaskInfo": repair_reads.describe_task_info,
}
VPC_READS: Mapping[str, Reader] = {
    "DescribeNetworkInterfaceLimit": reads.describe_network_interface_limit,
    "DescribeAddresses": eip_reads.describe_addresses,
    **vpc_reads.READS,
}
READS = {**CVM_READS, **VPC_READS}
ENIS = "DescribeNetworkInterfaces"  # takes a rule besides
SERVICES: Mapping[str, frozenset[str]] = {
    "vpc": frozenset({*VPC_READS, ENIS, *TASK_READS}) | (WRITE_ACTIONS - POWER_ACTIONS),
    "cvm": frozenset(CVM_READS) | POWER_ACTIONS,
}
