"""What all tests share: where they must be able to run, a skipped lab or system test is a failure; how Hypothesis
takes a busy machine: how long an example took proves nothing there; and how several workers share them.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.sharing import Sharing

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from xdist.remote import Producer

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

KINDS = ("lab", "system")


@pytest.fixture(autouse=True)
def unconfigured() -> Iterator[None]:
    """Leave no other test a log that was configured here."""
    yield
    structlog.reset_defaults()


def pytest_configure() -> None:
    """Heed SIGINT, which a shell's background job ignores: so would all that the tests start and interrupt."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Sharing:
    """Share the tests as `Sharing` says, whatever `--dist` is."""
    return Sharing(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the long tests where several workers share them, so that none is left to one worker at the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    marked = any(item.get_closest_marker(kind) for kind in KINDS)
    if report.skipped and marked and os.environ.get("HAFAILOVER_NO_SKIPS") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be skipped: {report.longrepr}"
    return report
