"""What a checkpoint holds, and putting it back: enough that a resumed run is the same run, bit for bit."""

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor

from mmx.errors import CheckpointError
from mmx.learn.objective import Objective
from mmx.learn.rng import RandomState
from mmx.parts.engine import Engine

Tensors = dict[str, dict[str, Tensor]]
Values = dict[str, Any]
_FLOATS: Final = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_NAMED: Final = 5
"""Tensors that an error names of each problem."""


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
        CheckpointError: names, shapes or kinds of number differ; the first few are named.
    """
    module.load_state_dict(fitted(module.state_dict(), weights, "the weights"))


def fitted(own: Mapping[str, Tensor], given: Mapping[str, Tensor], what: str) -> dict[str, Tensor]:
    """Return tensors in the dtypes of those whose place they take; half precision is widened.

    Args:
        own: a model's state, or a part of it.
        given: what takes its place, by the same names.
        what: what ``given`` is called in messages.

    Raises:
        CheckpointError: tensors are missing, are not used, or have another shape or kind of number; they are named.
    """
    both = [name for name in own if name in given]
    problems = [
        *_named("missing", [name for name in own if name not in given]),
        *_named("not used", [name for name in given if name not in own]),
        *_named(
            "of another shape", [_shapes(name, own, given) for name in both if own[name].shape != given[name].shape]
        ),
        *_named("of another kind", [_kinds(name, own, given) for name in both if not _alike(own[name], given[name])]),
    ]
    if problems:
        raise CheckpointError(f"{what} do not fit the recipe's model: {'; '.join(problems)}")
    return {name: given[name].to(tensor.dtype) for name, tensor in own.items()}


def _shapes(name: str, own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    return f"{name} is {list(given[name].shape)} there and {list(own[name].shape)} here"


def _kinds(name: str, own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    return f"{name} is {given[name].dtype} there and {own[name].dtype} here".replace("torch.", "")


def _alike(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype or (one.dtype in _FLOATS and other.dtype in _FLOATS)


def _named(problem: str, names: list[str]) -> list[str]:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return [f"{problem}: {', '.join(names[:_NAMED])}{more}"] if names else []
