"""A real Prometheus beside the client of a lab: it scrapes the daemons and has the rules of config/prometheus."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

from tests.lab.fabric import LabError
from tests.lab.pair import METRICS_PORT
from tests.lab.processes import ENVIRONMENT, ROOT, Process, inside, module, wait_for
from tests.prometheus import rules
from tests.prometheus.ask import PORT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.lab.lab import Lab

SCRAPE_S = 1
_CONFIG = """
global: {{scrape_interval: {scrape_s}s, scrape_timeout: {scrape_s}s, evaluation_interval: {scrape_s}s}}
rule_files: {rules}
scrape_configs:
  - job_name: hafailover
    static_configs: [{{targets: {targets}}}]
"""


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer: its labels, and its points (seconds since the epoch, value)."""

    labels: dict[str, str]
    points: tuple[tuple[float, float], ...]

    @property
    def value(self) -> float:
        """The newest value."""
        return self.points[-1][1]


class Prometheus:
    """Use as a context manager; inside, Prometheus is ready to be asked."""

    def __init__(self, lab: Lab) -> None:
        self._namespace = lab.fabric.namespace("client")
        self._directory = lab.directory / "prometheus"
        self._targets = [f"{host.port.address}:{METRICS_PORT}" for host in lab.hosts.values()]
        self._process: Process | None = None

    def __enter__(self) -> Self:
        self._directory.mkdir()
        config = self._directory / "prometheus.yml"
        files = json.dumps([str(path) for path in rules.RULES])
        text = _CONFIG.format(scrape_s=SCRAPE_S, rules=files, targets=json.dumps(self._targets))
        config.write_text(text, encoding="utf-8")
        argv = [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={self._directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{PORT}",
            "--log.level=warn",
        ]
        self._process = Process(inside(self._namespace, argv), self._directory / "prometheus.log")
        try:
            wait_for(
                "Prometheus is ready", lambda: self.get("/api/v1/query?query=1")[0] is not None, 30, pause_s=0.3
            )
        except LabError:
            self._process.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()

    def get(self, *paths: str) -> list[Any]:
        """Return the answers' bodies, None for each that did not come."""
        done = subprocess.run(
            inside(self._namespace, module("tests.prometheus.ask")),
            input=json.dumps(paths),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            cwd=ROOT,
            env=ENVIRONMENT,
        )
        answers: list[Any] = json.loads(done.stdout)
        return answers

    def ask(self, expressions: Sequence[str]) -> list[list[Series]]:
        """Return what each expression gives now. Raises LabError where Prometheus does not understand one."""
        answers = self.get(*(f"/api/v1/query?{urlencode({'query': expression})}" for expression in expressions))
        return [_series(answer, expression) for answer, expression in zip(answers, expressions, strict=True)]

    def ask_range(
        self, expressions: Sequence[str], start_s: float, end_s: float, step_s: float
    ) -> list[list[Series]]:
        """Return what each expression gives between two times (seconds since the epoch)."""
        times = {"start": start_s, "end": end_s, "step": step_s}
        queries = (urlencode({"query": expression, **times}) for expression in expressions)
        answers = self.get(*(f"/api/v1/query_range?{query}" for query in queries))
        return [_series(answer, expression) for answer, expression in zip(answers, expressions, strict=True)]

    def value(self, expression: str) -> float:
        """Return the one value that an expression gives now. Raises LabError where it gives none, or several."""
        (found,) = self.ask([expression])
        if len(found) != 1:
            raise LabError(f"{expression} gives {len(found)} series")
        return found[0].value

    def rules(self) -> list[dict[str, Any]]:
        """Return the rules as Prometheus sees them, with their health and the alerts that are active."""
        (answer,) = self.get("/api/v1/rules")
        return [rule for group in answer["data"]["groups"] for rule in group["rules"]]


def _series(answer: Any, expression: str) -> list[Series]:
    if answer is None or answer["status"] != "success":
        raise LabError(f"{expression}: {answer and answer['error']}")
    data = answer["data"]
    if data["resultType"] == "scalar":
        return [Series({}, (_point(data["result"]),))]
    return [
        Series(each["metric"], tuple(map(_point, each.get("values") or [each["value"]]))) for each in data["result"]
    ]


def _point(pair: tuple[float, str]) -> tuple[float, float]:
    return float(pair[0]), float(pair[1])
