"""One process on one device: autocast, loss scaling for fp16, exact accumulation."""

import contextlib
from collections.abc import Mapping
from typing import Any, cast, final

import torch
from torch import Tensor
from typing_extensions import override

from mmx.errors import RecipeError
from mmx.learn.accumulate import accumulate
from mmx.learn.objective import Features, MicroBatchTerm, Objective
from mmx.learn.optim import optimizer_state, restore_optimizer
from mmx.parts.batch import Batch
from mmx.parts.engine import Engine
from mmx.parts.group import SoloGroup
from mmx.parts.lazy import Tensors
from mmx_local.config import LocalConfig

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": None}


@final
class LocalEngine(Engine):
    """Runs the objective in this process."""

    _objective: Objective
    _optimizer: torch.optim.Optimizer

    def __init__(self, config: LocalConfig) -> None:
        self.device = _device(config.device)
        self.group = SoloGroup()
        self.main = True
        self.precision = _precision(config.precision, self.device)
        self._compile = config.compile
        self.scaled = self.precision == "fp16"
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=self.scaled)

    @override
    def describe(self) -> str:
        name = (
            torch.cuda.get_device_name(self.device)
            if self.device.type == "cuda"
            else f"{torch.get_num_threads()} CPU threads"
        )
        emulated = self.precision == "bf16" and self.device.type == "cpu" and not _has_bf16_kernels()
        return f"{name}, {self.precision}" + (
            " (emulated: many times slower than fp32 on this CPU)" if emulated else ""
        )

    @override
    def prepare(self, objective: Objective, optimizer: torch.optim.Optimizer) -> None:
        self._objective, self._optimizer = objective, optimizer
        objective.computing = self._autocast
        if self._compile:
            objective.model.image_encoder.compile()
            objective.model.text_encoder.compile()

    @override
    def backward(self, batch: Batch, micro_batches: int) -> None:
        accumulate(self, self._objective, batch, micro_batches)

    def features(self, batch: Batch) -> Features:
        """Run the objective for features, without gradient."""
        with self._autocast():
            return cast(Features, self._objective(batch, None))

    def differentiate(self, batch: Batch, share: MicroBatchTerm, last: bool) -> None:
        """Run the objective for a scalar and add its gradient."""
        with self._autocast():
            scalar = cast(Tensor, self._objective(batch, share))
        self._scaler.scale(scalar).backward()

    @override
    def clip(self, norm: float | None) -> float:
        self._scaler.unscale_(self._optimizer)
        parameters = [p for group in self._optimizer.param_groups for p in group["params"] if p.grad is not None]
        return float(torch.nn.utils.clip_grad_norm_(parameters, norm if norm is not None else float("inf")))

    @override
    def step(self) -> bool:
        before = self._scaler.get_scale()
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)
        return self._scaler.get_scale() >= before

    @override
    def weights(self) -> Tensors:
        return self._objective.state_dict()

    @override
    def gradients(self) -> dict[str, Tensor]:
        scale = self._scaler.get_scale() if self.scaled else 1.0
        named = self._objective.named_parameters()
        return {name: p.grad / scale for name, p in named if p.grad is not None}

    @override
    def reached(self) -> set[str]:
        return {name for name, p in self._objective.named_parameters() if p.grad is not None}

    @override
    def state(self) -> tuple[Tensors, dict[str, Any]]:
        tensors, values = optimizer_state(self._objective, self._optimizer)
        return tensors, {**values, "scaler": self._scaler.state_dict()}

    @override
    def load(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        restore_optimizer(self._objective, self._optimizer, tensors)
        if self.scaled:
            self._scaler.load_state_dict(dict(values["scaler"]))

    def _autocast(self) -> contextlib.AbstractContextManager[object]:
        dtype = _DTYPES[self.precision]
        return contextlib.nullcontext() if dtype is None else torch.autocast(self.device.type, dtype)


def _device(wanted: str) -> torch.device:
    found = torch.cuda.is_available()
    if wanted == "cuda" and not found:
        raise RecipeError(
            'parallel.device = "cuda", but torch finds no GPU; use "auto" or "cpu", or install a CUDA build of torch'
        )
    return torch.device("cuda", torch.cuda.current_device()) if found and wanted != "cpu" else torch.device("cpu")


def _has_bf16_kernels() -> bool:
    """Return whether matrix products in bf16 run on this CPU's own instructions."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _precision(wanted: str, device: torch.device) -> str:
    if device.type == "cpu":
        if wanted == "fp16":
            raise RecipeError('parallel.precision = "fp16" needs a GPU; use "auto" or "fp32"')
        return "fp32" if wanted == "auto" else wanted
    if wanted == "auto":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return wanted
