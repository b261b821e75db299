"""Parameter groups, the learning rate as a function of the step, and the optimizer's state by parameter name."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, final

import torch
from torch import Tensor, nn

from mmx.errors import CheckpointError


@final
@dataclass(frozen=True)
class Schedule:
    """The learning rate at each step: linear warmup, then cosine, linear or constant."""

    lr: float
    min_lr: float
    warmup: int
    steps: int
    shape: Literal["cosine", "linear", "constant"]

    def at(self, step: int) -> float:
        """Return the rate of a step, counted from 0."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        match self.shape:
            case "cosine":
                share = 0.5 * (1 + math.cos(math.pi * done))
            case "linear":
                share = 1 - done
            case "constant":
                share = 1.0
        return self.min_lr + (self.lr - self.min_lr) * share


def groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return the trainable parameters in two groups: gains, biases and other parameters of fewer than 2 axes do not decay."""
    trained = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]


def adamw(
    module: nn.Module, lr: float, betas: tuple[float, float], eps: float, weight_decay: float
) -> torch.optim.AdamW:
    """Return AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) over what is trained of a module."""
    return torch.optim.AdamW(groups(module, weight_decay), lr=lr, betas=betas, eps=eps, fused=True)


def optimizer_state(module: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the optimizer's tensors as ``parameter name/state name``; names do not depend on grouping or order."""
    names: dict[Tensor, str] = {parameter: name for name, parameter in module.named_parameters()}
    tensors = {
        f"{names[parameter]}/{key}": value
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
    }
    return tensors, {"optimizer": type(optimizer).__name__}


def restore_optimizer(module: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what ``optimizer_state`` returned. A parameter that no loss has reached has no state.

    Raises:
        CheckpointError: the state belongs to parameters that are not trained now.
    """
    trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
    saved = {key.rpartition("/")[0] for key in tensors}
    foreign = sorted(saved - set(trained))
    if foreign:
        raise CheckpointError(
            f"the checkpoint has optimizer state of parameters that are not trained now: {', '.join(foreign[:5])}"
        )
    for key, value in tensors.items():
        name, _, entry = key.rpartition("/")
        parameter = trained[name]
        device = parameter.device if value.ndim > 0 or optimizer.param_groups[0].get("fused") else value.device
        optimizer.state[parameter][entry] = value.to(device).clone()
