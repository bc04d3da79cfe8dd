"""What a configuration promises in time: the arithmetic behind `hafailover check`. All values are milliseconds.

An outage also takes A, the time of one API request, and T, the time that the cloud takes to apply a move. Both are
the cloud's; the examples here take 100 ms and 500 ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hafailover.config.model import Check, Config

EXAMPLE_REQUEST_MS = 100
EXAMPLE_MOVE_MS = 500
OWN_MS = 20  # what the daemons add at most
WATCHED = ("process", "systemd", "interface")  # types of checks that are told of a change at once


@dataclass(frozen=True, slots=True)
class ServiceTimes:
    """For one check: when a fault is found at the latest, and when the check's program or peer hangs besides.

    `intervals` are those that it takes: `fall`, and one less where the check is told of the change at once.
    """

    group: str
    check: str
    interval_ms: int
    timeout_ms: int
    fall: int
    intervals: int
    found_ms: int
    hanging_found_ms: int
    outage_example_ms: int


@dataclass(frozen=True, slots=True)
class Times:
    """For the cluster; `outage_example_ms` is the longest outage after the loss of a host.

    `fenced` are the groups whose old master is powered off first, which takes as long as the cloud takes for it.
    """

    interval_ms: int
    suspicion_ms: int
    detection_ms: int
    restart_grace_ms: int
    outage_example_ms: int
    services: tuple[ServiceTimes, ...]
    fenced: tuple[str, ...] = ()


def times(config: Config) -> Times:
    """Return the times that follow from the configuration."""
    heartbeat = config.heartbeat
    return Times(
        interval_ms=heartbeat.interval_ms,
        suspicion_ms=heartbeat.dead_interval_ms // 2,
        detection_ms=heartbeat.dead_interval_ms,
        restart_grace_ms=heartbeat.restart_grace_ms,
        outage_example_ms=outage_example_ms(heartbeat.dead_interval_ms),
        services=tuple(_service(group.name, check) for group in config.groups for check in group.checks),
        fenced=tuple(group.name for group in config.groups if group.fence == "stop-instance"),
    )


def outage_example_ms(detection_ms: int) -> int:
    """Return the longest outage in the example, for a fault that is found after this time."""
    return detection_ms + EXAMPLE_REQUEST_MS + EXAMPLE_MOVE_MS + OWN_MS


def _service(group: str, check: Check) -> ServiceTimes:
    intervals = check.fall - 1 if check.type in WATCHED else check.fall
    found_ms = check.interval_ms * intervals
    hanging_found_ms = check.interval_ms * check.fall + check.timeout_ms
    return ServiceTimes(
        group=group,
        check=check.name,
        interval_ms=check.interval_ms,
        timeout_ms=check.timeout_ms,
        fall=check.fall,
        intervals=intervals,
        found_ms=found_ms,
        hanging_found_ms=hanging_found_ms,
        outage_example_ms=outage_example_ms(found_ms),
    )
