"""Teachers: copies of the model that follow the student. Momentum encoders and weight EMA are both of this kind."""

import copy
from collections.abc import Callable
from typing import Any, cast, final

import torch
from torch import Tensor, nn
from typing_extensions import override

from mmx.learn.model import Model
from mmx.parts.precision import keep_fp32


@final
class Teacher(nn.Module):
    """An exponential moving average of the student, ``t = decay * t + (1 - decay) * s``.

    Kept in fp32, also where an engine casts everything around it to half precision.
    Buffers (BatchNorm statistics) are copied: they are averages already. With ``warm``, the decay at update ``k``
    is ``min(decay, (1 + k) / (10 + k))``, so that a short run does not average over its random start.

    What the student does not train when the teacher is made is the student's own tensor, not a copy, and not among the
    teacher's weights: ``part`` makes copies of it for an engine that takes modules apart or casts them, ``share`` lets
    them go. It is the same in value either way, and does not move.
    """

    updates: Tensor

    def __init__(self, student: Model, decay: float, warm: bool = False) -> None:
        super().__init__()
        fixed = {
            name: p
            for name, p in student.named_parameters(remove_duplicate=False)
            if not p.requires_grad and p.dtype is torch.float32
        }
        self.shared = set(fixed)
        """Names, in the model, of what the student does not train."""
        self.model = copy.deepcopy(student, {id(p): p for p in fixed.values()}).float().requires_grad_(False)
        self.decay = decay
        self.warm = warm
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.register_state_dict_post_hook(_leave_out)
        self.register_load_state_dict_pre_hook(_fill_in)
        self.train(False)

    @override
    def train(self, mode: bool = True) -> "Teacher":
        """Stay in evaluation mode: a teacher draws no dropout and keeps the student's BatchNorm statistics."""
        return super().train(False)

    @override
    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Teacher":
        return super()._apply(keep_fp32(fn), recurse)

    @torch.no_grad()
    def follow(self, student: Model) -> None:
        """Move towards the student; called once a step, after the optimizer."""
        self.updates += 1
        count = int(self.updates)
        decay = min(self.decay, (1 + count) / (10 + count)) if self.warm else self.decay
        pairs = zip(self.model.named_parameters(), student.parameters(), strict=True)
        moving = [(own, p.detach().to(own.dtype)) for (name, own), p in pairs if name not in self.shared]
        mine: list[Tensor] = [own for own, _ in moving]
        theirs = [other for _, other in moving]
        if mine:
            torch._foreach_lerp_(mine, theirs, 1.0 - decay)  # pyright: ignore[reportPrivateImportUsage]
        for own, other in zip(self.model.buffers(), student.buffers(), strict=True):
            own.copy_(other)

    def part(self) -> None:
        """Have copies of what is shared, so that neither is changed with the other."""
        held = dict(self.model.named_parameters(remove_duplicate=False))
        copies = {
            id(p): nn.Parameter(p.detach().clone(), requires_grad=False)
            for name, p in held.items()
            if name in self.shared
        }
        for name, p in held.items():
            if name in self.shared:
                self._put(name, copies[id(p)])

    def share(self, student: Model) -> None:
        """Share again what is alike in shape and precision."""
        theirs = dict(student.named_parameters(remove_duplicate=False))
        for name, own in list(self.model.named_parameters(remove_duplicate=False)):
            other = theirs.get(name) if name in self.shared else None
            if other is not None and (other.shape, other.dtype, other.device) == (own.shape, own.dtype, own.device):
                self._put(name, other)

    def follow_alone(self, name: str) -> None:
        """From now on, have a tensor that follows although the student does not train it: a checkpoint has one."""
        own = nn.Parameter(self.model.get_parameter(name).detach().clone(), requires_grad=False)
        self._put(name, own)
        self.shared.discard(name)

    def _put(self, name: str, value: nn.Parameter) -> None:
        path, _, leaf = name.rpartition(".")
        self.model.get_submodule(path)._parameters[leaf] = value


def _leave_out(teacher: nn.Module, state: dict[str, Any], prefix: str, _: object) -> None:
    for name in cast(Teacher, teacher).shared:
        state.pop(f"{prefix}model.{name}", None)


def _fill_in(teacher: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    own = cast(Teacher, teacher)
    for name, value in own.model.named_parameters(remove_duplicate=False):
        if name in own.shared:
            state.setdefault(f"{prefix}model.{name}", value)
