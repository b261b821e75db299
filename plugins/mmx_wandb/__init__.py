"""Runs on Weights & Biases. Registers the tracker "wandb"; a broken W&B never stops or slows a run."""

from __future__ import annotations

from mmx.plugin.hookspecs import hookimpl
from mmx.plugin.registry import Registrar
from mmx_wandb.config import WandbConfig


@hookimpl
def mmx_register(register: Registrar) -> None:
    """Register the tracker."""
    register(
        "tracker",
        "wandb",
        config=WandbConfig,
        part="mmx_wandb.tracker:WandbTracker",
        summary="sends a run to Weights & Biases; offline where there is no key",
    )
