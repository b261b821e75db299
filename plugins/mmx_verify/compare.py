"""How far what came of a layout is from what came of one process, and how far it may be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from mmx_verify.measure import Arrays, Outcome

SMALL: Final = 1e-3
"""A norm counts as at least this share of the largest one: where the true gradient is zero there is only rounding."""


@dataclass(frozen=True)
class Bounds:
    """The largest differences that rounding makes; a gradient that is doubled differs by 1, a halved one by 0.5."""

    loss: float
    gradients: float
    weights: float


BOUNDS: Final = {"fp32": Bounds(1e-4, 1e-4, 1e-4), "bf16": Bounds(0.02, 0.4, 0.15)}
"""By precision. Measured on CLIP ViTs and seeds: up to 3e-7, 9e-6 and 5e-6 in fp32, and 0.006, 0.23 and 0.06 in bf16."""
EXACT: Final = Bounds(1e-9, 1e-9, 1e-9)
"""In fp64, where rounding is too small to flip the sign of a ReLU's input, which moves a gradient by a whole sample's."""


@dataclass(frozen=True)
class Gap:
    """The largest relative difference of several."""

    value: float = 0.0
    """Infinite where something is missing, is new, has another shape, or is not a number."""
    name: str = ""
    """The tensor; empty for a loss, and where nothing differs."""
    step: int = 0
    """Counted from 1; 0 where nothing differs."""
    why: str = ""
    """Why it is infinite."""


@dataclass(frozen=True)
class Comparison:
    """The differences of one layout from one process."""

    loss: Gap
    gradients: Gap
    """Of every parameter at every step."""
    weights: Gap
    """After the last step."""
    bounds: Bounds

    @property
    def equal(self) -> bool:
        """Whether nothing is further off than rounding makes it."""
        return not self.beyond

    @property
    def beyond(self) -> tuple[str, ...]:
        """The names of what is."""
        return tuple(what for what in ("loss", "gradients", "weights") if not self._within(what))

    @property
    def largest(self) -> float:
        """The largest of the differences; infinite where one is more than any rounding."""
        return max(self.loss.value, self.gradients.value, self.weights.value)

    def _within(self, what: str) -> bool:
        return getattr(self, what).value <= getattr(self.bounds, what)


def compare(found: Outcome, expected: Outcome, bounds: Bounds) -> Comparison:
    """Compare a layout with one process."""
    return Comparison(
        _losses(found.losses, expected.losses),
        _steps(found.gradients, expected.gradients),
        _steps((found.weights,), (expected.weights,), last=len(expected.losses)),
        bounds,
    )


def _losses(found: Sequence[float], expected: Sequence[float]) -> Gap:
    if len(found) != len(expected):
        return Gap(math.inf, why=f"{len(found)} steps, not {len(expected)}")
    least = SMALL * max(map(abs, expected), default=0.0)
    pairs = enumerate(zip(found, expected, strict=True), start=1)
    return _furthest(_gap(abs(a - b), max(abs(b), least), "", step) for step, (a, b) in pairs)


def _steps(found: Sequence[Arrays], expected: Sequence[Arrays], last: int = 0) -> Gap:
    """Return the largest difference over steps.

    Args:
        found: the tensors of each step.
        expected: those of one process.
        last: the number of the step, where there is one only.
    """
    if len(found) != len(expected):
        return Gap(math.inf, why=f"{len(found)} steps, not {len(expected)}")
    pairs = enumerate(zip(found, expected, strict=True), start=last or 1)
    return _furthest(gap for step, (a, b) in pairs for gap in _tensors(a, b, step))


def _tensors(found: Arrays, expected: Arrays, step: int) -> Iterator[Gap]:
    for name in sorted(found.keys() ^ expected.keys()):
        yield Gap(math.inf, name, step, "is missing" if name in expected else "one process has none")
    norms = {name: float(np.linalg.norm(value)) for name, value in expected.items()}
    least = SMALL * max(norms.values(), default=0.0)
    for name, value in expected.items():
        if name not in found:
            continue
        other = found[name]
        if other.shape != value.shape:
            yield Gap(math.inf, name, step, f"has the shape {other.shape}, not {value.shape}")
        else:
            yield _gap(float(np.linalg.norm(other - value)), max(norms[name], least), name, step)


def _gap(distance: float, size: float, name: str, step: int) -> Gap:
    if not (math.isfinite(distance) and math.isfinite(size)):
        return Gap(math.inf, name, step, "is not finite")
    return Gap(0.0 if distance == 0 else distance / size if size else math.inf, name, step)


def _furthest(gaps: Iterator[Gap]) -> Gap:
    """Return the largest gap, the first of equals."""
    worst = Gap()
    for gap in gaps:
        if gap.value > worst.value:
            worst = gap
    return worst
