"""Lion: steps by the sign of a running mean of the gradient."""

from collections.abc import Iterable
from typing import Any, final

import torch
from typing_extensions import override


@final
class LionOptimizer(torch.optim.Optimizer):
    """Lion (Chen et al. 2023, arXiv:2302.06675), algorithm 2::

        x = x - lr * (sign(b1 m + (1 - b1) g) + weight_decay * x)
        m = b2 m + (1 - b2) g

    An element whose gradients were all 0 only decays.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @override
    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            (first, second), lr = group["betas"], group["lr"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["exp_avg"] = torch.zeros_like(parameter)
                mean, gradient = state["exp_avg"], parameter.grad
                direction = mean.mul(first).add_(gradient, alpha=1 - first).sign_()
                parameter.mul_(1 - lr * group["weight_decay"]).add_(direction, alpha=-lr)
                mean.mul_(second).add_(gradient, alpha=1 - second)
