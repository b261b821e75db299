"""Line charts as SVG. No script: what a pointer shows is switched on by the style sheet."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Final

from mmx_report.scale import Scale, bounds

WIDTH: Final = 420
HEIGHT: Final = 220
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 12, 24
HITS: Final = 60
"""Places of a chart that answer to the pointer."""
FEW: Final = 40
"""Points up to which each is marked."""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Line:
    """One line of a chart."""

    name: str
    points: Points
    raw: Points = ()
    """The same before it was smoothed, drawn light."""
    band: Sequence[tuple[float, float, float]] = ()
    """The interval: place, low, high."""
    level: float | None = None
    """What guessing gives, drawn dashed."""


@dataclass(frozen=True)
class Chart:
    """A chart of lines over steps."""

    title: str
    lines: Sequence[Line]
    write: Callable[[float], str]
    """Writes a value."""
    zero: bool = True
    """Whether the axis starts at 0."""
    note: str = ""


def draw(chart: Chart) -> str:
    """Return a figure: title, legend, and the chart with axes, grid and values under the pointer."""
    lines = [_finite(line) for line in chart.lines]
    lines = [line for line in lines if line.points]
    title = f"<figcaption><b>{escape(chart.title)}</b>{_legend(lines)}</figcaption>"
    note = f'<p class="note">{escape(chart.note)}</p>' if chart.note else ""
    if not lines:
        return f'<figure class="chart">{title}<p class="note">nothing recorded yet</p></figure>'
    x, y = _scales(lines, chart.zero)
    body = [_grid(x, y, chart.write), *(_line(line, index, x, y) for index, line in enumerate(lines))]
    body.append(_pointer(lines, x, y, chart.write))
    label = escape(f"{chart.title} over steps. " + " ".join(_say(line, chart.write) for line in lines))
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(body)}</svg>'
    return f'<figure class="chart">{title}{svg}{note}</figure>'


def _finite(line: Line) -> Line:
    points = [(x, y) for x, y in line.points if math.isfinite(y)]
    raw = [(x, y) for x, y in line.raw if math.isfinite(y)]
    band = [(x, low, high) for x, low, high in line.band if math.isfinite(low) and math.isfinite(high)]
    return Line(line.name, points, raw, band, line.level)


def _scales(lines: Sequence[Line], zero: bool) -> tuple[Scale, Scale]:
    places = [x for line in lines for x, _ in line.points]
    values = [y for line in lines for _, y in [*line.points, *line.raw]]
    values += [y for line in lines for _, low, high in line.band for y in (low, high)]
    values += [line.level for line in lines if line.level is not None]
    low, high = bounds(values, zero)
    return Scale(0.0, max(1.0, *places), LEFT, WIDTH - RIGHT), Scale(low, high, HEIGHT - BOTTOM, TOP)


def _grid(x: Scale, y: Scale, write: Callable[[float], str]) -> str:
    drawn = [
        f'<path class="grid" d="M{LEFT} {y(tick)}H{WIDTH - RIGHT}"/>'
        f'<text class="tick" x="{LEFT - 6}" y="{y(tick) + 4}" text-anchor="end">{escape(write(tick))}</text>'
        for tick in y.ticks(4)
    ]
    drawn += [
        f'<text class="tick" x="{x(tick)}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">{tick:,.0f}</text>'
        for tick in x.ticks(5)
        if tick == int(tick) and x(tick) < WIDTH - RIGHT - 48
    ]
    drawn.append(f'<text class="tick" x="{WIDTH - RIGHT}" y="{HEIGHT - BOTTOM + 15}" text-anchor="end">step</text>')
    return "".join(drawn)


def _path(points: Points, x: Scale, y: Scale) -> str:
    return "M" + "L".join(f"{x(place)} {y(value)}" for place, value in points)


def _line(line: Line, index: int, x: Scale, y: Scale) -> str:
    drawn: list[str] = []
    if line.band:
        edge = [(place, low) for place, low, _ in line.band] + [(place, high) for place, _, high in reversed(line.band)]
        drawn.append(f'<path class="band" d="{_path(edge, x, y)}Z"/>')
        drawn += [f'<path class="error" d="M{x(at)} {y(low)}V{y(high)}"/>' for at, low, high in line.band[:FEW]]
    if line.level is not None:
        drawn.append(f'<path class="level" d="M{LEFT} {y(line.level)}H{WIDTH - RIGHT}"/>')
    if line.raw:
        drawn.append(f'<path class="raw" d="{_path(line.raw, x, y)}"/>')
    drawn.append(f'<path class="line" d="{_path(line.points, x, y)}"/>')
    if len(line.points) <= FEW:
        drawn += [f'<circle cx="{x(place)}" cy="{y(value)}" r="3"/>' for place, value in line.points]
    return f'<g class="s{index % 6}">{"".join(drawn)}</g>'


def _legend(lines: Sequence[Line]) -> str:
    items = [
        f'<span class="key s{index % 6}">{escape(line.name)}</span>' for index, line in enumerate(lines) if line.name
    ]
    if any(line.level is not None for line in lines):
        items.append('<span class="key dashed">chance</span>')
    return f'<span class="legend">{"".join(items)}</span>'


def _say(line: Line, write: Callable[[float], str]) -> str:
    (first, start), (last, stop) = line.points[0], line.points[-1]
    return f"{line.name or 'From'} {write(start)} at step {first:,.0f} to {write(stop)} at step {last:,.0f}."


def _pointer(lines: Sequence[Line], x: Scale, y: Scale, write: Callable[[float], str]) -> str:
    places = sorted({place for line in lines for place, _ in line.points})
    chosen = (
        [places[round(index * (len(places) - 1) / HITS)] for index in range(HITS + 1)] if len(places) > HITS else places
    )
    edges = [LEFT, *((x(left) + x(right)) / 2 for left, right in pairwise(chosen)), WIDTH - RIGHT]
    return "".join(
        _hit(lines, place, (left, right), x, y, write)
        for place, left, right in zip(chosen, edges[:-1], edges[1:], strict=True)
    )


def _hit(
    lines: Sequence[Line], place: float, edges: tuple[float, float], x: Scale, y: Scale, write: Callable[[float], str]
) -> str:
    at, (left, right) = x(place), edges
    found = [(index, line.name, _at(line.points, place)) for index, line in enumerate(lines)]
    rows = [f"step {place:,.0f}", *(f"{name} {write(value)}".strip() for _, name, value in found)]
    width = 14 + 7 * max(map(len, rows))
    start = at + 8 if at + 8 + width < WIDTH else at - 8 - width
    dots = "".join(f'<circle class="s{index % 6}" cx="{at}" cy="{y(value)}" r="4"/>' for index, _, value in found)
    words = "".join(
        f'<text x="{start + 7:.1f}" y="{TOP + 16 + 14 * row}">{escape(text)}</text>' for row, text in enumerate(rows)
    )
    box = f'<rect class="box" x="{start:.1f}" y="{TOP}" width="{width:.0f}" height="{14 * len(rows) + 8}" rx="4"/>'
    size = f'width="{max(0.0, right - left):.1f}" height="{HEIGHT - TOP - BOTTOM}"'
    return (
        f'<g class="hit"><rect x="{left:.1f}" y="{TOP}" {size}/>'
        f'<g class="tip"><path d="M{at} {TOP}V{HEIGHT - BOTTOM}"/>{dots}{box}{words}</g></g>'
    )


def _at(points: Points, place: float) -> float:
    index = min(bisect_left(points, (place, -math.inf)), len(points) - 1)
    return points[index][1]
