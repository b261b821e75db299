"""Optimizers (AdamW, SGD, LAMB, Lion) and schedules of the learning rate."""

from __future__ import annotations

from typing import Final

from mmx.config import PartConfig
from mmx.plugin.hookspecs import hookimpl
from mmx.plugin.registry import Registrar
from mmx_optim.configs import (
    AdamWConfig,
    ConstantConfig,
    CosineConfig,
    ExponentialConfig,
    LambConfig,
    LinearConfig,
    LionConfig,
    RestartsConfig,
    SgdConfig,
)

_OPTIMIZERS: Final[tuple[tuple[str, type[PartConfig], str, str], ...]] = (
    ("adamw", AdamWConfig, "AdamW", "Adam with decoupled weight decay, in torch's fused form"),
    ("sgd", SgdConfig, "Sgd", "gradient descent with momentum, Nesterov's if asked for; torch's"),
    ("lamb", LambConfig, "Lamb", "Adam's step, as long as a share of each tensor's norm: for large batches"),
    ("lion", LionConfig, "Lion", "the sign of a running mean of the gradient: one tensor of state instead of two"),
)
_SCHEDULES: Final[tuple[tuple[str, type[PartConfig], str, str], ...]] = (
    ("cosine", CosineConfig, "Cosine", "half a cosine from the highest rate to the lowest"),
    ("linear", LinearConfig, "Linear", "a straight line from the highest rate to the lowest"),
    ("constant", ConstantConfig, "Constant", "the highest rate to the end"),
    ("exponential", ExponentialConfig, "Exponential", "times a factor at each new epoch, down to the lowest rate"),
    ("restarts", RestartsConfig, "Restarts", "several cosines, each from the highest rate again"),
)


@hookimpl
def mmx_register(register: Registrar) -> None:
    """Register the optimizers and the schedules."""
    for name, config, part, summary in _OPTIMIZERS:
        register("optimizer", name, config=config, part=f"mmx_optim.optimizers:{part}", summary=summary)
    for name, config, part, summary in _SCHEDULES:
        register("schedule", name, config=config, part=f"mmx_optim.schedules:{part}", summary=summary)
