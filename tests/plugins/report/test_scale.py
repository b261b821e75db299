"""Axes have round ticks and hold every value."""

from __future__ import annotations

import pytest

from mmx_report.curves import smoothed
from mmx_report.scale import Scale, bounds, round_step


@pytest.mark.parametrize(
    ("rough", "found"), [(0.7, 1.0), (1.0, 1.0), (1.1, 2.0), (2.3, 5.0), (51.0, 100.0), (0.03, 0.05)]
)
def test_steps_are_round(rough: float, found: float) -> None:
    assert round_step(rough) == pytest.approx(found)


@pytest.mark.parametrize(
    ("values", "zero", "found"),
    [
        ([0.0, 0.31], True, (0.0, 0.4)),
        ([1.2, 4.85], False, (1.0, 5.0)),
        ([3.0, 3.0], False, (3.0, 6.0)),
        ([], True, (0.0, 1.0)),
    ],
)
def test_bounds_are_round_and_hold_the_values(values: list[float], zero: bool, found: tuple[float, float]) -> None:
    assert bounds(values, zero) == pytest.approx(found)


def test_ticks_lie_on_the_paper() -> None:
    scale = Scale(0.0, 0.4, 100.0, 0.0)
    assert scale.ticks(4) == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert [scale(tick) for tick in scale.ticks(4)] == [100.0, 75.0, 50.0, 25.0, 0.0]


def test_smoothing_keeps_a_constant_and_follows_a_step() -> None:
    assert [value for _, value in smoothed([(step, 3.0) for step in range(200)])] == pytest.approx([3.0] * 200)
    moved = smoothed([(step, float(step >= 100)) for step in range(200)])
    assert moved[99][1] == 0.0
    assert 0.0 < moved[101][1] < moved[110][1] < 1.0
