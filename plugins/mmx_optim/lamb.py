"""LAMB: Adam's direction, with a length that is a share of each tensor's norm."""

from collections.abc import Iterable
from typing import Any, final

import torch
from torch import Tensor
from typing_extensions import override


@final
class LambOptimizer(torch.optim.Optimizer):
    """LAMB (You et al. 2020, arXiv:1904.00962), algorithm 2, with the identity for phi::

        m = b1 m + (1 - b1) g,    v = b2 v + (1 - b2) g^2
        u = (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps) + weight_decay * x
        x = x - lr * (|x| / |u|) * u

    As in the authors' code the ratio is 1 where a norm is 0, and for parameters of fewer than 2 axes.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @override
    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, group)

    def _move(self, parameter: Tensor, group: dict[str, Any]) -> None:
        gradient, state, (first, second) = parameter.grad, self.state[parameter], group["betas"]
        assert gradient is not None
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        state["step"] += 1
        count = float(state["step"])
        mean = state["exp_avg"].mul_(first).add_(gradient, alpha=1 - first)
        square = state["exp_avg_sq"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        root = (square / (1 - second**count)).sqrt_().add_(group["eps"])
        update = (mean / (1 - first**count)).div_(root)
        update.add_(parameter, alpha=group["weight_decay"])
        if parameter.ndim >= 2:
            update.mul_(_ratio(parameter, update))
        parameter.add_(update, alpha=-group["lr"])


def _ratio(parameter: Tensor, update: Tensor) -> Tensor:
    """Return ``|x| / |u|``, 1 where one of them is 0; on the device, so that nothing waits for it."""
    weight, length = torch.linalg.vector_norm(parameter), torch.linalg.vector_norm(update)
    return torch.where((weight > 0) & (length > 0), weight / length, 1.0)
