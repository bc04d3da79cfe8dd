"""A real Prometheus scrapes a real pair through a failover: what it, the dashboard and the rules make of that."""

from __future__ import annotations

import math
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

import pytest

from tests.lab.cloud import CloudSettings
from tests.lab.lab import Lab, pause
from tests.lab.pair import Pair
from tests.prometheus import dashboard, drawing, rules
from tests.prometheus.scene import SETTINGS, Scene
from tests.prometheus.server import Prometheus

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

RATE = "30s"
DONE = 'hafailover_failovers_total{result="done"}'
TERM = "max(hafailover_group_term)"


@dataclass
class Seen:
    """The stage after the failover, and what Prometheus had known before it."""

    scene: Scene
    begun_s: float
    before: dict[str, float] = field(default_factory=dict)

    def value(self, expression: str) -> float:
        return self.scene.prometheus.value(expression)


@pytest.fixture(scope="module")
def seen(_allowed: None) -> Iterator[Seen]:
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed")
    with Lab(CloudSettings()) as lab:
        pair = Pair(lab, SETTINGS)
        pair.start()
        with Prometheus(lab) as prometheus:
            scene = Scene(lab, pair, prometheus)
            made = Seen(scene, time.time())
            scene.begin(6)
            made.before = {each: prometheus.value(each) for each in (f"sum({DONE})", TERM)}
            assert prometheus.value('hafailover_group_is_master{node="web-a"}') == 1
            scene.disturb("web-b")
            scene.lose("web-a", "web-b", 1)
            pause(8)  # scrapes, a read of the holder, and the rules' turn
            yield made


# What each is after one failover from web-a to web-b of which one call was throttled.
AFTER = {
    'hafailover_group_is_master{node="web-b"}': 1,
    'hafailover_group_is_master{node="web-a"}': 0,
    "sum(hafailover_group_is_master)": 1,
    'hafailover_group_state{node="web-a",state="BACKUP"}': 1,
    'count(hafailover_group_master_info{master="web-b"})': 2,
    'count(hafailover_address_holder_info{holder="web-b"})': 2,
    "sum(hafailover_group_holder_mismatch)": 0,
    'hafailover_address_configured{node="web-b"}': 1,
    'hafailover_address_configured{node="web-a"}': 0,
    'hafailover_failovers_total{node="web-b",reason="master_dead",result="done"}': 1,
    "sum(hafailover_failovers_total)": 1,
    "sum(hafailover_failover_duration_seconds_count)": 1,
    'hafailover_failover_phase_duration_seconds_count{node="web-b",phase="cloud"}': 1,
    'sum(hafailover_role_changes_total{node="web-b",state="MASTER"})': 1,
    'sum(hafailover_claims_held_back_total{node="web-b",reason="guard_denied"}) >= bool 1': 1,
    'hafailover_guard_verdicts_total{node="web-b",guard="vip",verdict="deny"} >= bool 1': 1,
    'hafailover_guard_verdicts_total{node="web-b",guard="vip",verdict="allow"} >= bool 1': 1,
    'hafailover_cloud_api_requests_total{node="web-b",action="MigratePrivateIpAddress",code=""}': 1,
    'sum(hafailover_cloud_api_requests_total{action="MigratePrivateIpAddress",code!=""})': 1,
    "sum(hafailover_cloud_api_throttled_total)": 1,
    'hafailover_hook_runs_total{node="web-b",hook="master",result="ok"}': 1,
    'hafailover_hook_runs_total{node="web-a",hook="backup",result="ok"}': 1,
    'sum(hafailover_hook_runs_total{result!="ok"})': 0,
    'sum(hafailover_heartbeat_datagrams_rejected_total{node="web-a",reason="too_short"})': 1,
    "sum(hafailover_peer_alive)": 2,
    "sum(hafailover_peer_config_match)": 2,
    "sum(hafailover_check_up)": 2,
    "sum(hafailover_cloud_last_read_successful)": 2,
    "sum(hafailover_guest_failures_total)": 0,
    "sum(hafailover_state_save_failures_total)": 0,
    "count(hafailover_build_info)": 2,
}


@pytest.mark.parametrize("expression", AFTER)
def test_the_figures_are_right_after_a_failover(seen: Seen, expression: str) -> None:
    assert seen.value(expression) == AFTER[expression]


def test_there_was_one_failover_with_a_term_of_its_own(seen: Seen) -> None:
    assert seen.value(f"sum({DONE})") == seen.before[f"sum({DONE})"] + 1
    assert seen.value(TERM) == seen.before[TERM] + 1
    assert seen.scene.lab.cloud.moves() == ["web-b"]


def test_the_phases_add_up_to_what_history_says(seen: Seen) -> None:
    (record,) = seen.scene.pair.ask("web-b", "history")["failovers"]
    total_s = sum(record["phases_s"].values())
    assert seen.value("sum(hafailover_failover_duration_seconds_sum)") == pytest.approx(total_s)
    assert seen.value('hafailover_last_failover_phase_seconds{phase="cloud"}') == record["phases_s"]["cloud"]
    assert 0.3 <= seen.value('hafailover_last_failover_phase_seconds{phase="detect"}') < 1


