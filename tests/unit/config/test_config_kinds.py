from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hafailover.config import kinds
from hafailover.config.kinds import Kind, Many
from hafailover.election.values import Handover

KINDS = {name: kind for name, kind in vars(kinds).items() if isinstance(kind, Kind)}


@settings(max_examples=400)
@given(
    kind=st.sampled_from(list(KINDS.values())),
    value=st.text() | st.lists(st.text() | st.integers(), max_size=4) | st.integers() | st.floats() | st.booleans(),
)
def test_any_value_is_taken_or_refused_with_what_is_allowed(kind: Kind, value: object) -> None:
    try:
        taken = kind.read(value)
    except ValueError as error:
        assert str(error).endswith(f"; allowed: {kind.allowed}")  # noqa: PT017 - it need not raise
    else:
        assert type(value) in kind.types
        assert taken is not None


@pytest.mark.parametrize("name", sorted(KINDS.keys() - {"FLAG", "PORT"}))
def test_a_text_that_is_too_long_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="allowed"):
        KINDS[name].read("/" + "a" * 5000)


@pytest.mark.parametrize("text", ["role", "role:ha-role", "env", "file:/etc/hafailover/credentials.toml"])
def test_credentials_come_from_one_of_four_places(text: str) -> None:
    assert kinds.CREDENTIALS.read(text) == text


def test_a_choice_may_become_an_enum() -> None:
    kind = kinds.choice("overlap", "strict", enum=Handover)
    assert kind.read("strict") is Handover.STRICT
    with pytest.raises(ValueError, match=re.escape('"x" is not known; allowed: "overlap" or "strict"')):
        kind.read("x")


def test_an_array_says_what_each_of_it_is() -> None:
    assert Many(kinds.PORT, 3, 1).allowed == "an array of 1 to 3, each an integer from 1 to 65535"


def test_priorities_are_a_table_of_names_each_with_a_rank() -> None:
    assert kinds.PRIORITIES.read({"web-b": 255, "a": 1}) == (("a", 1), ("web-b", 255))
    allowed = "allowed: a table of nodes' names, each with an integer from 1 to 255"
    for wrong, shown in (
        ({"a b": 1}, '"a b"'),
        ({"a": 256}, "256"),
        ({"a": True}, "true"),
        ({"a": [1]}, "an array"),
    ):
        with pytest.raises(ValueError, match=f"^a table with {shown} was given; {allowed}$"):
            kinds.PRIORITIES.read(wrong)
