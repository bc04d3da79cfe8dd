"""The daemon's Prometheus metrics: counters that the runner feeds, and gauges read from the status.

Names follow Prometheus' naming guide: base units, `_total` for counters. All carry the labels `cluster` and
`node`, the process's own metrics (memory, CPU, descriptors) none, as everywhere.
"""

from __future__ import annotations

import platform
from itertools import chain
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from hafailover import __version__
from hafailover.election.reasons import Reason
from hafailover.observe import gauges

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client.metrics_core import Metric

    from hafailover.config.model import Group
    from hafailover.election.values import State

PHASES = ("detect", "guard", "guest", "fence", "cloud", "verify")
MOVING_ACTIONS = ("MigratePrivateIpAddress", "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses")
API_ACTIONS = ("DescribeNetworkInterfaces", "DescribeVpcTaskResult", *MOVING_ACTIONS)
HOOKS = ("promote", "master", "backup", "fault", "stop", "notify")
HOOK_RESULTS = ("ok", "failed", "timeout")
# What a claim that ends well may have begun for.
CLAIM_REASONS = (
    Reason.MASTER_DEAD,
    Reason.MASTER_GONE,
    Reason.MASTER_FAULT,
    Reason.MASTER_ABSENT,
    Reason.HANDED_OVER,
    Reason.HELD,
    Reason.ADDRESS_LOST,
)

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
MAX_LABEL_VALUES = 100

