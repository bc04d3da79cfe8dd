from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hafailover.config import duration


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0ms", 0),
        ("200ms", 200),
        ("1.5s", 1500),
        ("0.001s", 1),
        ("2m", 120_000),
        ("0.5m", 30_000),
        ("1h", 3_600_000),
        ("1.000ms", 1),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, milliseconds: int) -> None:
    assert duration.parse(text) == milliseconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "s",
        "-1s",
        "+1s",
        "1 s",
        "1S",
        "1e3s",
        ".5s",
        "1.s",
        "1m30s",
        "1d",
        "1s\n",
        "\u0661s",
        "9" * 13 + "s",
    ],
)
def test_anything_else_is_not_a_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"^is not a duration$"):
        duration.parse(text)


@pytest.mark.parametrize("text", ["0.5ms", "1.0005s", "0.000000001h"])
def test_a_fraction_of_a_millisecond_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^is finer than a millisecond$"):
        duration.parse(text)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0, "0ms"), (20, "20ms"), (1000, "1s"), (1620, "1.62s"), (60_000, "1m"), (90_000, "90s"), (7_200_000, "2h")],
)
def test_the_shortest_text_is_rendered(milliseconds: int, text: str) -> None:
    assert duration.render(milliseconds) == text


@given(st.integers(min_value=0, max_value=10**9))
def test_what_is_rendered_parses_to_the_same(milliseconds: int) -> None:
    assert duration.parse(duration.render(milliseconds)) == milliseconds
