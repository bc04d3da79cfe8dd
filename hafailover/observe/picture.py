"""The last failovers as a picture: a bar each, divided into its phases, all on one scale. PURE, inline SVG.

Every length is a percentage and every text keeps its size, so the same picture serves a phone and a wide screen. A
phase is told by its number as well as by its colour, and its time stands below the bar in words.
"""

from __future__ import annotations

from math import ceil, isfinite
from typing import TYPE_CHECKING, Any

from hafailover.observe.markup import join, tag, text
from hafailover.words import duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hafailover.observe.markup import Markup, Part

# In the order in which they happen; what each means is `FailoverFinished`'s.
PHASES: Mapping[str, str] = {
    "detect": "silence, until the decision",
    "guard": "guards held it up",
    "fence": "powering the old master off",
    "guest": "this guest's network",
    "cloud": "the cloud's API and its move",
    "verify": "reading the holder back",
    "claim": "a claim that came to nothing",
    "handover": "handing over to another node",
}
# What is said of a record's `result`, where there is more to say than that this node has taken over.
RESULTS: Mapping[object, str] = {
    "lost": "another node was faster",
    "void": "given up",
    "gave": "given",
    "kept": "not taken, and kept",
}
MAX_BARS = 6
MAX_PHASES = 12
_HEIGHT = 22
_NARROW_PX = 3.2  # what one per cent of a bar is on a phone
_CHAR_PX = 7.5
_TICKS = 4
_LONGEST_S = 1e6

Spans = list[tuple[str, float]]


def draw(failovers: Sequence[Part]) -> Markup:
    """Return the picture of at most `MAX_BARS` failovers, in the order given."""
    drawn = [(record, _spans(record)) for record in failovers[:MAX_BARS]]
    longest_s = max((_total_s(spans) for _, spans in drawn), default=0.0) or 1.0
    ticks = _ticks(longest_s)
    scale_s = max(longest_s, ticks[-1])
    names = [name for name in PHASES if any(name == each for _, spans in drawn for each, _ in spans)]
    return join(
        (
            _legend(names),
            tag("ol", *(_failover(record, spans, ticks, scale_s) for record, spans in drawn), class_="failovers"),
        )
    )


def _spans(record: Part) -> Spans:
    """Return the phases that took time, in their order; one that is not known here comes last."""
    took: Mapping[str, Any] = record.get("phases_s") or {}
    known = sorted(list(took)[:MAX_PHASES], key=lambda name: number(name) or len(PHASES) + 1)
    return [(name, min(float(took[name]), _LONGEST_S)) for name in known if _is_time(took[name])]


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and isfinite(value) and value > 0


def _total_s(spans: Spans) -> float:
    return sum(seconds for _, seconds in spans)


def number(phase: str) -> int | None:
    """Return the number by which a phase is told, from 1; None for one that this version does not know."""
    return [*PHASES].index(phase) + 1 if phase in PHASES else None


def _ticks(longest_s: float) -> list[float]:
    """Return round times, evenly spaced from 0 until the longest bar is covered: 1 to 4 of them beyond 0."""
    step_s = 10.0**-4
    while longest_s / step_s > _TICKS:
        for factor in (2, 2.5, 2):
            step_s *= factor
            if longest_s / step_s <= _TICKS:
                break
    count = max(1, ceil(longest_s / step_s - 1e-9))  # less what the division may be off
    return [index * step_s for index in range(count + 1)]


def _legend(names: Sequence[str]) -> Markup:
    entries = (tag("li", _key(name), tag("span", f" {name}: {PHASES[name]}")) for name in names)
    return tag("ul", *entries, class_="legend")


def _failover(record: Part, spans: Spans, ticks: Sequence[float], scale_s: float) -> Markup:
    told = ", ".join(f"{name} {duration(seconds)}" for name, seconds in spans)
    head = tag(
        "p",
        tag("b", f"{record.get('group')}: {_or_nobody(record.get('from'))} → {_or_nobody(record.get('to'))}"),
        " in ",
        tag("b", duration(_total_s(spans))),
        tag("b", f" {RESULTS[record['result']]}", class_="warn") if record.get("result") in RESULTS else "",
        tag("span", text(when(record.get("at"))), class_="when"),
    )
    why = tag("p", *_why(record), class_="why")
    return tag("li", head, why, _bar(spans, ticks, scale_s, told), tag("p", _figures(spans), class_="figures"))


def _why(record: Part) -> Iterator[str]:
    """Yield why it began, who decided that, and why it ended where that is another matter."""
    yield record.get("why") or record.get("reason") or ""
    if record.get("decided_by"):
        yield f"; decided by {record['decided_by']}"
    if record.get("ended_why"):
        yield f"; ended: {record['ended_why']}"


def _or_nobody(node: object) -> str:
    return str(node) if node else "nobody"


def when(at: object) -> str:
    """Return a time stamp of the history for people: whole seconds, and that it is UTC."""
    said = str(at or "")
    return f"{said[:10]} {said[11:19]} UTC" if said.endswith("Z") else said


def _figures(spans: Spans) -> Markup:
    return join((tag("span", _key(name), f" {name} {duration(took)} ") for name, took in spans))


def _key(name: str) -> Markup:
    return tag("b", str(number(name) or "?"), class_=f"key p-{_css(name)}")


def _css(name: str) -> str:
    return name if name in PHASES else "other"


def _bar(spans: Spans, ticks: Sequence[float], scale_s: float, told: str) -> Markup:
    """Return one bar with the ticks of the scale; the first tick's text, 0, is left out."""
    pieces: list[Markup] = []
    for tick in ticks[1:]:
        x = f"{100 * tick / scale_s:.2f}%"
        at_the_end = " last" if tick == ticks[-1] else ""
        pieces += (
            tag("line", x1=x, x2=x, y1="0", y2=str(_HEIGHT + 4)),
            tag("text", duration(tick), x=x, y=str(_HEIGHT + 15), class_=f"tick{at_the_end}"),
        )
    at_s = 0.0
    for name, seconds in spans:
        pieces += _segment(name, seconds, 100 * at_s / scale_s, 100 * seconds / scale_s)
        at_s += seconds
    return tag("svg", *pieces, role="img", aria_label=told, class_="bar")


def _segment(name: str, seconds: float, start: float, width: float) -> list[Markup]:
    """Return one phase, its place in per cent of the scale; labelled as far as there is room on a phone."""
    key = str(number(name) or "?")
    block = tag(
        "rect", x=f"{start:.2f}%", y="0", width=f"{width:.2f}%", height=str(_HEIGHT), class_=f"p-{_css(name)}"
    )
    room = width * _NARROW_PX / _CHAR_PX
    label = next((said for said in (f"{key} {name} {duration(seconds)}", key) if len(said) + 1 <= room), "")
    if not label:
        return [block]
    return [block, tag("text", label, x=f"{start:.2f}%", dx="5", y="15")]
