"""What the cloud announces, read; and whether a node is to leave because of it."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tencentcloud.cvm.v20170312 import models as cvm

from hafailover.cloud import announced
from hafailover.cloud.announced import Announcement, Standing
from hafailover.errors import CloudError

ME = "ins-aaaaaaaa"
PLANNED = "2023-03-10 12:00:00"
AT_S = 1_678_420_800.0  # the same, at UTC+8
MINUTE = 60.0


def task(**changes: Any) -> dict[str, Any]:
    plain = {"TaskId": "rep-aaaaaaaa", "InstanceId": ME, "TaskTypeId": 107, "TaskStatus": 1, "AuthTime": PLANNED}
    return {**plain, **changes}


def read(*tasks: Any) -> tuple[Announcement, ...]:
    return announced.repairs({"RepairTaskInfoSet": list(tasks)}, ME)


def test_times_are_of_china_there_and_of_utc_here() -> None:
    assert announced.parse_time(PLANNED) == AT_S
    assert announced.render_time(AT_S) == PLANNED
    assert announced.utc(AT_S) == "2023-03-10T04:00:00Z"


@pytest.mark.parametrize("text", ["", "soon", "0000-00-00 00:00:00", "1970-01-01 08:00:00", "2023-03-10"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        announced.parse_time(text)


def test_a_spot_instance_has_an_end_or_none() -> None:
    assert announced.spot(None) == ()
    assert announced.spot(f"{PLANNED}\n") == (Announcement("spot", PLANNED, AT_S),)


def test_the_question_is_one_that_the_sdk_knows() -> None:
    asked = announced.question(ME, AT_S)
    request = cvm.DescribeTaskInfoRequest()
    request.from_json_string(json.dumps(asked))
    assert (request.InstanceIds, request.TaskStatus, request.StartDate) == ([ME], [1, 2, 4], "2023-02-08 12:00:00")
    assert set(asked) <= {name.removeprefix("_") for name in vars(request)}


def test_open_repairs_of_this_instance_with_a_time_count() -> None:
    assert read(task()) == (Announcement("repair", "rep-aaaaaaaa", AT_S),)
    assert read(task(TaskStatus=4))[0].under_way is False
    assert read(task(TaskStatus=2))[0].under_way is True
    assert announced.repairs({"RepairTaskInfoSet": None}, ME) == ()
    assert announced.repairs({}, ME) == ()
    assert hasattr(cvm.RepairTaskInfo(), "AuthTime")


@pytest.mark.parametrize(
    "other",
    [{"InstanceId": "ins-bbbbbbbb"}, {"TaskStatus": 3}, {"TaskStatus": None}, {"AuthTime": None}, {"AuthTime": ""}],
)
def test_others_do_not(other: dict[str, Any]) -> None:
    assert read(task(**other)) == ()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (task(TaskId=7), "TaskId"),
        (task(TaskId=""), "TaskId"),
        (task(AuthTime=7), "AuthTime"),
        (task(AuthTime="soon"), "AuthTime"),
        (7, "RepairTaskInfoSet"),
    ],
)
def test_an_answer_of_another_shape_is_an_error(wrong: Any, field: str) -> None:
    with pytest.raises(CloudError, match=field):
        read(wrong)
    with pytest.raises(CloudError, match="RepairTaskInfoSet"):
        announced.repairs({"RepairTaskInfoSet": "none"}, ME)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x, max_size=3)))
def test_whatever_the_fields_are_it_is_read_or_an_error(value: Any) -> None:
    for field in task():
        with contextlib.suppress(CloudError):
            assert len(read(task(**{field: value}))) <= 1


SOON = Announcement("repair", "rep-aaaaaaaa", AT_S)
BEGUN = Announcement("repair", "rep-bbbbbbbb", AT_S, under_way=True)


def wanted(
    *seen: Announcement, left_s: float = MINUTE, complete: bool = True, **standing: Any
) -> tuple[Announcement, ...] | None:
    now_s = AT_S - left_s
    return announced.wanted(Standing(**standing), seen, now_s, 10 * MINUTE, complete=complete)


def test_a_node_leaves_in_time_and_not_before() -> None:
    assert wanted(SOON, left_s=10 * MINUTE) == (SOON,)
    assert wanted(SOON, left_s=10 * MINUTE + 1) == ()
    assert wanted(SOON, left_s=-MINUTE) == (SOON,)
    assert wanted() == ()


def test_nothing_is_left_because_of_what_has_begun_or_was_overruled() -> None:
    assert wanted(BEGUN) == ()
    assert wanted(SOON, overruled=(SOON.id,)) == ()


def test_a_node_stays_out_until_all_is_known_to_be_over() -> None:
    assert wanted(SOON, drained=True) == (SOON,)
    assert wanted(BEGUN, drained=True) == (BEGUN,)
    assert wanted(drained=True) == ()
    assert wanted(drained=True, complete=False) is None
    assert wanted(SOON, drained=True, left_s=3600) == ()  # put off
