"""What a check says: one verdict per run, with one bounded line on why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

MAX_DETAIL = 200


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one run has found; `detail` is one line of at most `MAX_DETAIL` characters, see `one_line`.

    `sure` is False where nobody said no: there was no answer in time, or the check could not be carried out. That
    is a failure of a check as it is and of a reversed one.
    """

    passed: bool
    detail: str
    sure: bool = True

    def reversed(self) -> Verdict:
        """Return the verdict of a check that is to pass where this one says no."""
        return Verdict(passed=self.sure and not self.passed, detail=self.detail, sure=self.sure)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One run of the check `name`: the verdict and how long it took to find it.

    `counted` is False where the run says nothing of the service, because this process itself was not running
    when the check's time was up.
    """

    name: str
    passed: bool
    seconds: float
    detail: str
    counted: bool = True


class Probe(Protocol):
    """One kind of check, ready to be run again and again, never two runs at once."""

    async def run(self, timeout_s: float) -> Verdict:
        """Look at the service once. It must end by itself soon after `timeout_s`, and be cancellable."""


@runtime_checkable
class Watcher(Probe, Protocol):
    """A kind of check that is told of changes, so that a run need not wait for its turn."""

    async def changed(self) -> None:
        """Wait until another run would probably say something else than the last one; cancellable."""

    async def close(self) -> None:
        """Give back what the watching takes; nothing is asked afterwards."""


def one_line(text: str) -> str:
    """Return the text as one line without control characters, cut to `MAX_DETAIL` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * MAX_DETAIL]).split())
    return line if len(line) <= MAX_DETAIL else f"{line[: MAX_DETAIL - 3]}..."


def failed(text: str) -> Verdict:
    """Return the verdict of a check that did not pass."""
    return Verdict(passed=False, detail=one_line(text))


def unable(text: str) -> Verdict:
    """Return the verdict of a check that could not be carried out."""
    return Verdict(passed=False, detail=one_line(text), sure=False)


def late(timeout_s: float) -> Verdict:
    """Return the verdict of a check that had no answer in time: a service that hangs does not serve."""
    return unable(f"no answer within {timeout_s * 1000:.0f} ms")
