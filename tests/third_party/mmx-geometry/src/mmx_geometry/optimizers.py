"""Normalised gradient descent: each tensor moves by the rate, whatever the size of its gradient."""

from collections.abc import Iterable
from typing import Any, final

import torch
from typing_extensions import override

from mmx.parts.optimizer import Optimizer
from mmx_geometry.configs import NormalisedConfig


@final
class NormalisedSteps(torch.optim.Optimizer):
    """For each tensor ``x = x - lr * (g / (|g| + eps) + weight_decay * x)``, with the norm of the whole tensor."""

    def __init__(self, params: Iterable[Any], lr: float = 1e-2, eps: float = 1e-12, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "eps": eps, "weight_decay": weight_decay})

    @override
    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                update = parameter.grad / (parameter.grad.norm() + group["eps"])
                parameter.sub_(update + group["weight_decay"] * parameter, alpha=group["lr"])


@final
class Normalised(Optimizer):
    """Makes the optimizer of a run."""

    def __init__(self, config: NormalisedConfig) -> None:
        self._config = config

    @override
    def over(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return NormalisedSteps(groups, eps=self._config.eps)
