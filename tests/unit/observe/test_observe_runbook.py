"""docs/runbook.md against the alerts and the reasons that there are, both ways."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from hafailover.cli import COMMANDS
from hafailover.election.reasons import Reason

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    level = heading.partition(" ")[0]
    return re.split(rf"\n{level} ", PAGE.partition(f"\n{heading}\n")[2])[0]


def test_every_alert_is_there_and_no_other() -> None:
    rules = yaml.safe_load((ROOT / "config" / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))
    alerts = [rule["alert"] for group in rules["groups"] for rule in group["rules"]]
    assert re.findall(r"(?m)^### (\w+)$", section("## Alerts")) == alerts


def test_each_alert_says_what_to_do() -> None:
    for part in section("## Alerts").split("\n### ")[1:]:
        name, _, text = part.partition("\n")
        assert re.search(r"\*(Look and do|Do)\*: ", text), name


def test_every_reason_is_there_once_and_no_other() -> None:
    rows = re.findall(r"(?m)^\| `(\w+)` \| (.+) \| (.+) \|$", section("## Reasons"))
    assert sorted(label for label, _, _ in rows) == sorted(reason.label for reason in Reason)


def test_the_alerts_that_are_referred_to_exist() -> None:
    known = set(re.findall(r"(?m)^### (Hafailover\w+)$", PAGE))
    assert set(re.findall(r"\bHafailover[A-Z]\w+", PAGE)) == known


def test_the_commands_that_are_named_exist() -> None:
    named = set(re.findall(r"`hafailover ([a-z-]+)", PAGE))
    assert named <= {command.name for command in COMMANDS}
    assert "status" in named


def test_the_events_that_are_named_are_logged() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "hafailover").rglob("*.py"))
    for event in re.findall(r"event `(\w+)`", PAGE):
        assert f'"{event}"' in code, event
