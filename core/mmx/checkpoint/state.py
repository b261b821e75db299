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


def capture(engine: Engine) -> tuple[Tensors, Values]:
    """Return weights, what losses and teachers hold, optimizer and random state; every tensor by name.

    All processes call it; the main one gets the tensors. Names and shapes are those of one process under any layout,
    but for the random states, of which there is one for each data-parallel rank.
    """
    weights = engine.weights()
    optimizer, values = engine.state()
    tensors = {
        "model": {k.removeprefix("model."): v for k, v in weights.items() if k.startswith("model.")},
        "objective": {k: v for k, v in weights.items() if not k.startswith("model.")},
        "optimizer": optimizer,
        "rng": _random_states(engine),
    }
    return tensors, {"engine": values}


def _random_states(engine: Engine) -> dict[str, Tensor]:
    state = RandomState.capture(engine.device)
    here = {"cpu": state.cpu} | ({} if state.gpu is None else {"gpu": state.gpu})
    ranks = dict(reversed(engine.everyone((engine.group.rank, here))))
    if len(ranks) == 1:
        return here
    return {f"{name}.{rank}": value for rank in sorted(ranks) for name, value in ranks[rank].items()}


def restore_weights(objective: Objective, tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Put weights back into an objective that is not prepared yet.

    Raises:
        CheckpointError: the checkpoint is of another model or other losses.
    """
    load_weights(objective, {f"model.{k}": v for k, v in tensors["model"].items()} | dict(tensors["objective"]))


def restore(engine: Engine, tensors: Mapping[str, Mapping[str, Tensor]], values: Values) -> None:
    """Put back the rest of what ``capture`` returned. The random state comes last, once everything else is made.

    Each data-parallel rank gets its own. Where there are more ranks than the checkpoint has, the others keep a state
    that is new: no draw of theirs was ever made.
    """
    engine.load(tensors["optimizer"], values["engine"])
    saved, rank = tensors["rng"], engine.group.rank
    suffix = f".{rank}" if f"cpu.{rank}" in saved else ""
    if f"cpu{suffix}" in saved and (suffix or rank == 0):
        RandomState(saved[f"cpu{suffix}"], saved.get(f"gpu{suffix}")).restore(engine.device)


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
