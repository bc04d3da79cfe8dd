"""The status as JSON: what `hafailover status --json` prints, the gauges are read from, and scripts rely on.

Fields are added and never renamed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import hafailover
from hafailover.daemon import clock
from hafailover.election.peers import Liveness
from hafailover.election.values import ResourceKind
from hafailover.observe.history import timestamp

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from hafailover.checks.result import CheckResult
    from hafailover.config.model import Group
    from hafailover.election.status import GroupOnPeer, GroupStatus, NodeStatus, PeerStatus, ResourceStatus
    from hafailover.heartbeat.path import Path, PeerPathStats
    from hafailover.observe.history import History

Json = dict[str, Any]


class Stamps:
    """The time of day at which each group came into its state, noted once: it must not move with the clocks."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[int, int]] = {}

    def of(self, group: str, since: int, now_ms: int) -> int:
        """Return the time of day of an instant of the monotonic clock, in milliseconds since 1970."""
        known = self._of.get(group)
        if known is None or known[0] != since:
            known = self._of[group] = (since, clock.wall_ms() - (now_ms - since))
        return known[1]


@dataclass(frozen=True, slots=True)
class Facts:
    """What belongs to a status and is not the core's: all of it as of now."""

    config_digest: bytes
    started_at_ms: int
    paths: Sequence[Path]
    broker: Json | None  # how the connection to it is, None where the file names none
    history: History
    checks: Mapping[tuple[str, str], CheckResult]
    log_lines_lost: int
    began: Stamps
    readiness: Json
    groups: Mapping[str, Group]
    laid: Collection[str]  # the groups whose routes and rules the guest has
    announced: Json  # empty where the file names no source


def as_json(status: NodeStatus, facts: Facts) -> Json:
    """Return the whole status; instants of the monotonic clock become times of day or ages in seconds."""
    now_ms = clock.now_ms()
    seen = {path.name: {stats.peer: stats for stats in path.stats()} for path in facts.paths}
    return {
        "node": status.node,
        "version": hafailover.__version__,
        "uptime_s": (now_ms - facts.started_at_ms) / 1000,
        "config_digest": facts.config_digest.hex(),
        "drained": status.drained,
        "leaving": status.leaving.name.lower(),
        "cloud": {
            "error": status.cloud_error,
            "read_age_s": None if status.read_age_ms is None else status.read_age_ms / 1000,
        },
        "log_lines_lost": facts.log_lines_lost,
        **({} if facts.broker is None else {"mqtt": facts.broker}),
        "readiness": facts.readiness,
        **({"announced": facts.announced} if facts.announced else {}),
        "rejected": {path.name: dict(path.rejected) for path in facts.paths},
        "peers": [_peer(peer, seen) for peer in status.peers],
        "groups": [_group(group, now_ms, facts) for group in status.groups],
    }


def _peer(peer: PeerStatus, seen: Mapping[str, Mapping[Any, PeerPathStats]]) -> Json:
    stats = {path: of_path[peer.node] for path, of_path in seen.items() if peer.node in of_path}
    return {
        "node": peer.node,
        "alive": peer.liveness in (Liveness.ALIVE, Liveness.LATE),
        "liveness": peer.liveness.value,
        "dead_interval_s": peer.dead_interval_ms / 1000,
        "hears_us": peer.hears_us,
        "hears": list(peer.hears),
        "config_match": peer.config_match,
        "paths": {path: _path(each, peer.dead_interval_ms) for path, each in stats.items()},
    }


def _path(stats: PeerPathStats, dead_interval_ms: int) -> Json:
    seen_s = stats.last_seen_s
    return {
        "up": seen_s is not None and seen_s * 1000 < dead_interval_ms,
        "last_seen_s": None if seen_s is None else round(seen_s, 3),
        "rtt_s": stats.rtt_s,
        "loss": stats.loss,
        "sent": stats.sent,
        "received": stats.received,
        "refused": stats.refused,
        "send_errors": stats.send_errors,
        "foreign_source": stats.foreign_source,
    }


def _group(group: GroupStatus, now_ms: int, facts: Facts) -> Json:
    since_ms = facts.began.of(group.name, group.since, now_ms)
    return {
        "name": group.name,
        "state": group.state.value,
        "master": group.master,
        "why": f"{group.why.value}: {group.detail}" if group.detail else group.why.value,
        "why_label": group.why.label,
        "term": group.term,
        "since": timestamp(since_ms),
        "priority": group.priority,
        "effective_priority": group.effective_priority,
        "eligible": group.eligible,
        "successor": group.successor,
        "nodes": [_on_peer(peer) for peer in group.peers],
        "paused": bool(group.paused_by),
        "paused_by": list(group.paused_by),
        "pause_left_s": None if group.pause_left_ms is None else group.pause_left_ms / 1000,
        "hold_down_s": group.hold_down_ms / 1000,
        "addresses": [_address(each) for each in group.resources if each.resource.kind is ResourceKind.ADDRESS],
        "enis": [_eni(each) for each in group.resources if each.resource.kind is ResourceKind.ENI],
        **_followers(facts.groups.get(group.name), laid=group.name in facts.laid),
        "checks": [
            {
                "name": name,
                "state": state.value,
                "weight": weight,
                "detail": _detail(facts.checks.get((group.name, name))),
            }
            for name, weight, state in group.checks
        ],
        "last_failover": facts.history.last(group.name),
    }


def _followers(group: Group | None, *, laid: bool) -> Json:
    """Return the routes and rules that follow the addresses; no key where the file has none.

    None: the file names the group no longer, and the core has not let go of it yet.
    """
    if group is None:
        return {}
    said = {
        "routes": [{"route": str(each), "configured": laid} for each in group.routes],
        "rules": [{"rule": str(each), "configured": laid} for each in group.rules],
    }
    return {key: each for key, each in said.items() if each}


def _on_peer(peer: GroupOnPeer) -> Json:
    return {
        "node": peer.node,
        "state": None if peer.state is None else peer.state.value,
        "eligible": peer.eligible,
        "why": peer.why.value,
        "why_label": peer.why.label,
    }


def _detail(result: CheckResult | None) -> str:
    return "" if result is None else result.detail


def _address(status: ResourceStatus) -> Json:
    return {
        "address": status.resource.id,
        "holder": status.node,
        "eni": status.holder,
        "configured": status.on_guest,
    }


def _eni(status: ResourceStatus) -> Json:
    return {
        "eni": status.resource.id,
        "holder": status.node,
        "instance": status.holder,
        "configured": status.on_guest,
    }
