"""An identity whose backward has the wrong sign."""

from typing import Any, cast, final

import torch
from torch import Tensor
from typing_extensions import override


@final
class Flipped(torch.autograd.Function):
    @staticmethod
    @override
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    @override
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return -grads[0]

    @staticmethod
    def of(value: Tensor) -> Tensor:
        """Return the value."""
        return cast(Tensor, Flipped.apply(value))
