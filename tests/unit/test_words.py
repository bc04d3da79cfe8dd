from __future__ import annotations

import pytest

from hafailover.words import ago, clean, duration, event


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        ("soon", "-"),
        (0, "0 ms"),
        (0.0000004, "0 us"),
        (0.000412, "412 us"),
        (0.001, "1 ms"),
        (0.0123, "12.3 ms"),
        (1, "1 s"),
        (1.55, "1.55 s"),
        (59.94, "59.9 s"),
        (60, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (86_400 * 3 + 7200, "3 d 2 h"),
    ],
)
def test_a_duration_is_readable(seconds: object, text: str) -> None:
    assert duration(seconds) == text


def test_a_text_from_outside_cannot_steer_the_terminal() -> None:
    assert clean("a\x1b]0;title\x07\r\n\u202eb") == "a?]0;title????b"
    assert clean("") == clean(None) == "-"


def test_what_never_was_is_not_ago() -> None:
    assert (ago(None), ago(1.5), ago(120)) == ("never", "1.5 s ago", "2 min 0 s ago")


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"in_s": 110.0}, "repair rep-a, at 2018-08-18T04:05:33Z, in 1 min 50 s"),
        ({"in_s": -3}, "repair rep-a, at 2018-08-18T04:05:33Z, 3 s ago"),
        ({"in_s": -3, "under_way": True}, "repair rep-a, at 2018-08-18T04:05:33Z, under way"),
        ({"source": "spot"}, "spot, at 2018-08-18T04:05:33Z"),
    ],
)
def test_what_is_announced_is_one_line(more: dict[str, object], text: str) -> None:
    assert event({"source": "repair", "id": "rep-a", "at": "2018-08-18T04:05:33Z", **more}) == text
