from __future__ import annotations

import pytest

from hafailover.emulator import faults as module
from hafailover.emulator.faults import Fault, Faults, Kind, Plan, as_json, number, parse
from hafailover.emulator.values import NORMAL, Fate, Handling

ME = ("AKIDx", "ins-aaaaaaaa", "127.0.0.1")


def plan(*faults: Fault, action: str = "MigratePrivateIpAddress") -> Plan:
    box = Faults()
    for fault in faults:
        box.add(fault)
    return box.plan(action, ME)


def test_without_faults_nothing_happens() -> None:
    assert plan() == Plan(0, None, None, NORMAL)


@pytest.mark.parametrize(
    ("pattern", "action", "fits"),
    [
        ("*", "DescribeInstances", True),
        ("Migrate*", "MigratePrivateIpAddress", True),
        ("migrate*", "MigratePrivateIpAddress", False),
        ("writes", "AssignPrivateIpAddresses", True),
        ("writes", "DescribeInstances", False),
        ("reads", "DescribeInstances", True),
        ("reads", "UnassignPrivateIpAddresses", False),
    ],
)
def test_actions(pattern: str, action: str, fits: bool) -> None:  # noqa: FBT001 - pytest's way
    assert Fault(Kind.ERROR, action=pattern).fits(action, ME) is fits


@pytest.mark.parametrize(
    ("pattern", "fits"), [("AKID*", True), ("ins-aaaaaaaa", True), ("127.*", True), ("ins-b*", False)]
)
def test_callers(pattern: str, fits: bool) -> None:  # noqa: FBT001 - pytest's way
    assert Fault(Kind.ERROR, caller=pattern).fits("DescribeInstances", ME) is fits


def test_a_counted_fault_ends() -> None:
    box = Faults()
    box.add(Fault(Kind.ERROR, count=2))
    befallen = [box.plan("DescribeInstances", ME).before is not None for _ in range(3)]
    assert befallen == [True, True, False]
    assert box.listed() == ()
    assert not Fault(Kind.ERROR, count=0).fits("DescribeInstances", ME)


def test_slots_are_filled_oldest_first_and_only_what_is_used_is_counted() -> None:
    box = Faults()
    first, second = box.add(Fault(Kind.RESET_AFTER, count=1)), box.add(Fault(Kind.HTTP_500_AFTER, count=1))
    assert box.plan("DescribeInstances", ME).after is first
    assert box.plan("DescribeInstances", ME).after is second


def test_a_refused_request_uses_up_nothing_else() -> None:
    box = Faults()
    later = box.add(Fault(Kind.TASK_FAILED, count=1))
    before = box.add(Fault(Kind.ERROR, count=1))
    found = box.plan("MigratePrivateIpAddress", ME)
    assert (found.before, found.handling) == (before, NORMAL)
    assert box.listed() == (later,)


def test_latencies_add_up() -> None:
    assert plan(Fault(Kind.LATENCY, ms=5), Fault(Kind.LATENCY, ms=7)).delay_ms == 12


@pytest.mark.parametrize(
    ("fault", "handling"),
    [
        (Fault(Kind.TASK_STUCK), Handling(fate=Fate.STICK)),
        (Fault(Kind.TASK_FAILED), Handling(fate=Fate.FAIL)),
        (Fault(Kind.TASK_SLOW, ms=30_000), Handling(task_ms=30_000)),
        (Fault(Kind.STALE, ms=10), Handling(stale_ms=10)),
    ],
)
def test_handling(fault: Fault, handling: Handling) -> None:
    assert plan(fault).handling == handling


def test_tasks_faults_wait_for_a_write() -> None:
    box = Faults()
    box.add(Fault(Kind.TASK_STUCK, count=1))
    assert box.plan("DescribeInstances", ME).handling == NORMAL
    assert box.plan("MigratePrivateIpAddress", ME).handling.fate is Fate.STICK


def test_faults_are_removed_one_by_one_or_all() -> None:
    box = Faults()
    ids = [box.add(Fault(Kind.ERROR)).id for _ in range(3)]
    assert box.remove(ids[1]) == 1
    assert [fault.id for fault in box.listed()] == [1, 3]
    assert box.remove() == 2
    assert box.remove() == 0


def test_there_is_a_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FAULTS", 1)
    box = Faults()
    box.add(Fault(Kind.ERROR))
    with pytest.raises(ValueError, match="already 1 faults"):
        box.add(Fault(Kind.ERROR))


def test_faults_from_and_to_json() -> None:
    raw = {"kind": "throttle", "action": "Describe*", "caller": "x", "count": 3, "code": "C", "ms": 4}
    assert as_json(parse(raw)) == {**raw, "id": 0}
    assert parse({"kind": "throttle"}).code == "RequestLimitExceeded"
    assert parse({"kind": "latency"}) == Fault(Kind.LATENCY)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ([], "JSON object"),
        ({"kind": "error", "colour": 1}, "unknown key 'colour'"),
        ({"kind": "none"}, "kind is 'none', allowed are latency, "),
        ({"kind": []}, "kind is"),
        ({"kind": "error", "count": 0}, "count is 0"),
        ({"kind": "error", "count": True}, "count is True"),
        ({"kind": "error", "ms": -1}, "ms is -1"),
        ({"kind": "error", "ms": 3_600_001}, "ms is 3600001"),
        ({"kind": "stale", "ms": 60_001}, "0..60000"),
        ({"kind": "error", "action": 1}, "action is not"),
        ({"kind": "error", "caller": "x" * 257}, "caller is not"),
    ],
)
def test_bad_faults(raw: object, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        parse(raw)


def test_number_wants_an_integer() -> None:
    assert number({"n": 5}, "n", 0, 5) == 5
    with pytest.raises(ValueError, match="n is None"):
        number({}, "n", 0, 5)
