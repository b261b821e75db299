"""Which charts a report has, and their points."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from mmx.parts.evaluator import Number
from mmx.wording import decimal, headline_first, is_fraction
from mmx_report.charts import Chart, Line, Points
from mmx_report.data import Evaluation, Story

DRAWN: Final = 240
"""Points of a line on paper."""
MOST: Final = 6
"""Lines of a chart, one colour each."""
_ID: Final = 8
"""Letters of an identity that tell what was measured."""


def training_charts(story: Story) -> list[Chart]:
    """Return the charts of the steps: loss, learning rate, temperature, what was reported, speed, waiting."""
    scale = story.last("scale")
    note = f"temperature is 1 / logit scale; the logit scale ended at {scale:.2f}" if scale else ""
    return [
        Chart("Loss", _losses(story), decimal, zero=False, note="light: each step; dark: smoothed"),
        Chart("Learning rate", [_plain(story, "lr")], lambda value: f"{value:.3g}"),
        *(
            [Chart("Temperature", [_plain(story, "scale", _temperature)], decimal, False, note)]
            if scale is not None
            else []
        ),
        *(Chart(name.removeprefix("numbers."), [_smooth(story, name)], decimal, False) for name in _reported(story)),
        Chart("Images per second", [_smooth(story, "images_per_second")], lambda value: f"{value:,.0f}"),
        Chart("Time spent waiting for data", [_smooth(story, "waited")], lambda value: f"{100 * value:.3g} %"),
    ]


def _temperature(scale: float) -> float:
    return 1 / scale if scale else math.nan


def _reported(story: Story) -> list[str]:
    """Return the names of what losses and the fusion reported; the scale has its own chart."""
    named = {name for point in (*story.steps[:1], *story.steps[-1:]) for name in point if name.startswith("numbers.")}
    return sorted(named - {"numbers.scale"})


def _points(story: Story, name: str) -> Points:
    return [(point["step"], point[name]) for point in story.steps if name in point]


def _plain(story: Story, name: str, change: Callable[[float], float] = float) -> Line:
    return Line("", [(step, change(value)) for step, value in _few(_points(story, name))])


def _smooth(story: Story, name: str, title: str = "") -> Line:
    points = _points(story, name)
    return Line(title, _few(smoothed(points)), raw=_extremes(points))


def _losses(story: Story) -> list[Line]:
    parts = sorted(
        {name for point in (*story.steps[:1], *story.steps[-1:]) for name in point if name.startswith("parts.")}
    )
    if len(parts) < 2:
        return [_smooth(story, "loss")]
    lines = [_smooth(story, name, name.removeprefix("parts.")) for name in parts[: MOST - 1]]
    return [_smooth(story, "loss", "sum"), *lines]


def smoothed(points: Points) -> Points:
    """Return the running mean with exponentially falling weights, over about a fiftieth of the points."""
    weight = min(1.0, 50 / max(1, len(points)))
    mean, sure, found = 0.0, 0.0, list[tuple[float, float]]()
    for place, value in points:
        if math.isfinite(value):
            mean, sure = mean + weight * (value - mean), sure + weight * (1 - sure)
            found.append((place, mean / sure))
    return found


def _few(points: Points) -> Points:
    if len(points) <= DRAWN:
        return points
    return [points[round(index * (len(points) - 1) / DRAWN)] for index in range(DRAWN + 1)]


def _extremes(points: Points) -> Points:
    """Return the lowest and highest point of each stretch, so that no peak is lost."""
    if len(points) <= 2 * DRAWN:
        return points
    size = math.ceil(len(points) / DRAWN)
    kept: list[tuple[float, float]] = []
    for start in range(0, len(points), size):
        stretch = [point for point in points[start : start + size] if math.isfinite(point[1])]
        if stretch:
            kept += sorted({min(stretch, key=lambda point: point[1]), max(stretch, key=lambda point: point[1])})
    return kept


def evaluation_charts(story: Story) -> list[Chart]:
    """Return a chart of the numbers of each evaluator that have a chance or an interval.

    Numbers of other data, names or options are on no curve together: they have a chart each, the last one first.
    """
    apart: dict[str, dict[str, list[Evaluation]]] = {}
    for found in story.evaluations:
        ones = apart.setdefault(found.evaluator, {})
        ones[found.measured] = [*ones.pop(found.measured, []), found]  # the last one measured is the last of them
    charts: list[Chart] = []
    for name, by_identity in apart.items():
        latest, *others = reversed(by_identity)
        charts.append(_evaluation_chart(name, by_identity[latest]))
        charts += [_evaluation_chart(f"{name} ({one[:_ID] or 'older'})", by_identity[one]) for one in others]
    return charts


def _evaluation_chart(name: str, found: Sequence[Evaluation]) -> Chart:
    last, headline = found[-1].numbers, found[-1].headline
    fractions = [title for title in headline_first(headline, last) if is_fraction(last[title]) and last[title].count]
    shown = fractions[:MOST] if headline in fractions else [title for title in (headline,) if title in last]
    percent = bool(fractions) and headline in fractions
    lines = [_measured(title, found, band=title == headline) for title in shown]
    write = (lambda value: f"{100 * value:.3g} %") if percent else decimal
    return Chart(name, lines, write, note="band: 95 % interval of the headline")


def _measured(title: str, found: Sequence[Evaluation], band: bool) -> Line:
    known: list[tuple[int, Number]] = [(item.step, item.numbers[title]) for item in found if title in item.numbers]
    edges = [
        (step, number.low, number.high) for step, number in known if number.low is not None and number.high is not None
    ]
    level = known[-1][1].chance
    return Line(title, [(step, number.value) for step, number in known], band=edges if band else (), level=level)


def last_numbers(story: Story) -> Mapping[str, Evaluation]:
    """Return each evaluator's last numbers, from the metrics or else from the stored results."""
    known = {found.evaluator: found for found in story.evaluations}
    for name, (step, result) in story.results.items():
        if name not in known:
            known[name] = Evaluation(step, name, result.headline, result.numbers)
    return known
