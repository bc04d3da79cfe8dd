"""The dashboard in config/grafana, as it stands in the file: its panels and what they ask."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATH = Path(__file__).resolve().parents[2] / "config/grafana/hafailover.json"


@dataclass(frozen=True, slots=True)
class Target:
    """One query of a panel, with the values of the variables put in."""

    panel: int
    title: str
    expression: str
    legend: str


def load() -> dict[str, Any]:
    """Return the whole dashboard."""
    loaded: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    return loaded


def panels() -> list[dict[str, Any]]:
    """Return the panels that show something."""
    return [panel for panel in load()["panels"] if panel["type"] != "row"]


def targets(cluster: str, rate_interval: str) -> list[Target]:
    """Return every query, for all groups of a cluster."""
    values = {"cluster": cluster, "group": ".*", "__rate_interval": rate_interval}
    return [
        Target(panel["id"], panel["title"], fill(target["expr"], values), target["legendFormat"])
        for panel in panels()
        for target in panel["targets"]
    ]


def marks(cluster: str) -> list[str]:
    """Return the queries of what is marked in all panels."""
    return [fill(each["expr"], {"cluster": cluster, "group": ".*"}) for each in load()["annotations"]["list"]]


def variables(cluster: str) -> list[tuple[str, str]]:
    """Return what the variables are looked up in: a selector, and the label whose values they may have."""
    asked = (each["query"] for each in load()["templating"]["list"] if each["type"] == "query")
    found = (re.fullmatch(r"label_values\((.+), (\w+)\)", query["query"]) for query in asked)
    return [(fill(each[1], {"cluster": cluster}), each[2]) for each in found if each is not None]


def fill(text: str, values: dict[str, str]) -> str:
    """Put the values of variables in; KeyError where the dashboard has one that is not among them."""
    return re.sub(r"\$(\w+)", lambda found: values[found[1]], text)
