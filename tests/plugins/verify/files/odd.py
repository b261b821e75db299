"""A plugin file: an engine with layouts that are wrong in one way each."""

import time
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor
from typing_extensions import override

from mmx.config import EngineConfig, Layout
from mmx.errors import RecipeError
from mmx.learn.objective import Objective
from mmx.parts.batch import Batch
from mmx.parts.engine import Engine
from mmx.parts.lazy import Tensors
from mmx.plugin.hookspecs import hookimpl
from mmx.plugin.registry import Registrar
from mmx_local.config import LocalConfig
from mmx_local.engine import LocalEngine


class OddConfig(EngineConfig):
    how: Literal["right", "doubled", "halved", "drops", "refuses", "fails", "hangs"] = "right"
    """What is wrong."""

    @override
    @classmethod
    def layouts(cls) -> Mapping[str, Layout]:
        names = ("right", "doubled", "halved", "drops", "refuses", "fails", "hangs")
        return {name: Layout({"how": name}, 1) for name in names}


class Odd(Engine):
    """The local engine, but for what is wrong."""

    def __init__(self, config: OddConfig) -> None:
        self._local = LocalEngine(LocalConfig(name="local", device="cpu", precision="fp32"))
        self._how = config.how
        self.device, self.group, self.main, self.scaled = self._local.device, self._local.group, True, False

    @override
    def describe(self) -> str:
        return f"odd: {self._how}"

    @override
    def prepare(self, objective: Objective, optimizer: torch.optim.Optimizer) -> None:
        if self._how == "refuses":
            raise RecipeError('parallel.how = "refuses" is refused; the nearest layout: parallel.how = "right"')
        self._objective = objective
        self._local.prepare(objective, optimizer)

    @override
    def backward(self, batch: Batch, micro_batches: int) -> None:
        if self._how == "hangs":
            time.sleep(600)
        self._local.backward(batch, micro_batches)
        factor = {"doubled": 2.0, "halved": 0.5}.get(self._how, 1.0)
        for p in self._objective.parameters():
            if p.grad is not None:
                p.grad.mul_(factor)

    @override
    def clip(self, norm: float | None) -> float:
        return 1 / 0 if self._how == "fails" else self._local.clip(norm)

    @override
    def step(self) -> bool:
        return self._local.step()

    @override
    def weights(self) -> Tensors:
        return self._local.weights()

    @override
    def gradients(self) -> dict[str, Tensor]:
        found = self._local.gradients()
        return dict(list(found.items())[1:]) if self._how == "drops" else found

    @override
    def state(self) -> tuple[Tensors, dict[str, Any]]:
        return self._local.state()

    @override
    def load(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        self._local.load(tensors, values)


@hookimpl
def mmx_register(register: Registrar) -> None:
    """Register the engine."""
    register("engine", "odd", config=OddConfig, part="odd:Odd", summary="one process that errs")
