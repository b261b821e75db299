"""An optimizer that keeps its contract, and variations of it that do not."""

from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from broken.table import Twin, broken
from mmx.config import OptimizerConfig
from mmx.parts.optimizer import Optimizer


class StepsConfig(OptimizerConfig):
    elementwise: ClassVar[bool] = True

    inertia: float = 0.5
    """Share of the last direction that stays."""

    @override
    def kept(self) -> int:
        return 1


class Momentum(torch.optim.Optimizer):
    def __init__(self, params: Iterable[Any], inertia: float = 0.5) -> None:
        super().__init__(params, {"lr": 0.1, "weight_decay": 0.0, "inertia": inertia})

    @override
    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self.move(parameter, parameter.grad, group)

    def move(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["mean"] = torch.zeros_like(parameter)
        state["mean"].mul_(group["inertia"]).add_(gradient)
        self.go(parameter, state["mean"] + group["weight_decay"] * parameter, group)

    def go(self, parameter: Tensor, update: Tensor, group: dict[str, Any]) -> None:
        parameter.sub_(update, alpha=group["lr"])


class Steps(Optimizer):
    """The twin: momentum."""

    made: ClassVar[type[Momentum]] = Momentum

    def __init__(self, config: StepsConfig) -> None:
        self.inertia = config.inertia

    @override
    def over(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return self.made(groups, inertia=self.inertia)


class MovesIdle(Steps):
    class made(Momentum):
        @override
        @torch.no_grad()
        def step(self, closure: None = None) -> None:
            super().step()
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.mul_(1 - 0.1 * group["lr"])


class NeverMoves(Steps):
    class made(Momentum):
        @override
        def go(self, parameter: Tensor, update: Tensor, group: dict[str, Any]) -> None: ...


class OneRate(Steps):
    class made(Momentum):
        @override
        def go(self, parameter: Tensor, update: Tensor, group: dict[str, Any]) -> None:
            parameter.sub_(update, alpha=self.param_groups[-1]["lr"])


class FirstRate(Steps):
    class made(Momentum):
        @override
        def go(self, parameter: Tensor, update: Tensor, group: dict[str, Any]) -> None:
            parameter.sub_(update, alpha=group.setdefault("first", group["lr"]))


class CountsAside(Steps):
    class made(Momentum):
        count = 0

        @override
        def go(self, parameter: Tensor, update: Tensor, group: dict[str, Any]) -> None:
            self.count += 1
            parameter.sub_(update, alpha=group["lr"] / self.count)


class ForgetsMean(Steps):
    class made(Momentum):
        @override
        def move(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
            means = self.__dict__.setdefault("means", {})
            means[parameter] = 0.5 * means.get(parameter, 0.0) + gradient
            self.go(parameter, means[parameter], group)


class KeepsTwo(Steps):
    class made(Momentum):
        @override
        def go(self, parameter: Tensor, update: Tensor, group: dict[str, Any]) -> None:
            super().go(parameter, update, group)
            self.state[parameter]["last"] = update


class KeepsNumber(Steps):
    class made(Momentum):
        @override
        def go(self, parameter: Tensor, update: Tensor, group: dict[str, Any]) -> None:
            super().go(parameter, update, group)
            self.state[parameter]["step"] = 1


class ByNorm(Steps):
    class made(Momentum):
        @override
        def go(self, parameter: Tensor, update: Tensor, group: dict[str, Any]) -> None:
            super().go(parameter, update / update.norm(), group)


class ByMean(Steps):
    class made(Momentum):
        @override
        def go(self, parameter: Tensor, update: Tensor, group: dict[str, Any]) -> None:
            super().go(parameter, update - update.mean(), group)


class NeedsMore(Steps):
    class made(Momentum):
        def __init__(self, params: Iterable[Any], inertia: float) -> None:
            super().__init__(params, inertia)


class OptionAside(Steps):
    class made(Momentum):
        def __init__(self, params: Iterable[Any], inertia: float = 0.9) -> None:
            super().__init__(params)
            self.inertia = inertia

        @override
        def move(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
            super().move(parameter, gradient, {**group, "inertia": self.inertia})


_CAUGHT: dict[str, tuple[type, ...]] = {
    "updates": (MovesIdle, NeverMoves),
    "rates": (OneRate, FirstRate),
    "resumed steps": (CountsAside, ForgetsMean),
    "state of parameters": (KeepsTwo, KeepsNumber),
    "elementwise": (ByNorm, ByMean),
    "options in groups": (NeedsMore, OptionAside),
}
OPTIMIZER = Twin("optimizer", "Steps", f"{__name__}:Steps", StepsConfig)
OPTIMIZERS = tuple(broken("optimizer", StepsConfig, _CAUGHT))
