"""Faults to be switched on at run time, as data, and which of them befalls a request.

A fault names the requests that it befalls (action, caller, how many) and what happens to them. Of those that fit,
each slot (before the effect, after it, the task, the age of a read) takes the oldest; added latencies add up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from hafailover.emulator.actions import WRITE_ACTIONS
from hafailover.emulator.model import MAX_STALE_MS
from hafailover.emulator.values import Fate, Handling

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_FAULTS = 256
MAX_MS = 3_600_000
MAX_COUNT = 1_000_000


class Kind(Enum):
    """What a fault does. `before`: the request has no effect; `after`: it has, and the caller cannot know."""

    LATENCY = "latency"  # ms more before the request is processed
    ERROR = "error"  # refused with `code`
    THROTTLE = "throttle"  # refused with RequestLimitExceeded, or `code`
    DENIED = "denied"  # refused with UnauthorizedOperation, or `code`: the caller lacks the permission
    EXPIRED = "expired"  # refused with AuthFailure.TokenFailure
    OUTAGE = "outage"  # the connection is reset, nothing happens
    HTTP_500_BEFORE = "http-500-before"
    HTTP_500_AFTER = "http-500-after"
    RESET_BEFORE = "reset-before"
    RESET_AFTER = "reset-after"
    HANG_BEFORE = "hang-before"  # no reply for ms (0: as long as the server allows), no effect
    HANG_AFTER = "hang-after"  # the same, with the effect
    TRUNCATED = "truncated"  # half of the body, then the end of the connection
    NOT_JSON = "not-json"
    CHARSET = "charset"  # Content-Type: application/json; charset=utf-8, which the SDK takes for a success
    SLOW_HEAD = "slow-head"  # a byte every ms
    SLOW_BODY = "slow-body"
    TASK_STUCK = "task-stuck"  # RUNNING until the fault is cleared
    TASK_FAILED = "task-failed"
    TASK_SLOW = "task-slow"  # takes effect ms after it was accepted
    STALE = "stale"  # reads are answered with what was true ms ago


BEFORE = frozenset(
    {
        Kind.ERROR,
        Kind.DENIED,
        Kind.THROTTLE,
        Kind.EXPIRED,
        Kind.OUTAGE,
        Kind.HTTP_500_BEFORE,
        Kind.RESET_BEFORE,
        Kind.HANG_BEFORE,
    }
)
AFTER = frozenset(
    {Kind.HTTP_500_AFTER, Kind.RESET_AFTER, Kind.HANG_AFTER, Kind.TRUNCATED, Kind.NOT_JSON, Kind.CHARSET}
    | {Kind.SLOW_HEAD, Kind.SLOW_BODY}
)
TASK = frozenset({Kind.TASK_STUCK, Kind.TASK_FAILED, Kind.TASK_SLOW})
FATES: Mapping[Kind, Fate] = {Kind.TASK_STUCK: Fate.STICK, Kind.TASK_FAILED: Fate.FAIL}
DEFAULT_CODES: Mapping[Kind, str] = {
    Kind.ERROR: "InternalError",
    Kind.THROTTLE: "RequestLimitExceeded",
    Kind.DENIED: "UnauthorizedOperation",
    Kind.EXPIRED: "AuthFailure.TokenFailure",
}


@dataclass(slots=True)
class Fault:
    """One fault. `action` and `caller` are patterns (`*`), `action` may also be "reads" or "writes".

    `caller` is compared with the SecretId, the instance whose role the credentials come from, and the client's
    address. `count`: how many requests it befalls, None for all. `ms` is what `kind` says, and `code` has a default
    where `kind` wants one.
    """

    kind: Kind
    action: str = "*"
    caller: str = "*"
    count: int | None = None
    code: str = ""
    ms: int = 0
    id: int = 0

    def __post_init__(self) -> None:
        self.code = self.code or DEFAULT_CODES.get(self.kind, "")

    def fits(self, action: str, callers: tuple[str, ...]) -> bool:
        """Tell whether the fault befalls such a request."""
        if self.count == 0:
            return False
        if self.action in ("reads", "writes"):
            fits_action = (action in WRITE_ACTIONS) == (self.action == "writes")
        else:
            fits_action = fnmatchcase(action, self.action)
        return fits_action and any(fnmatchcase(caller, self.caller) for caller in callers)


@dataclass(frozen=True, slots=True)
class Plan:
    """What befalls one request."""

    delay_ms: int = 0
    before: Fault | None = None
    after: Fault | None = None
    handling: Handling = field(default=Handling())


class Faults:
    """The faults that are switched on, oldest first."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._serial = 0

    def add(self, fault: Fault) -> Fault:
        """Switch a fault on; it gets an id. Raises ValueError where there are too many."""
        if len(self._faults) >= MAX_FAULTS:
            raise ValueError(f"there are already {MAX_FAULTS} faults")
        self._serial += 1
        fault.id = self._serial
        self._faults.append(fault)
        return fault

    def remove(self, fault_id: int | None = None) -> int:
        """Switch one fault off, or all; return how many were on."""
        kept = [f for f in self._faults if fault_id is not None and f.id != fault_id]
        gone = len(self._faults) - len(kept)
        self._faults = kept
        return gone

    def listed(self) -> tuple[Fault, ...]:
        """Return the faults that are on."""
        return tuple(self._faults)

    def plan(self, action: str, callers: tuple[str, ...]) -> Plan:
        """Return what befalls a request, and count that."""
        fitting = [fault for fault in self._faults if fault.fits(action, callers)]
        if not fitting:
            return Plan()
        late = [fault for fault in fitting if fault.kind is Kind.LATENCY]
        before = _first(fitting, BEFORE)
        # What is refused has no effect, so nothing else is used up on it.
        after, task, stale = (
            None if before else _first(fitting, kinds) for kinds in (AFTER, TASK, frozenset({Kind.STALE}))
        )
        task = task if action in WRITE_ACTIONS else None
        self._use(*late, before, after, task, stale)
        return Plan(sum(fault.ms for fault in late), before, after, _handling(task, stale))

    def _use(self, *faults: Fault | None) -> None:
        for fault in faults:
            if fault is not None and fault.count is not None:
                fault.count -= 1
        self._faults = [fault for fault in self._faults if fault.count != 0]


