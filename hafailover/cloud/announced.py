"""What the cloud announces for an instance: its end as a spot instance, and repairs of its host. PURE.

Times are read as UTC+8, in which the metadata service gives them (CVM document 213/32487); of DescribeTaskInfo no
document says so. A repair task waits for somebody to allow it, and begins by itself at its AuthTime, two days after
it was made unless it was put to another time (documents 213/87933 and 213/88101).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from hafailover.cloud.outcome import CLIENT_REPLY
from hafailover.errors import CloudError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ACTION = "DescribeTaskInfo"
PRODUCT = "CVM"
# TaskStatus: waits to be allowed, is being worked on, is put to a time. What is over has others: 3, 5 and 6.
WAITING, UNDER_WAY, SCHEDULED = 1, 2, 4
PAGE = 100  # tasks in an answer, the API's maximum
LOOK_BACK = timedelta(days=30)  # without a StartDate only the tasks made today are listed
MAX_ID = 64
_CHINA = timezone(timedelta(hours=8))
_SHAPE = "%Y-%m-%d %H:%M:%S"
_FIRST_YEAR = 2000  # before which a time is one that was never set


@dataclass(frozen=True, slots=True)
class Announcement:
    """One event to come: `source` "spot" or "repair", `at_s` when, in seconds since 1970.

    `id` names it as long as it is announced. `under_way`: it has begun, so that it is too late to leave before.
    """

    source: str
    id: str
    at_s: float
    under_way: bool = False

    def due(self, now_s: float, before_s: float) -> bool:
        """Return whether there is no more time to it than that."""
        return self.under_way or now_s >= self.at_s - before_s


def parse_time(text: str) -> float:
    """Return the seconds since 1970 of a time such as "2018-08-18 12:05:33". Raises ValueError."""
    moment = datetime.strptime(text, _SHAPE).replace(tzinfo=_CHINA)
    if moment.year < _FIRST_YEAR:
        raise ValueError("not set")
    return moment.timestamp()


def render_time(at_s: float) -> str:
    """Return the same text of a time."""
    return datetime.fromtimestamp(at_s, _CHINA).strftime(_SHAPE)


def utc(at_s: float) -> str:
    """Return a time as the log and the status show it, such as 2018-08-18T04:05:33Z."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def spot(text: str | None) -> tuple[Announcement, ...]:
    """Return what `spot/termination-time` announces, None where there is no such path. Raises ValueError."""
    if text is None:
        return ()
    word = text.strip()
    return (Announcement("spot", word, parse_time(word)),)


def question(instance_id: str, now_s: float) -> dict[str, object]:
    """Return the parameters of DescribeTaskInfo that ask for the open tasks of an instance."""
    return {
        "Product": PRODUCT,
        "InstanceIds": [instance_id],
        "TaskStatus": [WAITING, UNDER_WAY, SCHEDULED],
        "StartDate": render_time(now_s - LOOK_BACK.total_seconds()),
        "Offset": 0,
        "Limit": PAGE,
    }


def repairs(response: dict[str, Any], instance_id: str) -> tuple[Announcement, ...]:
    """Read the answer to `question`: the tasks of this instance that have a time. Raises CloudError."""
    tasks = response.get("RepairTaskInfoSet")
    if not isinstance(tasks or [], list) or not all(isinstance(task, dict) for task in tasks or []):
        raise _bad("RepairTaskInfoSet", "a list of objects")
    return tuple(_tasks(tasks or [], instance_id))


def _tasks(tasks: Iterable[dict[str, Any]], instance_id: str) -> Iterator[Announcement]:
    for task in tasks:
        status, planned = task.get("TaskStatus"), task.get("AuthTime")
        if task.get("InstanceId") != instance_id or status not in (WAITING, UNDER_WAY, SCHEDULED) or not planned:
            continue
        name = task.get("TaskId")
        if not isinstance(name, str) or not 0 < len(name) <= MAX_ID:
            raise _bad("TaskId", f"a text of 1..{MAX_ID} characters")
        try:
            at_s = parse_time(planned)
        except (ValueError, TypeError):
            raise _bad("AuthTime", "a time such as 2018-08-18 12:05:33") from None
        yield Announcement("repair", name, at_s, under_way=status == UNDER_WAY)


def _bad(field: str, allowed: str) -> CloudError:
    return CloudError(CLIENT_REPLY, f"{field} is not {allowed}")


@dataclass(frozen=True, slots=True)
class Standing:
    """What this node has done about announcements: drained itself, and whom an operator has overruled, by id."""

    drained: bool = False
    overruled: tuple[str, ...] = ()


def wanted(
    standing: Standing, seen: Iterable[Announcement], now_s: float, before_s: float, *, complete: bool
) -> tuple[Announcement, ...] | None:
    """Return the announcements for which the node is to be drained, none where it is not to be, None for no change.

    Not `complete`: a source has not answered, so that nothing is known to be over.
    """
    due = [each for each in seen if each.due(now_s, before_s) and each.id not in standing.overruled]
    if standing.drained:
        return tuple(due) if due else () if complete else None
    return tuple(each for each in due if not each.under_way)
