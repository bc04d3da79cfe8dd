"""The words of the emulated cloud: errors, how a call is handled, what a write changed.

Times are integer milliseconds on the clock of whoever drives the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class ApiError(Exception):
    """The cloud's refusal of one request: an error code of the API and a text for people.

    The model sets `request_id` once it has given the request one.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        self.request_id = ""
        super().__init__(f"{code}: {message}")


class Fate(Enum):
    """What becomes of the task that an accepted write starts."""

    APPLY = "apply"
    FAIL = "fail"  # the task ends FAILED and changes nothing
    STICK = "stick"  # the task stays RUNNING until `Model.release_stuck`


@dataclass(frozen=True, slots=True)
class Handling:
    """How one request is handled apart from what it says; `task_ms` None means the model's own.

    `stale_ms`: a Describe answers with what was true so long ago (0 ms .. `model.MAX_STALE_MS`).
    """

    task_ms: int | None = None
    fate: Fate = Fate.APPLY
    stale_ms: int = 0


NORMAL = Handling()


class TaskStatus(Enum):
    """Status of an asynchronous task as DescribeVpcTaskResult gives it."""

    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class PowerChange:
    """An instance's state has changed from `before` to `after`, as in RUNNING, by a request or by hand."""

    at_ms: int
    instance: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Change:
    """One applied write as it truly happened: who holds `resource` (an address or an ENI id) from `at_ms` on.

    `before` and `after` are the ids of the holders, None for nobody. `caller` and `action` say whose request
    it was, `accepted_ms` when that was accepted; `request_id` is empty for a change made by hand.
    """

    at_ms: int
    resource: str
    before: str | None
    after: str | None
    caller: str
    action: str
    request_id: str = ""
    accepted_ms: int = 0
