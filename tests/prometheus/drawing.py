"""Draws the dashboard as Grafana would show it, for where there is no Grafana: one HTML page of SVG panels.

Grafana's own kinds of panel that the dashboard uses, and of their options those that it uses.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from tests.prometheus import dashboard, units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.prometheus.server import Prometheus, Series

    Panel = dict[str, Any]

NO_DATA = "No data"
COLUMN, LINE, GAP, HEAD, TOP = 51, 30, 6, 26, 44  # pixels
STEPS = 160  # points of a series
PALETTE = (
    "#73bf69",
    "#f2cc0c",
    "#8ab8ff",
    "#ff780a",
    "#f2495c",
    "#5794f2",
    "#b877d9",
    "#705da0",
    "#37872d",
    "#fade2a",
)
COLORS = {
    "green": "#73bf69",
    "red": "#f2495c",
    "orange": "#ff9830",
    "yellow": "#fade2a",
    "blue": "#5794f2",
    "text": "#8e8e99",
}
_STYLE = """
body{margin:0;background:#111217;color:#ccccdc;font:12px "DejaVu Sans",sans-serif;position:relative}
section,h2{position:absolute;box-sizing:border-box;overflow:hidden}
section{background:#181b1f;border:1px solid #25272e;border-radius:2px}
h1{margin:0;padding:10px 12px;font-size:16px;font-weight:500}
h1 small{color:#8e8e99;font-size:12px;margin-left:12px}
h2{margin:0;font-size:13px;font-weight:500;padding:8px 6px}
h3{margin:0;font-size:12px;font-weight:500;padding:5px 8px;height:16px}
.stat{display:flex;gap:4px;padding:4px;box-sizing:border-box}
.stat div{flex:1;display:flex;flex-direction:column;align-items:center;justify-content:center;border-radius:2px;
  color:#fff;font-size:22px}
.stat small{font-size:12px}
.legend{font-size:11px;padding:0 8px;line-height:15px;height:32px;overflow:hidden}
.legend span{margin-right:12px;white-space:nowrap} .legend i{display:inline-block;width:12px;height:4px;
  border-radius:2px;margin-right:5px;vertical-align:middle}
rect,line{shape-rendering:crispEdges}
text{fill:#9a9aa8;font:10.5px "DejaVu Sans",sans-serif}
"""


@dataclass(frozen=True, slots=True)
class Line:
    """A named series."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """The box of a plot in pixels, the times at its sides, and the value at its top."""

    width: float
    height: float
    start_s: float
    end_s: float
    top: float = 1.0
    left: float = 52
    right: float = 8
    foot: float = 18

    def x(self, at_s: float) -> float:
        """Return where a time is."""
        return self.left + (at_s - self.start_s) / (self.end_s - self.start_s) * (
            self.width - self.left - self.right
        )

    def y(self, value: float) -> float:
        """Return where a value is."""
        return 4 + (1 - value / self.top) * (self.height - self.foot - 4)


def labels_of(legend: str) -> list[str]:
    """Return the labels that a legend names."""
    return re.findall(r"{{(\w+)}}", legend)


def named(legend: str, labels: dict[str, str]) -> str:
    """Return the legend of a series."""
    return re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), legend).strip()


def size(before_row: str = "") -> tuple[int, int]:
    """Return the width and the height of the page in pixels, or of its part that ends before a row."""
    shown = dashboard.load()["panels"]
    titles = [panel["title"] for panel in shown]
    above = shown[: titles.index(before_row)] if before_row else shown
    ends = (panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in above)
    return 24 * COLUMN + GAP, TOP + max(ends) * LINE + GAP


def page(prometheus: Prometheus, cluster: str, rate_interval: str, start_s: float, end_s: float) -> str:
    """Return the page of what Prometheus knows between two times (seconds since the epoch)."""
    targets = dashboard.targets(cluster, rate_interval)
    step_s = max(1.0, (end_s - start_s) / STEPS)
    answers = prometheus.ask_range([target.expression for target in targets], start_s, end_s, step_s)
    lines: dict[int, list[Line]] = {}
    for target, answer in zip(targets, answers, strict=True):
        lines.setdefault(target.panel, []).extend(_lines(target.legend, answer))
    shown = dashboard.load()
    body = "".join(_panel(panel, lines.get(panel["id"], []), start_s, end_s, step_s) for panel in shown["panels"])
    width, height = size()
    what = f"cluster {escape(cluster)}, {units.clock(start_s)} to {units.clock(end_s)}"
    head = f"<h1>{escape(shown['title'])}<small>{what}</small></h1>"
    style = f"{_STYLE}body{{width:{width}px;height:{height}px}}"
    return f"<!doctype html><meta charset=utf-8><title>hafailover</title><style>{style}</style>{head}{body}\n"


def _lines(legend: str, answer: Sequence[Series]) -> list[Line]:
    """Return what there is to draw; a quotient of nothing and nothing is none of it."""
    drawn = [(named(legend, series.labels), series.points) for series in answer]
    lines = [Line(name, tuple(point for point in points if math.isfinite(point[1]))) for name, points in drawn]
    return sorted((line for line in lines if line.points), key=lambda line: line.name)


def _panel(panel: Panel, lines: list[Line], start_s: float, end_s: float, step_s: float) -> str:
    at = panel["gridPos"]
    width, height = at["w"] * COLUMN - GAP, at["h"] * LINE - GAP
    place = f"left:{at['x'] * COLUMN + GAP}px;top:{TOP + at['y'] * LINE}px;width:{width}px;height:{height}px"
    title = escape(panel["title"])
    if panel["type"] == "row":
        return f'<h2 style="{place}">{title}</h2>'
    frame = Frame(width, height - HEAD - 36, start_s, end_s)
    kinds = {"stat": _stat, "bargauge": _gauge, "state-timeline": _timeline, "timeseries": _plot}
    inner = kinds[panel["type"]](panel, lines, frame, step_s) if lines else f"<p style='padding:8px'>{NO_DATA}</p>"
    return f'<section style="{place}"><h3>{title}</h3>{inner}</section>'


# -- stat and bargauge -------------------------------------------------------------------------------------------


def _stat(panel: Panel, lines: list[Line], frame: Frame, step_s: float) -> str:
    newest = max(line.points[-1][0] for line in lines)
    current = [line for line in lines if line.points[-1][0] > newest - 2 * step_s]
    boxes = "".join(_box(panel, line) for line in current)
    return f'<div class=stat style="height:{frame.height + 34}px">{boxes}</div>'


def _box(panel: Panel, line: Line) -> str:
    value = line.points[-1][1]
    only_name = panel["options"]["textMode"] == "name"
    decimals = panel["fieldConfig"]["defaults"].get("decimals")
    text = line.name if only_name else units.text(value, _unit(panel), decimals)
    small = "" if only_name or not line.name else f"<small>{escape(line.name)}</small>"
    return f'<div style="background:{_threshold(panel, value)}">{small}{escape(text)}</div>'


def _threshold(panel: Panel, value: float) -> str:
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    passed = [step["color"] for step in steps if step["value"] is None or value >= step["value"]]
    return COLORS[passed[-1]]


def _gauge(panel: Panel, lines: list[Line], frame: Frame, _step_s: float) -> str:
    height, left = (frame.height + 26) / len(lines), 190
    room = frame.width - left - 70
    most = max(line.points[-1][1] for line in lines) or 1
    parts = []
    for row, line in enumerate(lines):
        value, y = line.points[-1][1], row * height
        box = f"x={left} y={y + 2:.1f} height={height - 4:.1f}"
        parts.append(
            f"<text x={left - 8} y={y + height / 2 + 4:.1f} text-anchor=end>{escape(line.name)}</text>"
            f'<rect {box} width={room} fill="#22252b"/>'
            f'<rect {box} width={room * value / most:.1f} fill="{COLORS["blue"]}"/>'
            f"<text x={left + room + 8} y={y + height / 2 + 4:.1f}>{units.text(value, _unit(panel))}</text>"
        )
    return _svg(frame, "".join(parts), 30)


# -- over time ---------------------------------------------------------------------------------------------------


def _timeline(panel: Panel, lines: list[Line], frame: Frame, step_s: float) -> str:
    mapping = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
    left = min(260.0, 14 + 6.4 * max(len(line.name) for line in lines))
    frame = Frame(frame.width, frame.height + 8, frame.start_s, frame.end_s, left=left)
    height = (frame.height - frame.foot - 4) / len(lines)
    parts = [_times(frame)]
    for row, line in enumerate(lines):
        y = 4 + row * height
        parts.append(f"<text x={left - 6} y={y + height / 2 + 4:.1f} text-anchor=end>{escape(line.name)}</text>")
        for start_s, end_s, value in _stretches(line.points, step_s):
            x, shown = frame.x(start_s), mapping[f"{value:g}"]
            wide = frame.x(min(end_s, frame.end_s)) - x
            parts.append(
                f"<rect x={x:.1f} y={y + 1.5:.1f} width={wide:.1f} height={height - 3:.1f}"
                f' fill="{COLORS[shown["color"]]}" fill-opacity=.85 />'
            )
            if wide > 7 * len(shown["text"]) + 8:
                at = f"x={x + 5:.1f} y={y + height / 2 + 4:.1f}"
                parts.append(f'<text {at} style="fill:#111">{shown["text"]}</text>')
    legend = [(shown["text"], COLORS[shown["color"]]) for shown in mapping.values()]
    return _svg(frame, "".join(parts), 0) + _legend(legend)


def _stretches(points: Sequence[tuple[float, float]], step_s: float) -> list[tuple[float, float, float]]:
    """Return (from, to, value) for each stretch of one value without a gap."""
    found: list[tuple[float, float, float]] = []
    for at_s, value in points:
        if found and found[-1][2] == value and at_s - found[-1][1] < step_s / 2:
            found[-1] = (found[-1][0], at_s + step_s, value)
        else:
            found.append((at_s, at_s + step_s, value))
    return found


def _plot(panel: Panel, lines: list[Line], frame: Frame, step_s: float) -> str:
    custom = panel["fieldConfig"]["defaults"]["custom"]
    stacked = custom["drawStyle"] == "bars"
    unit = _unit(panel)
    top = units.nice(_highest(lines, stacked=stacked), unit)
    frame = Frame(frame.width, frame.height, frame.start_s, frame.end_s, top=top)
    marks = _bars(lines, frame, step_s) if stacked else _curves(lines, frame, step_s, custom)
    scale = "".join(
        f"<line x1={frame.left} x2={frame.width - frame.right} y1={frame.y(value):.1f} y2={frame.y(value):.1f}"
        f' stroke="#2c2f36"/><text x={frame.left - 6} y={frame.y(value) + 4:.1f} text-anchor=end>'
        f"{units.text(value, unit)}</text>"
        for value in (0, top / 2, top)
    )
    legend = [(line.name, PALETTE[at % len(PALETTE)]) for at, line in enumerate(lines)]
    return _svg(frame, _times(frame) + scale + marks, 0) + _legend(legend)


def _highest(lines: list[Line], *, stacked: bool) -> float:
    if not stacked:
        return max(value for line in lines for _, value in line.points)
    sums: dict[float, float] = {}
    for line in lines:
        for at_s, value in line.points:
            sums[at_s] = sums.get(at_s, 0) + value
    return max(sums.values())


def _curves(lines: list[Line], frame: Frame, step_s: float, custom: dict[str, Any]) -> str:
    parts = []
    for at, line in enumerate(lines):
        color, path, last = PALETTE[at % len(PALETTE)], "", None
        for at_s, value in line.points:
            x, y = frame.x(at_s), frame.y(value)
            if last is None or at_s - last > 1.5 * step_s:
                path += f"M{x:.1f} {y:.1f}"
            else:
                path += f"H{x:.1f}V{y:.1f}" if custom["lineInterpolation"] == "stepAfter" else f"L{x:.1f} {y:.1f}"
            last = at_s
        parts.append(f'<path d="{path}" fill=none stroke="{color}" stroke-width=1.4 stroke-linecap=round />')
    return "".join(parts)


def _bars(lines: list[Line], frame: Frame, step_s: float) -> str:
    below: dict[float, float] = {}
    wide = max(1.5, frame.x(frame.start_s + step_s) - frame.left) + 0.4  # no seam between two
    parts = []
    for at, line in enumerate(lines):
        for at_s, value in line.points:
            base = below.get(at_s, 0)
            below[at_s] = base + value
            y = frame.y(base + value)
            parts.append(
                f"<rect x={frame.x(at_s):.1f} y={y:.1f} width={wide:.1f} height={frame.y(base) - y:.1f}"
                f' fill="{PALETTE[at % len(PALETTE)]}"/>'
            )
    return "".join(parts)


def _times(frame: Frame) -> str:
    count = max(2, int((frame.width - frame.left) / 160))
    step = (frame.end_s - frame.start_s) / count
    return "".join(
        f"<text x={frame.x(frame.start_s + at * step):.1f} y={frame.height - 4:.1f}"
        f" text-anchor={'start' if at == 0 else 'middle'}>{units.clock(frame.start_s + at * step)}</text>"
        for at in range(count)
    )


def _legend(entries: Sequence[tuple[str, str]]) -> str:
    shown = "".join(f'<span><i style="background:{color}"></i>{escape(name)}</span>' for name, color in entries)
    return f"<div class=legend>{shown}</div>"


def _svg(frame: Frame, inner: str, more: int) -> str:
    return f"<svg width={frame.width - 2:.0f} height={frame.height + more:.0f}>{inner}</svg>"


def _unit(panel: Panel) -> str:
    unit: str = panel["fieldConfig"]["defaults"]["unit"]
    return unit
