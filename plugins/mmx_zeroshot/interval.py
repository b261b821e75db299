"""Confidence interval of a share."""

import math

_Z = 1.959964
"""Two-sided 95 % quantile of the normal distribution."""


def wilson(right: int, count: int) -> tuple[float, float]:
    """Return Wilson's 95 % score interval of ``right`` out of ``count`` (Wilson 1927)."""
    if count == 0:
        return 0.0, 1.0
    share, square = right / count, _Z * _Z
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = _Z * math.sqrt(share * (1 - share) / count + square / (4 * count * count)) / (1 + square / count)
    return max(0.0, middle - half), min(1.0, middle + half)
