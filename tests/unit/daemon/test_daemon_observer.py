from __future__ import annotations

import io
import random
import socket
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from hafailover.checks.result import CheckResult
from hafailover.cloud.api import ApiCall
from hafailover.cloud.credentials import EnvironmentCredentials
from hafailover.config import model
from hafailover.daemon import clock
from hafailover.daemon.observer import STALLED_MS, Observer
from hafailover.daemon.runner import QUIET_TURNS, Inbox, Runner
from hafailover.election import events as ev
from hafailover.election.node import Node
from hafailover.election.values import Advert, Leaving, Memory, NodeName, Policy, Sighting
from hafailover.heartbeat.wire import Reject
from hafailover.http1 import Request
from hafailover.observe.sink import Sink
from tests.unit.daemon.stage import ADDRESS, GROUP, KEYS, NODES, NONE, Notebook, config
from tests.unit.election.bench import DIGEST, MEMBERS, TIMING, A, C

if TYPE_CHECKING:
    from pathlib import Path

    from hafailover.election.effects import Effect

CHECKED = model.Group("vip", addresses=NONE.addresses, guest="none", checks=(model.Check("web", "tcp"),))


class Idle:
    """A performer of a core that nobody turns here."""

    def perform(self, effect: Effect) -> None:
        raise AssertionError(effect)


class Seen:
    """An observer of a real core; events are given to the core by hand."""

    def __init__(self, folder: Path) -> None:
        self.stream = io.StringIO()
        self.path = Notebook()
        self.broker: dict[str, Any] | None = None
        self.config = config(folder, CHECKED)
        self.observer = Observer(self.config, NODES[0], EnvironmentCredentials(KEYS), Sink(self.stream))
        policy = Policy(GROUP, (ADDRESS,), checks=(("web", 0),))
        rng = random.Random(1)  # noqa: S311 - to be repeated, not secret
        members, now = MEMBERS[:2], clock.now_ms()
        self.node = Node(
            members[1], members, TIMING, [policy], config_digest=DIGEST, memory=Memory(), rng=rng, now=now
        )
        self.runner = Runner(self.node, Inbox(), Idle(), self.observer.turned)
        self.observer.attach(self.node, self.runner, (self.path,), lambda: self.broker)

    def give(self, event: ev.Event) -> None:
        self.node.handle(event, now=clock.now_ms())

    def hear(self, name: NodeName, digest: bytes = DIGEST) -> None:
        advert = Advert(name, digest, 1_000, Leaving.NO, drained=False, hears=(), groups=())
        self.give(ev.AdvertReceived(advert, "udp"))

    def sample(self, start: str) -> float | None:
        """Return the one metric whose line begins like this, None where there is none."""
        text = self.observer.metrics.render(self.observer.status()).decode()
        found = [line for line in text.splitlines() if line.startswith(start)]
        return float(found[0].rpartition(" ")[2]) if len(found) == 1 else None

    async def get(self, path: str) -> int:
        request = Request(method="GET", target=path, path=path, query={}, headers={}, body=b"", peer="127.0.0.1")
        return (await self.observer.web.handle(request)).status


@pytest.fixture
def at(tmp_path: Path) -> Seen:
    return Seen(tmp_path)


def call(code: str = "OK", **changes: Any) -> ApiCall:
    fields = {"action": "DescribeNetworkInterfaces", "code": code, "seconds": 0.1, **changes}
    return ApiCall(**fields)


def test_a_run_of_a_check_shows_in_status_and_metrics(at: Seen) -> None:
    at.observer.checked("vip", CheckResult("web", passed=False, seconds=0.2, detail="refused"))
    assert at.observer.status()["groups"][0]["checks"][0]["detail"] == "refused"
    assert at.sample("hafailover_check_duration_seconds_sum{") == 0.2
    assert at.sample("hafailover_check_failures_total{") == 1


def test_calls_to_the_cloud_are_counted_and_failures_logged(at: Seen) -> None:
    with capture_logs() as logs:
        at.observer.api_call(call())
        at.observer.api_call(call("UnauthorizedOperation", detail="no"))
        at.observer.api_call(call("RequestLimitExceeded"))
    assert [line["log_level"] for line in logs] == ["debug", "warning", "warning"]
    assert logs[1]["detail"] == "no"
    prefix = 'hafailover_cloud_api_requests_total{action="DescribeNetworkInterfaces",cluster="web",code='
    assert at.sample(f'{prefix}""') == 1
    assert at.sample(f'{prefix}"UnauthorizedOperation"') == 1
    throttled = 'hafailover_cloud_api_throttled_total{action="DescribeNetworkInterfaces"'
    assert at.sample(throttled) == 1


