"""Every model must say what expected.json says: the rules hold, and without one of them something breaks."""

from __future__ import annotations

import pytest

from tests.model.run import (
    HERE,
    HOLDS,
    VIOLATED,
    Case,
    ModelError,
    check,
    check_all,
    load_cases,
    missing_tools,
    table,
)

CASES = load_cases()
MODELS = sorted(path.stem for path in HERE.glob("*.pml"))
needs_spin = pytest.mark.skipif(bool(missing_tools()), reason=f"no {' and no '.join(missing_tools())}")


@pytest.mark.system
@pytest.mark.alone  # searches on two processors
@pytest.mark.timeout(300)
@needs_spin
@pytest.mark.parametrize("model", MODELS)
def test_model(model: str) -> None:
    findings = check_all([case for case in CASES if case.model == model])
    wrong = [finding for finding in findings if not finding.as_expected]
    assert not wrong, "\n" + table(wrong, markdown=False)
    assert all(finding.states > 1 for finding in findings)


@pytest.mark.system
@needs_spin
def test_that_a_model_spin_does_not_understand_is_no_finding() -> None:
    with pytest.raises(ModelError):
        check(Case("dwell", {"RULE": "NO_SUCH_RULE("}, "assertions", VIOLATED, ""))


@pytest.mark.parametrize("model", MODELS)
def test_that_every_model_can_fail(model: str) -> None:
    expected = {case.expected for case in CASES if case.model == model}
    assert expected == {HOLDS, VIOLATED}


def test_that_no_case_is_listed_twice() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
