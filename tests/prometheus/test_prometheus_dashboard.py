"""The dashboard as a file; tests/lab/test_lab_prometheus.py asks a real Prometheus what it asks."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from tests.prometheus import dashboard, drawing, rules, units
from tests.prometheus.test_prometheus_rules import known

PANELS = dashboard.panels()
OTHERS = {"process_cpu_seconds_total", "process_resident_memory_bytes"}


@pytest.mark.parametrize("target", dashboard.targets("lab", "1m"), ids=lambda each: f"{each.title}-{each.legend}")
def test_a_query_reads_what_the_daemon_exposes(target: dashboard.Target) -> None:
    read = rules.names(target.expression)
    assert read or "ALERTS" in target.expression
    assert read <= known() | OTHERS


def test_every_subject_of_the_metrics_is_shown() -> None:
    shown = set().union(*(rules.names(target.expression) for target in dashboard.targets("lab", "1m")))
    for subject in (
        "group_state",
        "group_is_master",
        "failovers_total",
        "failover_phase_duration_seconds_sum",
        "peer_path_loss_ratio",
        "peer_path_rtt_seconds",
        "cloud_api_requests_total",
        "cloud_api_request_duration_seconds_bucket",
        "credentials_expiry_timestamp_seconds",
        "check_up",
        "hook_runs_total",
        "loop_lag_seconds_bucket",
    ):
        assert f"hafailover_{subject}" in shown


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows_and_leaves_the_source_open(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert {each["datasource"]["uid"] for each in (panel, *panel["targets"])} == {"${datasource}"}
    assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24


def test_no_panel_lies_on_another() -> None:
    panels = dashboard.load()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for first, second in combinations((panel["gridPos"] for panel in panels), 2):
        beside = first["x"] + first["w"] <= second["x"] or second["x"] + second["w"] <= first["x"]
        assert beside or first["y"] + first["h"] <= second["y"] or second["y"] + second["h"] <= first["y"]


def test_the_variables_are_those_that_the_queries_use() -> None:
    names = {variable["name"] for variable in dashboard.load()["templating"]["list"]}
    assert names == {"datasource", "cluster", "group"}
    with pytest.raises(KeyError):
        dashboard.fill("rate(x[$__interval])", {"cluster": "lab"})


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "s", "0"),
        (0.0004, "s", "400 µs"),
        (1.17, "s", "1.17 s"),
        (-0.444, "s", "-444 ms"),
        (7020, "s", "1.95 h"),
        (0.125, "percentunit", "12.5%"),
        (60 * 2**20, "bytes", "60 MiB"),
        (9.87, "pps", "9.87/s"),
    ],
)
def test_numbers_are_drawn_with_their_unit(value: float, unit: str, text: str) -> None:
    assert units.text(value, unit) == text


@pytest.mark.parametrize(
    ("highest", "unit", "top"),
    [(0, "s", 1), (3.01, "short", 4), (0.0035, "s", 0.004), (60 * 2**20, "bytes", 2**20 * 100)],
)
def test_a_scale_ends_at_a_round_number(highest: float, unit: str, top: float) -> None:
    assert units.nice(highest, unit) == pytest.approx(top)


def test_stretches_end_where_the_value_changes_or_is_missing() -> None:
    points = [(0.0, 1.0), (1.0, 1.0), (2.0, 3.0), (5.0, 3.0)]
    assert drawing._stretches(points, 1.0) == [(0, 2, 1), (2, 3, 3), (5, 6, 3)]
