"""AdaGrad: rates that fall for each element with the gradients it has seen."""

from collections.abc import Iterable
from typing import Any, final

import torch
from typing_extensions import override

from mmx.parts.optimizer import Optimizer
from mmx_scaffold.templates.optimizer.config import ThisPartConfig


@final
class ThisPartSteps(torch.optim.Optimizer):
    """AdaGrad (Duchi et al. 2011)::

        s = s + g^2
        x = x - lr (g / (sqrt(s) + eps) + weight_decay * x)

    The weight decay is decoupled, as AdamW's.
    """

    def __init__(self, params: Iterable[Any], lr: float = 1e-2, eps: float = 1e-10, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "eps": eps, "weight_decay": weight_decay})

    @override
    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["sum"] = torch.zeros_like(parameter)
                state["sum"].addcmul_(parameter.grad, parameter.grad)
                update = parameter.grad / (state["sum"].sqrt() + group["eps"])
                parameter.sub_(update + group["weight_decay"] * parameter, alpha=group["lr"])


@final
class ThisPart(Optimizer):
    """Makes the optimizer of a run."""

    def __init__(self, config: ThisPartConfig) -> None:
        self._config = config

    @override
    def over(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return ThisPartSteps(groups, eps=self._config.eps)
