"""docs/metrics.md against what the daemon exposes, both ways."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.unit.observe.test_observe_metrics import STATUS, used

PAGE = Path(__file__).resolve().parents[3] / "docs/metrics.md"
COMMON = {"cluster", "node", "le"}
UNITS = {"_ratio": "0 to 1", "_timestamp_seconds": "Unix time", "_seconds": "seconds", "_info": "always 1"}

Described = dict[str, tuple[str, frozenset[str]]]


def rows() -> list[list[str]]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]


def documented() -> Described:
    """Return the type and the labels of each metric, by its name, as the page has them."""
    return {name.strip("`"): (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels, *_ in rows()}


def exposed() -> Described:
    """Return the same of a real exposition."""
    found: Described = {}
    for family in text_string_to_metric_families(used().render(STATUS).decode()):
        labels = {label for sample in family.samples for label in sample.labels}
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = (family.type, frozenset(labels - COMMON))
    return {name: what for name, what in found.items() if not name.startswith("process_")}


def test_every_metric_is_on_the_page_and_every_one_there_exists() -> None:
    assert documented() == exposed()
    assert len(rows()) == len(documented()), "a name stands there twice"


def test_the_unit_on_the_page_is_the_one_in_the_name() -> None:
    for name, _, _, unit, meaning in rows():
        ending = next((ending for ending in UNITS if name.strip("`").endswith(ending)), None)
        assert ending is None or unit == UNITS[ending], name
        assert unit
        assert meaning.endswith("."), name
