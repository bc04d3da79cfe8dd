from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.fabric import sweep, why_not
from tests.lab.lab import Lab
from tests.lab.pair import Pair, PairSettings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def _allowed() -> None:
    reason = why_not()
    if reason:
        pytest.skip(f"the lab cannot run: {reason}")
    sweep()


@pytest.fixture
def lab(_allowed: None) -> Iterator[Lab]:
    with Lab() as made:
        yield made
        for name, text in made.logs().items():  # shown by pytest where the test has failed
            print(f"----- {name}\n{text}")  # noqa: T201 - see above


@pytest.fixture
def settings() -> PairSettings:
    return PairSettings()


@pytest.fixture
def pair(lab: Lab, settings: PairSettings) -> Pair:
    made = Pair(lab, settings)
    made.start()
    return made