def test_the_clock_offset_is_this_nodes_against_the_clouds(at: Seen) -> None:
    assert at.sample("hafailover_clock_offset_seconds{") == 0
    at.observer.api_call(call(clock_offset_s=1.5))
    at.observer.api_call(call(clock_offset_s=None))
    assert at.sample("hafailover_clock_offset_seconds{") == -1.5


def test_rejected_datagrams_are_counted_once_however_often_they_are_asked_for(at: Seen) -> None:
    at.path.rejected = Counter(bad_mac=2)
    name = 'hafailover_heartbeat_datagrams_rejected_total{cluster="web",node="web-a",reason='
    assert at.sample(f'{name}"bad_mac"') == 2
    at.path.rejected.update(bad_mac=1, replay=4)
    assert at.sample(f'{name}"bad_mac"') == 3
    assert at.sample(f'{name}"replay"') == 4


def test_what_may_happen_is_shown_before_it_has(at: Seen) -> None:
    text = at.observer.metrics.render(at.observer.status()).decode()
    reasons = {
        line for line in text.splitlines() if line.startswith("hafailover_heartbeat_datagrams_rejected_total")
    }
    assert {line.split('reason="')[1].partition('"')[0] for line in reasons} == set(Reject)
    assert at.sample("hafailover_check_failures_total{") == 0


def test_a_turn_is_measured_and_lets_the_log_be_written(at: Seen) -> None:
    theirs, ours = socket.socketpair()
    with theirs, ours, ours.makefile("w") as stream:
        sink = Sink(stream)
        ours.setblocking(False)
        while not sink._waiting:  # until nobody takes any more
            sink.info("x" * 10_000)
        at.observer._sink = sink
        theirs.recv(1_000_000)
        before = len(sink._waiting)
        at.observer.turned(0)
        assert len(sink._waiting) < before
        sink.close()
    at.observer.turned(250)
    assert at.sample("hafailover_loop_lag_seconds_sum{") == 0.25


def test_the_log_lines_lost_are_told(at: Seen) -> None:
    at.stream.close()
    Sink.info(at.observer._sink, "nobody reads this")
    assert at.observer.status()["log_lines_lost"] == 1


def test_permanent_keys_do_not_expire(at: Seen) -> None:
    assert at.sample("hafailover_credentials_expiry_timestamp_seconds{") == 0


class Ending(EnvironmentCredentials):
    expires_in_s = 600.0


def test_the_end_of_temporary_keys_is_a_time_of_day(at: Seen) -> None:
    at.observer._credentials = Ending(KEYS)
    told_s = at.sample("hafailover_credentials_expiry_timestamp_seconds{")
    assert told_s is not None
    assert abs(told_s - (clock.wall_ms() / 1000 + 600)) < 30


async def test_keys_that_have_ended_keep_a_node_from_being_ready(at: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    at.observer._credentials = Ending(KEYS)
    assert "credentials" not in at.observer.missing()
    monkeypatch.setattr(Ending, "expires_in_s", 0.0)
    assert at.observer.missing()["credentials"] == "expired, and no new ones were to be had"
    assert await at.get("/readyz") == 503


async def test_it_is_alive_while_the_core_turns(at: Seen, tmp_path: Path) -> None:
    assert await at.get("/healthz") == 200
    at.runner.turned_at_ms -= STALLED_MS
    assert await at.get("/healthz") == 503
    unborn = Observer(config(tmp_path), NODES[0], EnvironmentCredentials(KEYS), Sink(io.StringIO()))
    assert not unborn.alive()


async def test_a_loop_that_turns_seldom_is_alive_between_its_turns(at: Seen) -> None:
    seldom = replace(at.config.heartbeat, interval_ms=10_000)
    at.observer.configure(replace(at.config, heartbeat=seldom))
    at.runner.turned_at_ms -= STALLED_MS
    assert await at.get("/healthz") == 200
    at.runner.turned_at_ms -= QUIET_TURNS * 10_000
    assert await at.get("/healthz") == 503


async def test_what_keeps_a_node_from_being_ready(at: Seen) -> None:
    assert at.observer.missing() == {"cloud": "the holders have not been read yet", "peer a": "not heard"}
    at.give(ev.ReadFailed(clock.now_ms(), "ClientTimeout"))
    assert at.observer.missing()["cloud"] == "the last read failed: ClientTimeout"
    at.hear(A, b"other___")
    at.give(ev.HoldersRead((Sighting(ADDRESS, "eni-a"),), clock.now_ms()))
    assert at.observer.missing() == {"peer a": "another configuration"}
    assert await at.get("/readyz") == 503
    assert at.sample("hafailover_node_ready{") == 0
    at.hear(A)
    assert at.sample("hafailover_node_ready{") == 1
    assert at.observer.missing() == {}
    assert await at.get("/readyz") == 200
    at.hear(C)  # of another cluster's file: nobody waits for it
    assert at.observer.missing() == {}
