"""The rules, their tests and the scrape configuration in config/prometheus, as they stand in the files."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

DIRECTORY = Path(__file__).resolve().parents[2] / "config/prometheus"
RULES = (DIRECTORY / "recording.yml", DIRECTORY / "alerts.yml")
TESTS = tuple(sorted((DIRECTORY / "tests").glob("*.yml")))

_SELECTOR = re.compile(r"\b(?:\w+:)?(?:hafailover_|up\b|process_)[\w:]*(?:\{[^}]*\})?")


@cache
def load(path: Path) -> Any:
    """Return what a YAML file says."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules() -> list[dict[str, Any]]:
    """Return every rule."""
    return [rule for path in RULES for group in load(path)["groups"] for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    """Return the alerts by name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def recorded() -> dict[str, str]:
    """Return the expressions of the recording rules by the name that they record."""
    return {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}


def selectors(expression: str) -> list[str]:
    """Return what a PromQL expression selects of ours: names with their matchers."""
    return _SELECTOR.findall(expression)


def names(expression: str) -> set[str]:
    """Return the metrics and recorded series that an expression reads."""
    return {selector.partition("{")[0] for selector in selectors(expression)}
