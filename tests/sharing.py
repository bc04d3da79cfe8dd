"""How several workers of pytest-xdist share the tests."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

# Files whose tests one worker runs: they share what is dear to make, or of which there can be only one.
TOGETHER = {
    "tests/lab/test_lab_prometheus.py": "a failover before Prometheus' eyes",
    "tests/system/test_system_checks.py": "the machines",
    "tests/system/test_system_leftovers.py": "the machines",
    "tests/system/test_system_service.py": "the machines",
    "tests/system/test_system_setup.py": "the machines",
    "tests/unit/demo/test_demo_command.py": "the demo's addresses",
}


def scope(nodeid: str) -> str:
    """Return the name of what a test has to be run with: for most that is the test alone."""
    return TOGETHER.get(nodeid.partition("::")[0], nodeid)


class Sharing(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives a worker one test after the other, and all of those that go together to one; these come first.

    `--dist loadgroup` of pytest-xdist 3.8 does this by marks, but not with pytest 9.2: it groups nothing there.
    """

    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid)
