"""How outputs, gradients and states are compared, and how a difference is told."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from mmx.learn.rng import RandomState
from mmx_kit.check import BrokenError

_CPU = torch.device("cpu")
_ZERO = 1e-5
"""Of the tolerance: what is below it in the largest of all tensors is the rounding of a zero; 1e-13 of it in fp64."""


def same(
    what: str, found: Mapping[str, Tensor], expected: Mapping[str, Tensor], rtol: float = 0.0, floor: float = 0.0
) -> None:
    """Check that named tensors are equal, or differ by no more than ``rtol`` of their largest expected number or ``floor``.

    Raises:
        BrokenError: they are not; the message begins with ``what`` and names the tensor and the difference.
    """
    if set(found) != set(expected):
        raise BrokenError(f"{what}: expected {names(expected)}, found {names(found)}")
    for name, value in expected.items():
        _alike(f"{what}: '{name}'", found[name].detach(), value.detach(), rtol, floor)


def _alike(what: str, found: Tensor, expected: Tensor, rtol: float, floor: float) -> None:
    if found.shape != expected.shape or found.dtype != expected.dtype:
        raise BrokenError(f"{what}: expected {shape(expected)}, found {shape(found)}")
    mine, theirs = (value.double() if value.is_floating_point() else value.long() for value in (found, expected))
    apart = (mine - theirs).abs().nan_to_num(torch.inf) * (1 - torch.eq(mine, theirs).to(mine.dtype))
    worst = float(apart.nan_to_num(0.0).max()) if apart.numel() else 0.0
    bound = max(floor, rtol * _largest(theirs))
    if worst > bound:
        raise BrokenError(f"{what} differs by up to {worst:.3g}, where at most {bound:.3g} was expected")


def same_arrays(
    what: str, found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], rtol: float = 1e-8
) -> None:
    """Check named arrays as :func:`same` does."""
    mine, theirs = ({k: torch.from_numpy(np.asarray(v)) for k, v in arrays.items()} for arrays in (found, expected))
    # What is zero but for rounding, as the gradient by a bias of keys is, has no size of its own to be compared with.
    same(what, mine, theirs, rtol, _ZERO * rtol * max(map(_largest, theirs.values()), default=0.0))


def _largest(values: Tensor) -> float:
    return float(values.double().abs().nan_to_num(0.0, 0.0, 0.0).max()) if values.numel() else 0.0


def finite(what: str, found: Mapping[str, Tensor]) -> None:
    """Check that no number is NaN or infinite."""
    for name, value in found.items():
        bad = int((~value.isfinite()).sum())
        if bad:
            raise BrokenError(f"{what}: '{name}' has {bad} of {value.numel()} numbers that are NaN or infinite")


def distance(found: Tensor, expected: Tensor) -> float:
    """Return how far two tensors are apart, relative to the length of the expected one."""
    size = float(expected.double().norm())
    return float((found.double() - expected.double()).norm()) / max(size, 1e-12)


def shape(value: object) -> str:
    """Name a tensor's dtype and shape, or what else it is."""
    if not isinstance(value, Tensor):
        return type(value).__name__
    return f"{str(value.dtype).removeprefix('torch.')} [{', '.join(map(str, value.shape))}]"


def names(found: Mapping[str, object]) -> str:
    """List names."""
    return ", ".join(sorted(found)) or "none"


@contextmanager
def seeded(seed: int) -> Generator[None]:
    """Draw from a seed, and put the global random state back at the end."""
    state = RandomState.capture(_CPU)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        state.restore(_CPU)
