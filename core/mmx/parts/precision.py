"""What stays in full precision: averages, queues and comparisons lose too much in half.

An average with decay 0.995 moves by less than bf16 can hold, and so would stand still.
"""

import contextlib
from collections.abc import Callable

import torch
from torch import Tensor

_HALF = (torch.float16, torch.bfloat16)


def to_fp32(value: Tensor) -> Tensor:
    """Return the value in fp32 if it is in half precision, else as it is."""
    return value.float() if value.dtype in _HALF else value


def full_precision(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Return a context in which autocast is off; devices without autocast (meta) need none."""
    known = torch.amp.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if known else contextlib.nullcontext()


def halves(convert: Callable[[Tensor], Tensor]) -> bool:
    """Say whether a conversion, as ``nn.Module._apply`` takes one, casts to half precision."""
    return convert(torch.empty(0)).dtype in _HALF


def keep_fp32(convert: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return a conversion, as ``nn.Module._apply`` takes one, that moves between devices but never casts to half."""

    def kept(value: Tensor) -> Tensor:
        converted = convert(value)
        halved = converted.dtype in _HALF and value.dtype not in _HALF
        return value.to(converted.device) if halved else converted

    return kept
