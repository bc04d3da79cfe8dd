"""What `hafailover check` says of a valid configuration: the times that follow, and what can never work."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hafailover.config import advice, times
from hafailover.config.duration import render

if TYPE_CHECKING:
    from hafailover.config.model import Config
    from hafailover.config.times import ServiceTimes, Times
    from hafailover.errors import Problem


@dataclass(frozen=True, slots=True)
class Report:
    """A valid configuration seen by an operator; `digest` is what `status` shows as config_digest, in hex."""

    file: str
    cluster: str
    nodes: int
    groups: int
    digest: str
    times: Times
    warnings: tuple[Problem, ...]


def report(config: Config) -> Report:
    """Return what there is to say of the configuration."""
    return Report(
        file=str(config.path),
        cluster=config.cluster.name,
        nodes=len(config.nodes),
        groups=len(config.groups),
        digest=config.digest.hex(),
        times=times.times(config),
        warnings=advice.warnings(config),
    )


def as_json(said: Report) -> dict[str, Any]:
    """Return the report as JSON has it; fields are added, never renamed."""
    return {"valid": True, **asdict(said)}


def as_text(said: Report) -> str:
    """Return the report for a terminal, with a newline at its end."""
    lines = [f'{said.file}: valid (cluster "{said.cluster}", {_count(said)}, digest {said.digest})', ""]
    lines += [*_cluster_lines(said.times), *(_service_line(service) for service in said.times.services)]
    lines += [_fence_line(group) for group in said.times.fenced]
    if said.warnings:
        lines += ["", "Warnings:", *(f"  {warning.key}: {warning.message}" for warning in said.warnings)]
    return "\n".join(lines) + "\n"


def _count(said: Report) -> str:
    return ", ".join(
        f"{number} {noun}{'' if number == 1 else 's'}"
        for number, noun in ((said.nodes, "node"), (said.groups, "group"))
    )


def _cluster_lines(of: Times) -> list[str]:
    suspicion, detection = render(of.suspicion_ms), render(of.detection_ms)
    example = f"A = {render(times.EXAMPLE_REQUEST_MS)}, T = {render(times.EXAMPLE_MOVE_MS)}"
    return [
        "Times that follow, where A is one API request and T the time that the cloud takes to apply a move",
        f"(in the examples {example}):",
        f"  heartbeats are sent every {render(of.interval_ms)}",
        f"  a silent peer is suspected after {suspicion} and taken for dead after {detection}",
        f"  a peer whose host answers but whose daemon is gone is waited for {render(of.restart_grace_ms)}",
        f"  a lost host costs at most {_outage(of.detection_ms)}",
    ]


def _outage(detection_ms: int) -> str:
    example = render(times.outage_example_ms(detection_ms))
    return f"{render(detection_ms)} + A + T + {render(times.OWN_MS)} (example: {example})"


def _fence_line(group: str) -> str:
    """Say what is added by a power-off: two requests, the cloud's time for it, and what passes until it is seen."""
    return (
        f'  group "{group}", fence: a claim without the old master\'s word waits until that is off, for 3A + P +'
        " at most 1s more, where P is the time that the cloud takes to stop an instance (seconds to minutes)"
    )


def _service_line(of: ServiceTimes) -> str:
    found = f"found after {render(of.found_ms)} ({render(of.interval_ms)} x {of.intervals})"
    if not of.intervals:
        found = "found at once"
    hanging = f"{render(of.hanging_found_ms)} where it hangs"
    costs = f"costs at most {_outage(of.found_ms)}"
    return f'  group "{of.group}", check "{of.check}": a fault is {found}, {hanging}, and {costs}'
