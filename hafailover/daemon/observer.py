"""What the daemon shows of itself: status, metrics, health; fed by what happens, asked by whoever looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from hafailover.cloud.outcome import classify
from hafailover.daemon import clock, report
from hafailover.daemon.readiness import Lookout
from hafailover.daemon.runner import QUIET_TURNS
from hafailover.election.status import status
from hafailover.election.values import Outcome
from hafailover.heartbeat.wire import Reject
from hafailover.observe.history import History
from hafailover.observe.metrics import Metrics
from hafailover.observe.web import Web

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Collection, Mapping, Sequence

    from hafailover.checks.result import CheckResult
    from hafailover.cloud.api import ApiCall
    from hafailover.cloud.credentials import CredentialSource
    from hafailover.config import model
    from hafailover.daemon.announced import Watcher
    from hafailover.daemon.parts import Parts
    from hafailover.daemon.runner import Runner
    from hafailover.election.node import Node
    from hafailover.heartbeat.path import Path
    from hafailover.observe.sink import Sink

STALLED_MS = 5_000  # without a turn of the loop the daemon is not healthy, whatever the interval

log = structlog.get_logger()


class Observer:
    """Gathers what is to be seen; `attach` gives it the core, before anybody can ask."""

    def __init__(self, config: model.Config, me: model.Node, credentials: CredentialSource, sink: Sink) -> None:
        self._config = config
        self._witness = me.role == "witness"
        self._credentials = credentials
        self._sink = sink
        self._started_at_ms = clock.now_ms()
        self._checks: dict[tuple[str, str], CheckResult] = {}
        self._began = report.Stamps()
        self._rejected: dict[str, Counter[str]] = {}
        self._node: Node | None = None
        self._runner: Runner | None = None
        self._paths: Sequence[Path] = ()
        self._broker: Callable[[], dict[str, Any] | None] = lambda: None
        self._laid: Collection[str] = ()
        self._lookout: Lookout | None = None
        self.announced: Watcher | None = None
        self.metrics = Metrics(config.cluster.name, me.name)
        self.history = History()
        self.web = Web(self.metrics, self.status, self.alive, self.missing, self.history.records)
        self.metrics.config_loaded(clock.wall_ms() / 1000)
        self.metrics.expect(config.groups)
        for reason in Reject:
            self.metrics.datagram_rejected(reason, 0)

    def attach(
        self,
        node: Node,
        runner: Runner,
        paths: Sequence[Path],
        broker: Callable[[], dict[str, Any] | None],
        laid: Collection[str] = (),
    ) -> None:
        """Take the core, its runner, the heartbeat paths, and who tells how the connection to the broker is.

        `laid` has the groups whose routes and rules the guest has, and is kept up to date.
        """
        self._node, self._runner, self._paths, self._broker, self._laid = node, runner, paths, broker, laid

    async def look_ahead(self, parts: Parts) -> None:
        """Look now and then whether a failover to this node would work; lasts as long as the daemon."""
        assert self._node is not None  # noqa: S101 - attached before
        self._lookout = Lookout(self._config, parts, self._node)
        await self._lookout.run()

    def configure(self, config: model.Config) -> None:
        """Take in another version of the file; forget the checks that it has no longer."""
        self._config = config
        self.metrics.expect(config.groups)
        if self._lookout is not None:
            self._lookout.config = config
        if self.announced is not None:
            self.announced.configure(config)
        kept = {(group.name, check.name) for group in config.groups for check in group.checks}
        self._checks = {key: result for key, result in self._checks.items() if key in kept}

    def reloaded(self, good: bool) -> None:  # noqa: FBT001 - a truth value is what is told
        """Note a reload, whether or not the file was good."""
        if good:
            self.metrics.config_loaded(clock.wall_ms() / 1000)
        else:
            self.metrics.config_refused()

    # -- fed ---------------------------------------------------------------------------------------------------

    def turned(self, late_ms: int) -> None:
        """Note a turn of the loop, and how late its timer was."""
        self.metrics.loop_lag(late_ms / 1000)
        self._sink.flush()

    def checked(self, group: str, result: CheckResult) -> None:
        """Note a run of a check."""
        self._checks[group, result.name] = result
        self.metrics.check_result(group, result.name, result.seconds, passed=result.passed)

    def api_call(self, call: ApiCall) -> None:
        """Note a request to the cloud."""
        self.metrics.api_call(call.action, "" if call.code == "OK" else call.code, call.seconds)
        if classify(call.code, call.action).outcome is Outcome.THROTTLED:
            self.metrics.throttled(call.action)
        if call.clock_offset_s is not None:
            self.metrics.clock_offset(-call.clock_offset_s)
        to_wire_ms = None if call.to_wire_s is None else round(call.to_wire_s * 1000, 3)
        fields = {"action": call.action, "code": call.code, "ms": round(call.seconds * 1000, 1)}
        if call.code == "OK":
            log.debug("api", **fields, to_wire_ms=to_wire_ms)
        else:
            log.warning("api", **fields, to_wire_ms=to_wire_ms, detail=call.detail)

    # -- asked -------------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """Return what `hafailover status --json` prints; the metrics that are counted elsewhere come up to date."""
        assert self._node is not None  # noqa: S101 - attached before any door opens
        self._count_rejected()
        expires_in_s = self._credentials.expires_in_s
        self.metrics.credentials_expire(0.0 if expires_in_s is None else clock.wall_ms() / 1000 + expires_in_s)
        facts = report.Facts(
            config_digest=self._config.digest,
            started_at_ms=self._started_at_ms,
            paths=self._paths,
            broker=self._broker(),
            history=self.history,
            checks=self._checks,
            log_lines_lost=self._sink.lost,
            began=self._began,
            groups={group.name: group for group in self._config.groups},
            laid=self._laid,
            readiness={} if self._lookout is None else self._lookout.as_json(),
            announced={} if self.announced is None else self.announced.as_json(),
        )
        seen = report.as_json(status(self._node, clock.now_ms()), facts)
        self.metrics.ready(is_ready=not self._missing(seen))
        return seen

    def _count_rejected(self) -> None:
        for path in self._paths:
            before = self._rejected.get(path.name)
            for reason, count in path.rejected.items():
                self.metrics.datagram_rejected(reason, count - (before[reason] if before else 0))
            self._rejected[path.name] = path.rejected.copy()

    def alive(self) -> bool:
        """Return whether the core's loop turns."""
        limit_ms = max(STALLED_MS, QUIET_TURNS * self._config.heartbeat.interval_ms)
        return self._runner is not None and clock.now_ms() - self._runner.turned_at_ms < limit_ms

    def missing(self) -> Mapping[str, str]:
        """Return what keeps this node from taking over, or a witness from being one; empty where nothing does."""
        return self._missing(self.status())

    def _missing(self, seen: Mapping[str, Any]) -> Mapping[str, str]:
        missing: dict[str, str] = {}
        expires_in_s = self._credentials.expires_in_s
        if expires_in_s is not None and expires_in_s <= 0:
            missing["credentials"] = "expired, and no new ones were to be had"
        if self._witness:
            pass  # it asks the cloud nothing
        elif seen["cloud"]["error"]:
            missing["cloud"] = f"the last read failed: {seen['cloud']['error']}"
        elif seen["cloud"]["read_age_s"] is None:
            missing["cloud"] = "the holders have not been read yet"
        for peer in seen["peers"]:
            if not peer["alive"]:
                missing[f"peer {peer['node']}"] = "not heard"
            elif peer["config_match"] is False:
                missing[f"peer {peer['node']}"] = "another configuration"
        return missing
