from __future__ import annotations

import re
from math import inf, nan

import pytest

from hafailover.observe.picture import MAX_BARS, MAX_PHASES, PHASES, draw, number, when
from tests.unit.observe.samples import a_failover


def bars(html: str) -> list[list[tuple[str, float, float]]]:
    """Return each bar's segments: class, start and width in per cent."""
    return [
        [
            (name, float(x), float(width))
            for x, width, name in re.findall(r'<rect x="([\d.]+)%" y="0" width="([\d.]+)%".*?class="([\w-]+)"', bar)
        ]
        for bar in re.findall(r"<svg.*?</svg>", html)
    ]


def ticks(html: str) -> list[str]:
    return re.findall(r'<text x="[\d.]+%" y="\d+" class="tick[ last]*">([^<]+)', html)


def test_a_bar_is_made_of_the_phases_in_their_order() -> None:
    (bar,) = bars(draw([a_failover()]))

    assert [name for name, _, _ in bar] == ["p-detect", "p-guest", "p-cloud", "p-verify"]
    end = 0.0
    for _, start, width in bar:
        assert start == pytest.approx(end, abs=0.02)
        end = start + width
    assert end == pytest.approx(100 * 1.001 / 1.5, abs=0.1)  # the scale ends at a round time


def test_all_bars_have_one_scale() -> None:
    html = draw([a_failover(cloud=0.6), a_failover(cloud=1.2)])
    short, long = bars(html)

    assert long[2][2] == pytest.approx(2 * short[2][2], abs=0.05)
    assert ticks(html) == ["500 ms", "1 s", "1.5 s", "2 s"] * 2


@pytest.mark.parametrize("longest_s", [1e-9, 0.0007, 0.0123, 1.0, 3.41, 59.0, 7_000.0, 5e5])
def test_the_scale_is_round_and_covers_the_longest(longest_s: float) -> None:
    html = draw([a_failover(detect=longest_s, cloud=0, verify=0, guest=0)])

    assert 1 <= len(ticks(html)) <= 4
    ((_, _, width),) = bars(html)[0]
    assert width <= 100


def test_a_phase_is_told_by_number_and_time_and_explained_once() -> None:
    html = draw([a_failover(), a_failover()])

    assert html.count("cloud: the cloud&#x27;s API and its move") == 1
    assert "fence" not in html  # nowhere: it took no time
    assert '<b class="key p-cloud">5</b> cloud 600 ms' in html
    assert ">5 cloud 600 ms</text>" in html
    assert ">6</text>" in html  # verify: there is room for the number only
    assert 'aria-label="detect 300 ms, guest 1 ms, cloud 600 ms, verify 100 ms"' in html
    assert [number(name) for name in PHASES] == [*range(1, len(PHASES) + 1)]


def test_a_failover_says_who_when_why_and_how_long() -> None:
    html = draw([a_failover()])

    assert "<b>vip: web-b → web-a</b> in <b>1 s</b>" in html
    assert "2025-11-25 13:50:10 UTC" in html
    assert "the master was silent for the dead interval" in html
    assert "nobody → web-a" in draw([a_failover() | {"from": None}])
    assert "master_dead" in draw([a_failover() | {"why": None}])


def test_what_came_to_nothing_or_was_given_says_so() -> None:
    lost = a_failover() | {
        "result": "lost",
        "decided_by": "web-a",
        "ended_why": "another node took the address first",
        "phases_s": {"claim": 1.2},
    }
    html = draw([lost, a_failover() | {"result": "gave", "phases_s": {"handover": 0.7}}])

    assert '<b>1.2 s</b><b class="warn"> another node was faster</b>' in html
    assert "the master was silent for the dead interval; decided by web-a; ended: another node took" in html
    assert [[name for name, _, _ in bar] for bar in bars(html)] == [["p-claim"], ["p-handover"]]
    assert "handover: handing over to another node" in html
    assert "warn" not in draw([a_failover() | {"result": "done"}])


def test_what_an_older_or_newer_daemon_says_is_shown_as_far_as_it_goes() -> None:
    html = draw([a_failover(promote=0.2), {"phases_s": None}, {}])
    first, second, third = bars(html)

    assert first[-1][0] == "p-other"
    assert '<b class="key p-other">?</b> promote 200 ms' in html
    assert second == third == []


@pytest.mark.parametrize("odd", [nan, inf, -1.0, "1", None, [1]])
def test_a_time_that_is_none_has_no_segment(odd: object) -> None:
    assert [name for name, _, _ in bars(draw([a_failover(detect=odd)]))[0]] == ["p-guest", "p-cloud", "p-verify"]


def test_the_picture_is_bounded() -> None:
    many = {f"phase-{index}": 1e9 for index in range(1000)}
    html = draw([a_failover(**many)] * 50)

    assert len(bars(html)) == MAX_BARS
    assert len(bars(html)[0]) <= MAX_PHASES
    assert draw([]) == '<ul class="legend"></ul><ol class="failovers"></ol>'


def test_a_time_stamp_is_for_people() -> None:
    assert when("2025-11-25T13:50:10.123Z") == "2025-11-25 13:50:10 UTC"
    assert when("yesterday") == "yesterday"
    assert when(None) == ""
