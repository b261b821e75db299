"""Gradients and weights as ColossalAI's three optimizers keep them, seen alike: one slot for each trained parameter."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast, final

import torch
import torch.distributed as dist
from colossalai.amp.naive_amp.mixed_precision_optimizer import MixedPrecisionOptimizer
from colossalai.zero.low_level import LowLevelZeroOptimizer
from torch import Tensor, nn

from mmx.learn.optim import set_rate
from mmx_colossalai.mesh import Mesh


@dataclass(frozen=True)
class Slot:
    """One trained parameter on this process."""

    name: str
    parameter: Tensor
    """What is computed with."""
    master: Tensor
    """What the optimizer updates: the parameter itself, a copy in fp32, or this rank's share of one."""
    flat: bool
    """Whether ``master`` is a ZeRO share: flat, and padded to equal lengths."""
    state: dict[str, Any]
    """The optimizer's state of it."""


def apart(optimizer: torch.optim.Optimizer, dtype: torch.dtype) -> torch.optim.Optimizer | None:
    """Move the parameters of another precision out, into an optimizer of their own: ZeRO takes one precision only."""
    kept: list[dict[str, Any]] = []
    for group in optimizer.param_groups:
        others = [p for p in group["params"] if p.dtype != dtype]
        if others:
            kept.append({**group, "params": others})
        group["params"] = [p for p in group["params"] if p.dtype == dtype]
    optimizer.param_groups = [group for group in optimizer.param_groups if group["params"]]
    return cast(Any, type(optimizer))(kept) if kept else None


@final
class Update:
    """The wrapped optimizer, and the one of parameters that ZeRO does not take."""

    def __init__(self, wrapped: Any, exact: torch.optim.Optimizer | None, module: nn.Module, mesh: Mesh) -> None:
        self.wrapped = wrapped
        self.name = type(wrapped.optim).__name__
        self._exact = exact
        self._mesh = mesh
        self._zero = wrapped if isinstance(wrapped, LowLevelZeroOptimizer) else None
        self._group_of: dict[int, int] = {}
        if self._zero is not None:
            groups = cast("dict[int, list[Tensor]]", self._zero._working_param_groups)
            self._group_of = {id(p): index for index, members in groups.items() for p in members}
        named = module.named_parameters()
        self.slots = {name: self._slot(name, p) for name, p in named if p.requires_grad}

    def _slot(self, name: str, parameter: Tensor) -> Slot:
        if id(parameter) in self._group_of:
            master = cast(Any, self._zero).working_to_master_param[id(parameter)]
            return Slot(name, parameter, master, True, self._state(self.wrapped.optim, master))
        if self._exact is not None and self._zero is not None:
            return Slot(name, parameter, parameter, False, self._state(self._exact, parameter))
        master = parameter
        if isinstance(self.wrapped, MixedPrecisionOptimizer):
            master = cast(Tensor, self.wrapped.working_to_master_map[parameter])  # pyright: ignore
        return Slot(name, parameter, master, False, self._state(self.wrapped.optim, master))

    @staticmethod
    def _state(optimizer: Any, key: Tensor) -> dict[str, Any]:
        return cast("dict[str, Any]", optimizer.state[key])

    def gradient(self, slot: Slot) -> Tensor | None:
        """Return this process's part of a gradient: all of it, or its ZeRO share; None if no loss reached it."""
        if not slot.flat:
            return slot.parameter.grad
        zero = cast(Any, self._zero)
        store = zero.pid_to_grad_store[id(slot.parameter)]
        parts = store.get_partitioned_gradients_by_param_id(self._group_of[id(slot.parameter)], id(slot.parameter))
        return None if not parts else parts[0 if zero._partition_grads else store.local_rank]

    def gradients(self) -> Iterator[tuple[Slot, Tensor]]:
        """Yield the gradients there are."""
        for slot in self.slots.values():
            found = self.gradient(slot)
            if found is not None:
                yield slot, found

    def average(self) -> None:
        """Average over data-parallel ranks what the wrapped optimizer does not."""
        if self._zero is None or self._mesh.data_size == 1:
            return
        for slot, gradient in self.gradients():
            if not slot.flat:
                dist.all_reduce(gradient, group=self._mesh.data)
                gradient.div_(self._mesh.data_size)

    def norm(self, cut: Any) -> float:
        """Return the norm of the whole gradient.

        Args:
            cut: says of a name whether tensor-parallel processes hold different parts of it.
        """
        total = torch.zeros((), dtype=torch.float64, device=self._mesh.device)
        for slot, gradient in self.gradients():
            copies = (1 if cut(slot.name) else self._mesh.tensor_size) * (1 if slot.flat else self._mesh.data_size)
            total += gradient.double().square().sum() / copies
        dist.all_reduce(total)
        return float(total.sqrt())

    def scale(self, factor: float) -> None:
        """Multiply the gradient."""
        for _, gradient in self.gradients():
            gradient.mul_(factor)

    def step(self) -> None:
        """Move the weights."""
        if self._exact is not None:
            set_rate(self._exact, self.wrapped.optim.param_groups[0]["rate"])
            self._exact.step()
            self._exact.zero_grad(set_to_none=True)
        self.wrapped.step()
        self.wrapped.zero_grad()

    @torch.no_grad()
    def write(self, slot: Slot, value: Tensor) -> None:
        """Give a master its value; what is computed with was made from the same value, rounded."""
        slot.master.copy_(value)