PHASE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
API_BUCKETS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
HOOK_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
LAG_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class _Bounded:
    """Passes the first `MAX_LABEL_VALUES` values of a label that comes from outside; the rest are "other"."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def __call__(self, value: str) -> str:
        if value not in self._seen:
            if len(self._seen) >= MAX_LABEL_VALUES:
                return "other"
            self._seen.add(value)
        return value


class Metrics:
    """All metrics of one daemon, on the node `node` of the cluster `cluster`."""

    def __init__(self, cluster: str, node: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # else each counter would be shown twice
        self._labels = {"cluster": cluster, "node": node}
        self._process = ProcessCollector(registry=None)
        self._own = CollectorRegistry()
        self._codes = _Bounded()
        self._rejections = _Bounded()
        self._make_election_metrics()
        self._make_cloud_metrics()
        self._make_node_metrics()

    def _make_election_metrics(self) -> None:
        self._role_changes = self._counter(
            "role_changes", "Changes of a group's state on this node.", "group", "state", "reason"
        )
        self._refrained = self._counter(
            "claims_held_back", "Times that this node heard no master and held back.", "group", "reason"
        )
        self._failovers = self._counter(
            "failovers", "Claims of this node that came to an end.", "group", "reason", "result"
        )
        self._phases = self._histogram(
            "failover_phase_duration_seconds", "What the phases of a failover took.", PHASE_BUCKETS, "phase"
        )
        self._durations = self._histogram(
            "failover_duration_seconds",
            "What failovers took, from the master's last sign of life to the cloud's confirmation.",
            PHASE_BUCKETS,
            "reason",
        )
        self._guards = self._counter("guard_verdicts", "Answers of the guards.", "group", "guard", "verdict")
        self._make_service_metrics()

    def _make_service_metrics(self) -> None:
        self._hooks = self._counter("hook_runs", "Hooks that were run.", "group", "hook", "result")
        self._hook_times = self._histogram("hook_duration_seconds", "What a hook took.", HOOK_BUCKETS, "hook")
        self._checks = Summary(
            f"{gauges.PREFIX}check_duration_seconds",
            "What a check took.",
            ("group", "check"),
            registry=self._own,
        )
        self._check_failures = self._counter(
            "check_failures", "Runs of a check that did not pass.", "group", "check"
        )
        self._guest_failures = self._counter(
            "guest_failures", "Times that the guest's network could not be configured.", "group", "operation"
        )

    def _make_cloud_metrics(self) -> None:
        self._api_calls = self._counter(
            "cloud_api_requests", "Answers of the cloud's API; code is empty for success.", "action", "code"
        )
        self._api_times = self._histogram(
            "cloud_api_request_duration_seconds", "What a request to the API took.", API_BUCKETS, "action"
        )
        self._throttled = self._counter("cloud_api_throttled", "Requests refused as too many.", "action")
        self._expiry = self._gauge(
            "credentials_expiry_timestamp_seconds",
            "When the credentials in use expire; 0: never, or not known.",
        )
        self._eips = self._gauge("eips_missing", "EIPs that addresses of this node had and have not any more.")
        self._offset = self._gauge("clock_offset_seconds", "This node's clock minus the cloud's.")

    def _make_node_metrics(self) -> None:
        self._rejected = self._counter(
            "heartbeat_datagrams_rejected", "Datagrams that were no valid heartbeat.", "reason"
        )
        self._lag = self._histogram("loop_lag_seconds", "How late the event loop ran a timer.", LAG_BUCKETS)
        self._not_saved = self._counter(
            "state_save_failures", "Times that the state file could not be written, or not in time."
        )
        self._ready = self._gauge("node_ready", "Whether /readyz says that nothing keeps this node from its part.")
        self._reload_ok = self._gauge(
            "config_last_reload_successful", "Whether the last reload was of a valid configuration."
        )
        self._reload_ok.set(1)
        self._reload_time = self._gauge(
            "config_last_reload_success_timestamp_seconds", "When a valid configuration was last loaded."
        )
        build = self._gauge("build_info", "The software that runs.", "version", "python")
        build.labels(__version__, platform.python_version()).set(1)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(gauges.PREFIX + name, text, labels, registry=self._own)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(gauges.PREFIX + name, text, labels, registry=self._own)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(gauges.PREFIX + name, text, labels, buckets=buckets, registry=self._own)

    def expect(self, groups: Iterable[Group]) -> None:
        """Show at zero what may be counted: Prometheus sees no increase in a series that begins with 1."""
        for action in API_ACTIONS:
            self._throttled.labels(action)
        for phase in PHASES:
            self._phases.labels(phase)
        for reason in CLAIM_REASONS:
            self._durations.labels(reason.label)
        for group in groups:
            for reason in CLAIM_REASONS:
                self._failovers.labels(group.name, reason.label, "done")
            for operation in ("arm", "disarm"):
                self._guest_failures.labels(group.name, operation)
            for check in group.checks:
                self._check_failures.labels(group.name, check.name)
            self._expect_hooks(group)

    def _expect_hooks(self, group: Group) -> None:
        for hook in HOOKS:
            if getattr(group.notify, hook):
                self._hook_times.labels(hook)
                for result in HOOK_RESULTS:
                    self._hooks.labels(group.name, hook, result)

    def forget(self, group: str) -> None:
        """Show nothing more of a group that has gone."""
        for family in (
            self._role_changes,
            self._refrained,
            self._failovers,
            self._guards,
            self._hooks,
            self._checks,
            self._check_failures,
            self._guest_failures,
        ):
            samples = [sample for metric in family.collect() for sample in metric.samples]
            for values in {tuple(each.labels.values()) for each in samples if each.labels["group"] == group}:
                family.remove(*values)

    def role_changed(self, group: str, old: State, new: State, reason: Reason) -> None:
        """Count a change of a group's state."""
        del old  # in the signature of the effect; as a label it would only multiply the series
        self._role_changes.labels(group, new.value, reason.label).inc()

    def refrained(self, group: str, reason: Reason) -> None:
        """Count that this node began to hold back from a claim although it heard no master."""
        self._refrained.labels(group, reason.label).inc()

    def failover(self, group: str, reason: Reason, result: str, phases: Mapping[str, float]) -> None:
        """Count a claim that ended as `result` ("done", "lost", "void"); `phases` are in seconds."""
        self._failovers.labels(group, reason.label, result).inc()
        for phase, seconds in phases.items():
            self._phases.labels(phase).observe(seconds)
        if phases:
            self._durations.labels(reason.label).observe(sum(phases.values()))

    def guard_verdict(self, group: str, guard: str, verdict: str) -> None:
        """Count an answer of a guard ("allow", "deny", "pass", "unknown")."""
        self._guards.labels(group, guard, verdict).inc()

    def api_call(self, action: str, code: str, seconds: float) -> None:
        """Count an answer of the cloud's API; `code` is its error code, empty for success."""
        self._api_calls.labels(action, self._codes(code)).inc()
        self._api_times.labels(action).observe(seconds)

    def throttled(self, action: str) -> None:
        """Count a request that the cloud refused as one too many."""
        self._throttled.labels(action).inc()

    def credentials_expire(self, at_s: float) -> None:
        """Show when the credentials in use expire, in seconds since the epoch; 0: never."""
        self._expiry.set(at_s)

    def eips_missing(self, count: int) -> None:
        """Show how many EIPs are to be bound again."""
        self._eips.set(count)

    def clock_offset(self, seconds: float) -> None:
        """Show by how much this node's clock is ahead of the cloud's."""
        self._offset.set(seconds)

    def datagram_rejected(self, reason: str, count: int = 1) -> None:
        """Count datagrams that were no valid heartbeat."""
        self._rejected.labels(self._rejections(reason)).inc(count)

    def hook_result(self, group: str, hook: str, result: str, seconds: float) -> None:
        """Count a run of a hook that ended as `result` ("ok", "failed", "timeout")."""
        self._hooks.labels(group, hook, result).inc()
        self._hook_times.labels(hook).observe(seconds)

    def check_result(self, group: str, check: str, seconds: float, *, passed: bool) -> None:
        """Count a run of a check."""
        self._checks.labels(group, check).observe(seconds)
        if not passed:
            self._check_failures.labels(group, check).inc()

    def guest_failed(self, group: str, operation: str) -> None:
        """Count that the guest could not take an address ("arm") or let go of it ("disarm")."""
        self._guest_failures.labels(group, operation).inc()

    def state_not_saved(self) -> None:
        """Count that the memory did not get onto the disk."""
        self._not_saved.inc()

    def ready(self, *, is_ready: bool) -> None:
        """Show what /readyz says."""
        self._ready.set(is_ready)

    def loop_lag(self, seconds: float) -> None:
        """Count a timer that the event loop ran so much too late."""
        self._lag.observe(seconds)

    def config_loaded(self, at_s: float) -> None:
        """Show that a valid configuration was loaded, at `at_s` since the epoch."""
        self._reload_ok.set(1)
        self._reload_time.set(at_s)

    def config_refused(self) -> None:
        """Show that the last reload was of an invalid configuration."""
        self._reload_ok.set(0)

    def render(self, status: Mapping[str, Any]) -> bytes:
        """Return the text that Prometheus scrapes, of type `CONTENT_TYPE`; `status` is as in `status --json`.

        Takes 3 ms with one group and a quarter more for each further one, and may run in a thread of its own.
        """
        own = (self._label(family) for family in chain(self._own.collect(), gauges.families(status)))
        return generate_latest(_Families(chain(own, self._process.collect())))

    def _label(self, family: Metric) -> Metric:
        family.samples = [sample._replace(labels={**self._labels, **sample.labels}) for sample in family.samples]
        return family


class _Families(Collector):
    """Families made already, in the one shape that prometheus_client renders."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """Return them."""
        return self._families
