"""Directional derivatives by finite differences, which a gradient is compared with."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, final

import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError, gradcheck

from mmx_kit.check import BrokenError
from mmx_kit.compare import seeded
from mmx_kit.stops import Stops

_STEP: Final = 1e-7
"""So short that hardly a unit of a ReLU changes sides."""
_TOLERANCE: Final = 1e-3
"""Of the slope. Differences in fp64 are good to about 1e-8, and in fp32 to nothing at this step."""


def check_slopes(run: Callable[[], Mapping[str, Tensor]], inputs: Mapping[str, Tensor]) -> dict[str, Tensor | None]:
    """Compare the gradient of a random weighted sum of all outputs, by each input, with finite differences in fp64.

    What the part declares as :func:`~mmx.parts.gradient.constant` is held constant; what it only detaches is not.

    Args:
        run: computes the outputs from the inputs as they are at that time.
        inputs: leaves that require gradients, by name.

    Returns:
        The gradients; None where an input is not reached.

    Raises:
        BrokenError: a slope differs; the message names the input.
    """
    weighted = _Weighted(run)
    value = weighted()
    if not value.requires_grad:
        return dict.fromkeys(inputs)
    found = torch.autograd.grad(value, list(inputs.values()), allow_unused=True)
    gradients: dict[str, Tensor | None] = dict(zip(inputs, found, strict=True))
    draw = torch.Generator().manual_seed(0)
    slopes = [_slopes(name, inputs[name], gradient, weighted, draw) for name, gradient in gradients.items()]
    _judge(slopes)
    return gradients


def check_elements(run: Callable[[], Mapping[str, Tensor]], inputs: Mapping[str, Tensor]) -> None:
    """Compare the same gradient in every element of the inputs, by torch's gradcheck: two runs for each element.

    Raises:
        BrokenError: an element differs.
    """
    weighted = _Weighted(run)
    if not weighted().requires_grad:
        return
    try:
        gradcheck(lambda *_: weighted(), tuple(inputs.values()), eps=1e-6, atol=1e-5, rtol=_TOLERANCE)
    except GradcheckError as error:
        told = " ".join(str(error).split())
        raise BrokenError(f"gradcheck of {', '.join(inputs)} in fp64: {told[:300]}") from error


@final
class _Weighted:
    """The sum of all outputs, each number times a random weight, drawing the same dropout every time."""

    def __init__(self, run: Callable[[], Mapping[str, Tensor]]) -> None:
        self._run = run
        self._stops = Stops()

    def __call__(self) -> Tensor:
        with seeded(0), self._stops:
            outputs = {name: value for name, value in self._run().items() if value.is_floating_point()}
        draw = torch.Generator().manual_seed(1)
        terms = [(value * torch.randn(value.shape, generator=draw).to(value)).sum() for value in outputs.values()]
        return torch.stack(terms).sum()


def _slopes(
    name: str, leaf: Tensor, gradient: Tensor | None, weighted: Callable[[], Tensor], draw: torch.Generator
) -> tuple[str, float, float]:
    """Return the slope along a random direction by the gradient, and by finite differences."""
    direction = torch.randn(leaf.shape, generator=draw).to(leaf)
    by_gradient = 0.0 if gradient is None else float((gradient * direction).sum())
    before = leaf.detach().clone()
    ends: list[float] = []
    for sign in (1, -1):
        with torch.no_grad():
            leaf.copy_(before + sign * _STEP * direction)
        ends.append(float(weighted().detach()))
    with torch.no_grad():
        leaf.copy_(before)
    return name, by_gradient, (ends[0] - ends[1]) / (2 * _STEP)


def _judge(slopes: Sequence[tuple[str, float, float]]) -> None:
    largest = max((abs(found) for _, _, found in slopes), default=0.0)
    for name, by_gradient, found in slopes:
        if not abs(by_gradient - found) <= _TOLERANCE * max(abs(found), 1e-3 * largest):
            raise BrokenError(
                f"the gradient by '{name}' has the slope {by_gradient:.6g} along a random direction, "
                f"where finite differences in fp64 give {found:.6g}"
            )
