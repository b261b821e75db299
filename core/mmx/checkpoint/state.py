"""What a checkpoint holds, and putting it back: enough that a resumed run is the same run, bit for bit."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar, cast

import torch
from torch import Tensor

from mmx.checkpoint.stored import Picked, dtype_of, joined, shape_of
from mmx.errors import CheckpointError
from mmx.learn.objective import Objective
from mmx.learn.rng import RandomState
from mmx.learn.teacher import Teacher
from mmx.parts.engine import Engine
from mmx.parts.lazy import Tensors

Values = dict[str, Any]
_FLOATS: Final = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_NAMED: Final = 5
"""Tensors that an error names of each problem."""
_T = TypeVar("_T")


def capture(engine: Engine) -> tuple[dict[str, Tensors], Values]:
    """Return weights, what losses and teachers hold, optimizer and random state; every tensor by name.

    All processes call it; nothing is copied, and nothing put together, before it is asked for. Names and shapes are
    those of one process under any layout, but for the random states, of which there is one for each data-parallel rank.
    """
    weights = engine.weights()
    optimizer, values = engine.state()
    tensors: dict[str, Tensors] = {
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
    load_weights(objective, _with_teachers(objective, joined(("model.", tensors["model"]), ("", tensors["objective"]))))


def averaged(weights: Mapping[str, _T], teacher: str | None) -> dict[str, str]:
    """Return where the weights of a teacher's model are, or of the model itself, by their names in the model.

    What a teacher shares with the model is there once.
    """
    names = {name.removeprefix("model."): name for name in weights if name.startswith("model.")}
    prefix = f"teachers.{teacher}.model."
    return names | {name.removeprefix(prefix): name for name in weights if name.startswith(prefix)}


def _with_teachers(objective: Objective, weights: Picked) -> Picked:
    """Return weights as the objective's teachers have them.

    Where the recipe trains something that it did not train before, or no longer does, a teacher shares other tensors
    than when it was saved. One that it shared then had the model's value; one that it had of its own it keeps, and
    goes on following, unless that is the model's value.
    """
    places = {name: (weights, name) for name in weights}
    for key, module in objective.teachers.items():
        teacher, prefix = cast(Teacher, module), f"teachers.{key}.model."
        if f"teachers.{key}.updates" not in weights:  # a teacher that the checkpoint does not know
            continue
        for name, _ in list(teacher.model.named_parameters(remove_duplicate=False)):
            own, other = f"{prefix}{name}", f"model.{name}"
            if name not in teacher.shared:
                places.setdefault(own, (weights, other if other in weights else own))
            elif own in weights:
                if other in weights and torch.equal(weights[own], weights[other]):
                    del places[own]
                else:
                    teacher.follow_alone(name)
    return Picked({name: place for name, place in places.items() if place[1] in weights})


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
    """Copy weights into a module's own tensors, one by one. They must fit exactly.

    Raises:
        CheckpointError: names, shapes or kinds of number differ; the first few are named.
    """
    fill(module.state_dict(), weights, "the weights")


def fill(own: Mapping[str, Tensor], given: Mapping[str, Tensor], what: str) -> None:
    """Copy tensors into those whose place they take, one by one; half precision is widened.

    Args:
        own: a model's state, or a part of it.
        given: what takes its place, by the same names; it may lie in a file.
        what: what ``given`` is called in messages.

    Raises:
        CheckpointError: tensors are missing, are not used, or have another shape or kind of number; they are named.
    """
    both = [name for name in own if name in given]
    problems = [
        *_named("missing", [name for name in own if name not in given]),
        *_named("not used", [name for name in given if name not in own]),
        *_named("of another shape", [_shapes(name, own, given) for name in both if not _fits(name, own, given)]),
        *_named("of another kind", [_kinds(name, own, given) for name in both if not _alike(name, own, given)]),
    ]
    if problems:
        raise CheckpointError(f"{what} do not fit the recipe's model: {'; '.join(problems)}")
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(given[name])


def _fits(name: str, own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> bool:
    return shape_of(given, name) == own[name].shape


def _shapes(name: str, own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    return f"{name} is {list(shape_of(given, name))} there and {list(own[name].shape)} here"


def _alike(name: str, own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> bool:
    one, other = own[name].dtype, dtype_of(given, name)
    return one == other or (one in _FLOATS and other in _FLOATS)


def _kinds(name: str, own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    return f"{name} is {dtype_of(given, name)} there and {own[name].dtype} here".replace("torch.", "")


def _named(problem: str, names: list[str]) -> list[str]:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return [f"{problem}: {', '.join(names[:_NAMED])}{more}"] if names else []
