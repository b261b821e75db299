"""What one process might come to, to compare with."""

from dataclasses import replace
from typing import Any

import numpy as np

from mmx_verify.measure import Arrays, Outcome


def arrays(seed: int = 0) -> Arrays:
    """Return tensors of different sizes; the true value of the last is zero, and what is there is rounding."""
    draw = np.random.default_rng(seed)
    scales = {"tower.weight": 1.0, "tower.bias": 0.02, "scale": 0.3, "key.bias": 1e-9}
    return {name: (scale * draw.standard_normal((3, 4))).astype(np.float32) for name, scale in scales.items()}


def outcome(**changes: Any) -> Outcome:
    """Return what three steps come to."""
    whole = Outcome("one process", 48, (3.0, 2.5, 2.0), (arrays(1), arrays(2), arrays(3)), arrays(4))
    return replace(whole, **changes)


def changed(tensors: Arrays, name: str, factor: float) -> Arrays:
    """Return tensors, one of them scaled."""
    return {**tensors, name: (tensors[name] * factor).astype(np.float32)}


def later(change: Any) -> tuple[Arrays, ...]:
    """Return the gradients of three steps, those of the second changed."""
    first, second, third = outcome().gradients
    return first, change(second), third
