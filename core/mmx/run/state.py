"""What a checkpoint holds, and putting it back: enough that a resumed run is the same run, bit for bit."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mmx.errors import CheckpointError
from mmx.learn.objective import Objective
from mmx.learn.rng import RandomState
from mmx.parts.engine import Engine

Tensors = dict[str, dict[str, Tensor]]
Values = dict[str, Any]


def capture(objective: Objective, engine: Engine) -> tuple[Tensors, Values]:
    """Return weights, what losses and teachers hold, optimizer and random state; every tensor by name."""
    weights = objective.state_dict()
    optimizer, values = engine.state()
    state = RandomState.capture(engine.device)
    rng = {"cpu": state.cpu} | ({} if state.gpu is None else {"gpu": state.gpu})
    tensors = {
        "model": {k.removeprefix("model."): v for k, v in weights.items() if k.startswith("model.")},
        "objective": {k: v for k, v in weights.items() if not k.startswith("model.")},
        "optimizer": optimizer,
        "rng": rng,
    }
    return tensors, {"engine": values}


def restore(objective: Objective, engine: Engine, tensors: Mapping[str, Mapping[str, Tensor]], values: Values) -> None:
    """Put back what ``capture`` returned. The random state comes last, once everything else is made.

    Raises:
        CheckpointError: the checkpoint is of another model or other losses.
    """
    weights = {f"model.{k}": v for k, v in tensors["model"].items()} | dict(tensors["objective"])
    load_weights(objective, weights)
    engine.load(tensors["optimizer"], values["engine"])
    RandomState(tensors["rng"]["cpu"], tensors["rng"].get("gpu")).restore(engine.device)


def load_weights(module: torch.nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load weights that must fit exactly.

    Raises:
        CheckpointError: names or shapes differ; the first few are named.
    """
    own = module.state_dict()
    shapes = [
        f"{name} is {list(weights[name].shape)} there and {list(own[name].shape)} here"
        for name in own
        if name in weights and weights[name].shape != own[name].shape
    ]
    missing = [f"{name} is not in the checkpoint" for name in own if name not in weights]
    extra = [f"{name} is only in the checkpoint" for name in weights if name not in own]
    problems = shapes + missing + extra
    if problems:
        more = f" (and {len(problems) - 5} more)" if len(problems) > 5 else ""
        raise CheckpointError(f"the weights do not fit the recipe's model: {'; '.join(problems[:5])}{more}")
    module.load_state_dict(dict(weights))