def _first(faults: list[Fault], kinds: frozenset[Kind]) -> Fault | None:
    return next((fault for fault in faults if fault.kind in kinds), None)


def _handling(task: Fault | None, stale: Fault | None) -> Handling:
    return Handling(
        task_ms=task.ms if task and task.kind is Kind.TASK_SLOW else None,
        fate=FATES.get(task.kind, Fate.APPLY) if task else Fate.APPLY,
        stale_ms=stale.ms if stale else 0,
    )


def parse(raw: object) -> Fault:
    """Read a fault from JSON. Raises ValueError with what is wrong."""
    if not isinstance(raw, dict):
        raise ValueError("a fault is a JSON object")  # noqa: TRY004 - one kind of error for all bad input
    if unknown := set(raw) - {"kind", "action", "caller", "count", "code", "ms"}:
        raise ValueError(f"unknown key {min(unknown)!r}")
    kinds = {kind.value: kind for kind in Kind}
    kind = kinds.get(str(raw.get("kind")))
    if kind is None:
        raise ValueError(f"kind is {str(raw.get('kind'))[:64]!r}, allowed are {', '.join(kinds)}")
    most_ms = MAX_STALE_MS if kind is Kind.STALE else MAX_MS
    return Fault(
        kind=kind,
        action=_text(raw, "action", "*"),
        caller=_text(raw, "caller", "*"),
        count=None if raw.get("count") is None else number(raw, "count", 1, MAX_COUNT),
        code=_text(raw, "code", ""),
        ms=number(raw, "ms", 0, most_ms) if "ms" in raw else 0,
    )


def _text(raw: Mapping[str, Any], key: str, default: str) -> str:
    value = raw.get(key, default)
    if not isinstance(value, str) or len(value) > 256:  # noqa: PLR2004 - longer than any id or code there is
        raise ValueError(f"{key} is not a short string")
    return value


def number(raw: Mapping[str, Any], key: str, low: int, high: int) -> int:
    """Return the integer at `key`. Raises ValueError where it is none within low..high."""
    value = raw.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{key} is {value!r}, allowed is an integer in {low}..{high}")
    return value


def as_json(fault: Fault) -> dict[str, Any]:
    """Return the fault as `parse` takes it, with its id."""
    return {
        "id": fault.id,
        "kind": fault.kind.value,
        "action": fault.action,
        "caller": fault.caller,
        "count": fault.count,
        "code": fault.code,
        "ms": fault.ms,
    }
