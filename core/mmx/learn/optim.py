"""Parameter groups with rates of their own, and the optimizer's state by parameter name."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mmx.errors import CheckpointError


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of every group: the schedule's, times what the group's own is to ``optim.lr``."""
    for group in optimizer.param_groups:
        group["rate"] = rate
        group["lr"] = rate * group["scale"]


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
    for key in tensors:  # one by one: they may lie in a file
        name, _, entry = key.rpartition("/")
        parameter, value = trained[name], tensors[key]
        device = parameter.device if value.ndim > 0 or optimizer.param_groups[0].get("fused") else value.device
        optimizer.state[parameter][entry] = value.to(device).clone()
