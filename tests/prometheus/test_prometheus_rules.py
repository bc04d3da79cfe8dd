"""The alerts and recording rules: Prometheus' own unit tests, and what those leave open."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.prometheus import rules
from tests.unit.observe.test_observe_docs import exposed

if TYPE_CHECKING:
    from pathlib import Path

ALERTS = rules.alerts()
SUFFIXES = ("_bucket", "_sum", "_count")


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError:
        pytest.skip("promtool is not installed")


@pytest.mark.system
def test_the_rules_are_valid() -> None:
    done = promtool("check", "rules", *map(str, rules.RULES))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.system
@pytest.mark.parametrize("path", rules.TESTS, ids=lambda path: path.stem)
def test_the_rules_pass_their_tests(path: Path) -> None:
    done = promtool("test", "rules", str(path))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.system
@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_that_never_fires_is_found(name: str, tmp_path: Path) -> None:
    """Take an alert's condition away, and its own test fails: it does test something."""
    text = rules.RULES[1].read_text(encoding="utf-8")
    head, _, rest = text.partition(f"alert: {name}\n")
    tail = rest[rest.index("        for: ") :]
    (tmp_path / "alerts.yml").write_text(f"{head}alert: {name}\n        expr: vector(1) > 2\n{tail}")
    (tmp_path / "recording.yml").write_text(rules.RULES[0].read_text(encoding="utf-8"))
    unit_test = {
        "rule_files": ["alerts.yml", "recording.yml"],
        "evaluation_interval": "5s",
        "tests": [cases()[name]],
    }
    path = tmp_path / "test.yml"
    path.write_text(yaml.safe_dump(unit_test), encoding="utf-8")
    done = promtool("test", "rules", str(path))
    assert done.returncode == 1
    assert f'alertname=\\"{name}\\"' in done.stdout + done.stderr


def cases() -> dict[str, dict[str, Any]]:
    """Return the unit tests by their names, which are those of the alerts (and one of none)."""
    return {case["name"]: case for path in rules.TESTS for case in rules.load(path)["tests"]}


def test_there_is_a_test_for_each_alert_and_none_for_others() -> None:
    assert set(ALERTS) == {name for name in cases() if name.startswith("Hafailover")}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_shown_to_fire_and_not_to(name: str) -> None:
    asked = cases()[name]["promql_expr_test"]
    firing = [bool(each["exp_samples"]) for each in asked]
    assert {each["expr"] for each in asked} == {f'ALERTS{{alertname="{name}",alertstate="firing"}}'}
    assert set(firing) == {True, False}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_and_what_to_do(name: str) -> None:
    alert = ALERTS[name]
    assert re.fullmatch(r"\d+[smh]", alert["for"])
    assert alert["labels"]["severity"] in ("critical", "warning", "info")
    assert set(alert["annotations"]) == {"summary", "description"}
    assert len(alert["annotations"]["summary"]) <= 100
    assert len(alert["annotations"]["description"]) > 40


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_names_only_labels_that_it_has(name: str) -> None:
    used = set(re.findall(r"\$labels\.(\w+)", "".join(ALERTS[name]["annotations"].values())))
    (sample,) = next(each["exp_samples"] for each in cases()[name]["promql_expr_test"] if each["exp_samples"])
    assert used <= set(re.findall(r'(\w+)="', sample["labels"]))


def known() -> set[str]:
    """Return the names of all series that there are for rules and dashboards."""
    metrics = {name + suffix for name, (kind, _) in exposed().items() for suffix in _suffixes(kind)}
    return metrics | set(rules.recorded()) | {"up"}


def _suffixes(kind: str) -> tuple[str, ...]:
    return {"histogram": SUFFIXES, "summary": SUFFIXES[1:]}.get(kind, ("",))


@pytest.mark.parametrize("rule", rules.rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_reads_what_the_daemon_exposes(rule: dict[str, Any]) -> None:
    read = rules.names(rule["expr"])
    assert read
    assert read <= known()


def test_no_recording_rule_is_there_for_nothing() -> None:
    read = set().union(*(rules.names(alert["expr"]) for alert in ALERTS.values()))
    assert set(rules.recorded()) <= read


@pytest.mark.system
def test_the_scrape_configuration_is_valid(tmp_path: Path) -> None:
    config = rules.load(rules.DIRECTORY / "scrape.yml")
    assert [job["job_name"] for job in config["scrape_configs"]] == ["hafailover"], "the alerts go by it"
    text = (rules.DIRECTORY / "scrape.yml").read_text(encoding="utf-8")
    path = tmp_path / "prometheus.yml"
    path.write_text(text.replace("/etc/prometheus/hafailover", str(rules.DIRECTORY)))
    done = promtool("check", "config", str(path))
    assert (done.returncode, done.stderr) == (0, "")