def test_times_of_day_are_of_today(seen: Seen) -> None:
    assert 0 < seen.value("min(hafailover_credentials_expiry_timestamp_seconds - time())") < 86_400
    assert abs(seen.value("max(hafailover_clock_offset_seconds)")) <= 2
    assert 0 <= seen.value('time() - hafailover_group_state_start_timestamp_seconds{node="web-b"}') < 600
    assert 0 < seen.value("max(hafailover_peer_path_rtt_seconds)") < 1


@pytest.mark.parametrize("name", ["web-a", "web-b"])
def test_promtool_finds_nothing_to_complain_of(seen: Seen, name: str) -> None:
    status, text = seen.scene.pair.page(name, "/metrics")
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False, timeout=30
    )
    assert (status, done.returncode, done.stdout, done.stderr) == (200, 0, "", "")


@pytest.mark.parametrize(
    ("name", "path", "status", "text"),
    [
        ("web-a", "/master/vip", 503, "BACKUP\n"),
        ("web-a", "/backup/vip", 200, "BACKUP\n"),
        ("web-b", "/master/vip", 200, "MASTER\n"),
        ("web-b", "/backup/vip", 503, "MASTER\n"),
        ("web-b", "/master/none", 404, "no such group\n"),
        ("web-a", "/healthz", 200, "ok\n"),
        ("web-a", "/readyz", 200, '{"ready": true, "missing": {}}\n'),
        ("web-b", "/readyz", 200, '{"ready": true, "missing": {}}\n'),
    ],
)
def test_load_balancers_are_told_who_is_master(seen: Seen, name: str, path: str, status: int, text: str) -> None:
    assert seen.scene.pair.page(name, path) == (status, text)


# Queries that have nothing to show after such a failover, and why.
NOTHING_TO_SHOW: dict[str, str] = {}


@pytest.mark.parametrize(
    "target", dashboard.targets("lab", RATE), ids=lambda each: f"{each.title}: {each.legend}".replace(" ", "-")
)
def test_the_dashboard_has_an_answer_to_every_question(seen: Seen, target: dashboard.Target) -> None:
    (found,) = seen.scene.prometheus.ask_range([target.expression], seen.begun_s, time.time(), 1)
    shown = any(math.isfinite(value) for series in found for _, value in series.points)
    assert shown is (target.expression not in NOTHING_TO_SHOW)
    labels = set().union(*(series.labels for series in found))
    assert set(drawing.labels_of(target.legend)) <= labels, "a name in the legend is no label"


def test_the_failover_is_marked_in_all_panels(seen: Seen) -> None:
    (expression,) = dashboard.marks("lab")
    (found,) = seen.scene.prometheus.ask_range([expression], seen.begun_s, time.time(), 1)
    assert [series.labels for series in found] == [{"group": "vip", "node": "web-b", "reason": "master_dead"}]


def test_the_variables_find_the_cluster_and_the_group(seen: Seen) -> None:
    asked = dashboard.variables("lab")
    found = seen.scene.prometheus.ask([selector for selector, _ in asked])
    values = [{each.labels[label] for each in series} for series, (_, label) in zip(found, asked, strict=True)]
    assert values == [{"lab"}, {"vip"}]


def test_prometheus_has_evaluated_every_rule(seen: Seen) -> None:
    found = seen.scene.prometheus.rules()
    assert {rule["name"]: (rule["health"], rule.get("lastError", "")) for rule in found} == {
        rule.get("alert") or rule["record"]: ("ok", "") for rule in rules.rules()
    }


@pytest.mark.parametrize("name", rules.recorded())
def test_what_is_recorded_is_there(seen: Seen, name: str) -> None:
    (found,) = seen.scene.prometheus.ask([name])
    assert found
    assert all(series.labels["cluster"] == "lab" for series in found)


# What these look at is there only with a table that this pair's file does not have; the rules' own tests show them.
OPTIONAL = {"HafailoverBrokerLost", "HafailoverAnnouncedEvent", "HafailoverAnnouncementsUnread"}


def test_what_is_optional_is_an_alert() -> None:
    assert set(rules.alerts()) >= OPTIONAL


@pytest.mark.parametrize("name", [name for name in rules.alerts() if name not in OPTIONAL])
def test_an_alert_looks_at_something_that_is_there(seen: Seen, name: str) -> None:
    selectors = rules.selectors(rules.alerts()[name]["expr"])
    found = seen.scene.prometheus.ask(selectors)
    assert [selector for selector, series in zip(selectors, found, strict=True) if not series] == []


def test_a_failover_fires_the_one_alert_that_tells_of_it(seen: Seen) -> None:
    active = [alert for rule in seen.scene.prometheus.rules() for alert in rule.get("alerts", ())]
    (told,) = [alert for alert in active if alert["state"] == "firing"]
    assert told["labels"]["alertname"] == "HafailoverFailover"
    assert told["annotations"]["summary"] == "vip moved to web-b: master_dead"


def test_the_dashboard_can_be_drawn(seen: Seen) -> None:
    page = drawing.page(seen.scene.prometheus, "lab", RATE, seen.begun_s, time.time())
    for panel in dashboard.panels():
        assert escape(panel["title"]) in page
    assert drawing.NO_DATA not in page
