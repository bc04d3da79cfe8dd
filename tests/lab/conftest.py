from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.cloud import CloudSettings
from tests.lab.fabric import LabError, sweep, why_not
from tests.lab.lab import Lab
from tests.lab.pair import Pair, PairSettings

if TYPE_CHECKING:
    from collections.abc import Iterator


def _show(lab: Lab) -> None:
    for name, text in lab.logs().items():  # shown by pytest where a test has failed
        print(f"----- {name}\n{text}")  # noqa: T201 - see above


@pytest.fixture(scope="session")
def _allowed() -> None:
    reason = why_not()
    if reason:
        pytest.skip(f"the lab cannot run: {reason}")
    sweep()


@pytest.fixture
def cloud() -> CloudSettings:
    return CloudSettings()


@pytest.fixture
def lab(_allowed: None, cloud: CloudSettings) -> Iterator[Lab]:
    with Lab(cloud) as made:
        yield made
        _show(made)


@pytest.fixture
def settings() -> PairSettings:
    return PairSettings()


@pytest.fixture
def pair(lab: Lab, settings: PairSettings) -> Pair:
    made = Pair(lab, settings)
    try:
        made.start()
    except LabError:
        _show(lab)
        raise
    return made
