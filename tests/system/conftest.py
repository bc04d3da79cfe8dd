"""Two machines that boot, and the program installed on them as README.md says; the tests share them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab import fabric
from tests.lab.lab import Lab
from tests.system import machines
from tests.system.pair import SystemPair

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def installed() -> Iterator[SystemPair]:
    reason = fabric.why_not() or machines.why_not()
    if reason:
        pytest.skip(f"no machines can be booted: {reason}")
    machines.sweep()
    fabric.sweep()
    with Lab() as lab, SystemPair(lab) as pair:
        yield pair


@pytest.fixture
def pair(installed: SystemPair) -> Iterator[SystemPair]:
    """Return the pair with web-a as master and web-b as its backup, whatever a test before has done."""
    try:
        installed.make_ready()
        yield installed
    finally:
        for name, text in installed.logs().items():  # shown by pytest where a test has failed
            print(f"----- {name}\n{text}")  # noqa: T201 - see above
