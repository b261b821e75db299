"""Whole tensors that are put together one at a time, so that a divided model never lies whole in one memory."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor


@final
@dataclass(frozen=True)
class LazyTensor:
    """A tensor that processes hold in parts; its shape and dtype are known before it is put together."""

    shape: torch.Size
    dtype: torch.dtype
    gather: Callable[[], Tensor | None]
    """Called by all processes, for one tensor after the other in the same order; the main one gets it whole."""


Tensors = Mapping[str, Tensor | LazyTensor]
"""Tensors by name. A process that holds one whole gives the tensor itself; nothing is copied before it is needed."""


def gathered(tensors: Tensors) -> dict[str, Tensor]:
    """Put all tensors together. Every process calls it; the main one gets them."""
    found = {name: value.gather() if isinstance(value, LazyTensor) else value for name, value in tensors.items()}
    return {name: value for name, value in found.items() if value is not None}
