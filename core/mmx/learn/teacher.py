"""Teachers: copies of the model that follow the student. Momentum encoders and weight EMA are both of this kind."""

import copy
from collections.abc import Callable
from typing import final

import torch
from torch import nn
from typing_extensions import override

from mmx.learn.model import Model
from mmx.parts.precision import keep_fp32


@final
class Teacher(nn.Module):
    """An exponential moving average of the student, ``t = decay * t + (1 - decay) * s``.

    Kept in fp32, also where an engine casts everything around it to half precision.
    Buffers (BatchNorm statistics) are copied: they are averages already. With ``warm``, the decay at update ``k``
    is ``min(decay, (1 + k) / (10 + k))``, so that a short run does not average over its random start.
    """

    updates: torch.Tensor

    def __init__(self, student: Model, decay: float, warm: bool = False) -> None:
        super().__init__()
        self.model = copy.deepcopy(student).float().requires_grad_(False)
        self.decay = decay
        self.warm = warm
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.train(False)

    @override
    def train(self, mode: bool = True) -> "Teacher":
        """Stay in evaluation mode: a teacher draws no dropout and keeps the student's BatchNorm statistics."""
        return super().train(False)

    @override
    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> "Teacher":
        return super()._apply(keep_fp32(fn), recurse)

    @torch.no_grad()
    def follow(self, student: Model) -> None:
        """Move towards the student; called once a step, after the optimizer."""
        self.updates += 1
        count = int(self.updates)
        decay = min(self.decay, (1 + count) / (10 + count)) if self.warm else self.decay
        mine: list[torch.Tensor] = list(self.model.parameters())
        theirs = [p.detach().to(own.dtype) for own, p in zip(mine, student.parameters(), strict=True)]
        torch._foreach_lerp_(mine, theirs, 1.0 - decay)  # pyright: ignore[reportPrivateImportUsage]
        for own, other in zip(self.model.buffers(), student.buffers(), strict=True):
            own.copy_(other)
