from __future__ import annotations

import pytest

from hafailover.config.findings import MOST, Findings
from hafailover.errors import ConfigError, Problem


def test_problems_are_told_in_the_order_of_the_file() -> None:
    findings = Findings("f.toml")
    for path in ("cluster", "node", "cluster"):
        findings.visit(path)
    findings.add("node", "second")
    findings.add("elsewhere", "last")
    findings.add("cluster", "first")
    assert [problem.message for problem in findings.problems()] == ["first", "second", "last"]


def test_the_number_of_problems_is_bounded_and_the_rest_counted() -> None:
    findings = Findings("f.toml")
    for _ in range(MOST + 7):
        findings.add("key", "wrong")
    problems = findings.problems()
    assert len(problems) == MOST + 1
    assert problems[-1] == Problem("f.toml", "", "7 more problems")


def test_one_error_carries_all_problems() -> None:
    findings = Findings("f.toml")
    findings.raise_if_any()
    findings.add("", "is wrong")
    findings.add("a.b", "is wrong too")
    with pytest.raises(ConfigError) as caught:
        findings.raise_if_any()
    assert str(caught.value) == "f.toml: is wrong\nf.toml: a.b: is wrong too"
