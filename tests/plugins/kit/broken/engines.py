"""An engine that keeps its contract, and variations of it that do not."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, cast

import torch
from torch import Tensor
from typing_extensions import override

from broken.table import Broken, Twin
from mmx.config import EngineConfig
from mmx.learn.accumulate import accumulate
from mmx.learn.objective import Features, MicroBatchTerm, Objective
from mmx.learn.optim import optimizer_state, restore_optimizer
from mmx.parts.batch import Batch
from mmx.parts.engine import Engine
from mmx.parts.group import SoloGroup


class HereConfig(EngineConfig):
    device_label: str = "here"
    """What the device is called."""


class Here(Engine):
    """The twin: this process, this CPU, full precision."""

    def __init__(self, config: HereConfig) -> None:
        self.label = config.device_label
        self.device, self.group, self.main, self.scaled = torch.device("cpu"), SoloGroup(), True, False
        self.objective: Any = None
        self.optimizer: Any = None

    @override
    def describe(self) -> str:
        return f"{self.label}, fp32"

    @override
    def prepare(self, objective: Objective, optimizer: torch.optim.Optimizer) -> None:
        self.objective, self.optimizer = objective, optimizer

    @override
    def backward(self, batch: Batch, micro_batches: int) -> None:
        accumulate(self, self.objective, batch, micro_batches)

    def features(self, batch: Batch) -> Features:
        return cast(Features, self.objective(batch, None))

    def differentiate(self, batch: Batch, share: MicroBatchTerm, last: bool) -> None:
        cast(Tensor, self.objective(batch, share)).backward()

    @override
    def clip(self, norm: float | None) -> float:
        limit = float("inf") if norm is None else norm
        return float(torch.nn.utils.clip_grad_norm_(self.objective.parameters(), limit))

    @override
    def step(self) -> bool:
        self.optimizer.step()
        self.optimizer.zero_grad()
        return True

    @override
    def weights(self) -> dict[str, Tensor]:
        return self.objective.state_dict()

    @override
    def gradients(self) -> dict[str, Tensor]:
        return {name: p.grad for name, p in self.objective.named_parameters() if p.grad is not None}

    @override
    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return optimizer_state(self.objective, self.optimizer)

    @override
    def load(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        restore_optimizer(self.objective, self.optimizer, tensors)


class KeepsGradients(Here):
    @override
    def step(self) -> bool:
        self.optimizer.step()
        return True


class SkipsGains(Here):
    """Steps the first group of parameters alone."""

    @override
    def step(self) -> bool:
        for parameter in self.optimizer.param_groups[1]["params"]:
            parameter.grad = None
        return super().step()


class NormAfter(Here):
    @override
    def clip(self, norm: float | None) -> float:
        found = super().clip(norm)
        return found if norm is None else min(found, norm)


class ClipsValues(Here):
    @override
    def clip(self, norm: float | None) -> float:
        found = super().clip(None)
        if norm is not None:
            torch.nn.utils.clip_grad_value_(self.objective.parameters(), norm)
        return found


class Pieces(Here):
    """Computes each micro-batch's loss by itself: a contrastive loss then sees fewer negatives."""

    @override
    def backward(self, batch: Batch, micro_batches: int) -> None:
        for part in batch.chunk(micro_batches):
            (self.objective(part, MicroBatchTerm(self.objective.count(part))) / micro_batches).backward()


class SumOfPieces(Here):
    @override
    def differentiate(self, batch: Batch, share: MicroBatchTerm, last: bool) -> None:
        super().differentiate(batch, share, last)
        if share.cotangents is not None and not last:
            super().differentiate(batch, share, last)


class ForgetsState(Here):
    @override
    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {}, {}


class ForgetsSteps(Here):
    """Loads the moments, and starts their bias correction anew."""

    @override
    def load(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        kept = {name: torch.ones_like(t) if name.endswith("/step") else t for name, t in tensors.items()}
        super().load(kept, values)


class SingleThread(Here):
    @override
    def prepare(self, objective: Objective, optimizer: torch.optim.Optimizer) -> None:
        super().prepare(objective, optimizer)
        torch.set_num_threads(torch.get_num_threads() + 1)


def _broken(check: str, *parts: type[Here]) -> Iterator[Broken]:
    return (Broken("engine", part.__name__, f"{__name__}:{part.__name__}", HereConfig, check) for part in parts)


ENGINE = Twin("engine", "LocalStep", f"{__name__}:Here", HereConfig)
ENGINES = tuple(
    itertools.chain(
        _broken("plain steps", KeepsGradients, SkipsGains),
        _broken("clipping", NormAfter, ClipsValues),
        _broken("micro-batches", Pieces, SumOfPieces),
        _broken("resuming", ForgetsState, ForgetsSteps),
        _broken("global state", SingleThread),
    )
)
