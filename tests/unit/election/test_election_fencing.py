from __future__ import annotations

from hafailover.election.effects import Fence
from hafailover.election.events import FenceFinished
from hafailover.election.fencing import Fencing
from hafailover.election.values import FenceResult, Resource
from tests.unit.election.bench import GROUP, VIP


class Most:
    def randint(self, a: int, b: int) -> int:
        del a
        return b


OFF = FenceResult(stopped=True)
REFUSED = FenceResult(stopped=False, code="UnauthorizedOperation")


def feared(resource: Resource, holder: str, now: int) -> bool:
    del resource, now
    return holder == "eni-c"


def fencing() -> Fencing:
    case = Fencing(GROUP, feared)
    assert not case.clears(VIP, "eni-a", 5)
    return case


def test_it_is_asked_for_once() -> None:
    case = fencing()
    assert case.drive(5, 1) == Fence(GROUP, 1, VIP, "eni-a")
    assert not case.clears(VIP, "eni-a", 6)
    assert case.drive(6, 2) is None
    assert case.deadline(6) is None


def test_nothing_is_asked_for_that_nothing_waits_for() -> None:
    case = Fencing(GROUP, feared)
    assert case.clears(VIP, "eni-c", 5)
    assert case.drive(5, 1) is None


def test_each_holder_has_to_be_off() -> None:
    case = fencing()
    case.drive(5, 1)
    case.finished(FenceFinished(GROUP, 1, OFF), 900, Most())
    assert not case.clears(VIP, "eni-b", 901)
    assert case.drive(901, 2) == Fence(GROUP, 2, VIP, "eni-b")


def test_it_is_done_when_the_cloud_confirms_it() -> None:
    case = fencing()
    case.drive(5, 1)
    case.finished(FenceFinished(GROUP, 1, OFF), 900, Most())
    assert (case.stopped_at, case.failures) == (900, 0)
    assert case.clears(VIP, "eni-a", 10_000)
    assert case.drive(10_000, 2) is None
    assert case.deadline(901) is None


def test_a_failure_is_repeated_after_a_growing_wait() -> None:
    case = fencing()
    waits, now = [], 0
    for attempt in range(1, 7):
        assert not case.clears(VIP, "eni-a", now)
        assert case.drive(now, attempt) is not None
        case.finished(FenceFinished(GROUP, attempt, REFUSED), now, Most())
        assert (case.stopped_at, case.failures) == (None, attempt)
        retry_at = case.deadline(now)
        assert retry_at is not None
        assert not case.clears(VIP, "eni-a", retry_at - 1)
        assert case.drive(retry_at - 1, 90) is None
        assert case.deadline(retry_at) is None
        waits.append(retry_at - now)
        now = retry_at
    assert waits == [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]


def test_the_end_of_another_attempt_is_ignored() -> None:
    case = fencing()
    case.finished(FenceFinished(GROUP, 1, OFF), 1, Most())
    case.drive(5, 2)
    case.finished(FenceFinished(GROUP, 1, OFF), 6, Most())
    assert case.stopped_at is None
