"""Evaluators: they measure what they say, on all samples, and leave the model as it was."""

import math
import random
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from mmx.parts.dataset import Dataset
from mmx.parts.evaluator import EvalModel, Evaluator, Number, Result
from mmx_kit.case import Case
from mmx_kit.check import BrokenError, Check, NotApplicableError
from mmx_kit.evaluated import Only, Spoilt
from mmx_kit.globals_kept import restored
from mmx_kit.uses import evaluate, evaluated, fresh, measured, subject, values

_KIND: Final = ("evaluator",)
_MODELS: Final = (0, 1, 2)
"""Untrained models are compared by several seeds: one may happen to get everything wrong."""
_BATCHES: Final = (1, 2, 3, 5, 1000)
_CLOSE: Final = 1e-4


def _result(case: Case) -> None:
    found = evaluate(fresh(case), subject())
    if not isinstance(found, Result):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise BrokenError(f"evaluate returns a Result, not a {type(found).__name__}")
    if found.headline not in found.numbers:
        raise BrokenError(f"the headline '{found.headline}' is none of its numbers: {', '.join(found.numbers)}")
    samples = len(evaluated(case))
    for name, number in found.numbers.items():
        _check_number(name, number, samples)


def _check_number(name: str, number: Number, samples: int) -> None:
    if type(number.value) is not float or not math.isfinite(number.value):
        raise BrokenError(f"{name} is {number.value!r}: expected a float that is finite")
    bounds = [value for value in (number.low, number.value, number.high) if value is not None]
    if any(one > other + 1e-9 for one, other in pairwise(bounds)):
        raise BrokenError(f"{name} has low, value and high out of order: {bounds}")
    if number.chance is not None and not 0 <= number.chance <= 1:
        raise BrokenError(f"{name} has the chance {number.chance}: expected a fraction from 0 to 1 (not percent)")
    if number.chance is not None and not 0 <= number.value <= 1:
        raise BrokenError(f"{name} is {number.value}, and has a chance: expected a fraction from 0 to 1 (not percent)")
    if number.count is not None and not 0 <= number.count <= samples:
        raise BrokenError(f"{name} was measured on {number.count} samples, the dataset has {samples}")


def _repeated(case: Case) -> None:
    evaluator: Evaluator = fresh(case)
    first = measured(evaluator)
    with restored():
        torch.manual_seed(91)
        np.random.seed(91)
        random.seed(91)
        _same(measured(evaluator), first, "evaluated again")
        _same(measured(fresh(case, seed=1)), first, "evaluated by a new instance")


def _model_kept(case: Case) -> None:
    model, evaluator = subject(), fresh(case)
    before = _state(model.model)
    evaluate(evaluator, model)
    after = _state(model.model)
    for name, value in before.items():
        if after.get(name) != value:
            raise BrokenError(f"it changes the model: {name}")
    if set(after) - set(before):
        raise BrokenError(f"it adds to the model: {sorted(set(after) - set(before))[0]}")


def _state(model: nn.Module) -> dict[str, object]:
    """Return all there is to know of a model, in comparable form."""
    found: dict[str, object] = {}
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        found[f"the values of {name}"] = (str(value.dtype), str(value.device), value.detach().cpu().numpy().tobytes())
        found[f"requires_grad of {name}"] = value.requires_grad
        found[f"the gradient of {name}"] = None if value.grad is None else value.grad.sum().item()
    for name, module in model.named_modules():
        what = name or "the model"
        found[f"the mode (training or evaluation) of {what}"] = module.training
        hooks: Any = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)
        found[f"the hooks of {what}"] = tuple(len(kind) for kind in hooks)
    return found


def _batch_sizes(case: Case) -> None:
    fields = type(case.config).model_fields
    options = [name for name, field in fields.items() if "batch" in name and field.annotation is int]
    if not options:
        raise NotApplicableError("it has no option for the size of a batch")
    for model in _MODELS:
        first = measured(fresh(case), model)
        for size in _BATCHES:
            found = measured(fresh(case, **{options[0]: size}), model)
            _same(found, first, f"{options[0]} is {size}")


def _order(case: Case) -> None:
    dataset = _own(case)
    count = len(dataset)
    orders = {
        "backwards": list(range(count))[::-1],
        "by every third": [index for first in range(3) for index in range(first, count, 3)],
        "with the first at the end": [*range(1, count), 0],
    }
    for model in _MODELS:
        first = measured(case.build(dataset), model)
        for name, order in orders.items():
            _same(measured(case.build(Only(dataset, order)), model), first, f"the samples are read {name}")


def _bad_sample(case: Case) -> None:
    dataset = _own(case)
    count = len(dataset)
    for place in (0, count // 2, count - 1):
        without = evaluate(case.build(Only(dataset, [i for i in range(count) if i != place])), subject())
        try:
            found = evaluate(case.build(Spoilt(dataset, place)), subject())
        except Exception as error:
            raise BrokenError(
                f"one bad sample ends the evaluation ({type(error).__name__}: {error}): skip it, and count it"
            ) from error
        name = without.headline
        _same(
            {name: values(found)[name]}, {name: values(without)[name]}, f"sample {place} is bad, rather than not there"
        )
        told = found.numbers[name].count
        if told is not None and told >= count:
            raise BrokenError(f"{name} says that it was measured on {told} samples, but one of {count} is bad")


def _dtype(case: Case) -> None:
    first = measured(fresh(case))
    model = subject()
    _follows(case, EvalModel(model.model.double(), model.tokenizer, model.preprocess), first, "in float64")
    if torch.cuda.is_available():
        model = subject()
        _follows(case, EvalModel(model.model.cuda(), model.tokenizer, model.preprocess), first, "on a GPU")


def _follows(case: Case, moved: EvalModel, expected: Mapping[str, float], where: str) -> None:
    try:
        found = values(evaluate(fresh(case), moved))
    except Exception as error:
        raise BrokenError(
            f"it fails where the model is {where} ({type(error).__name__}: {error}): take the device and the dtype from "
            "the model, as in tensor.to(subject.model.mean)"
        ) from error
    _same(found, expected, f"the model is {where}")


def _own(case: Case) -> Dataset:
    dataset = evaluated(case)
    if len(dataset) < 3:
        raise NotApplicableError("its dataset has fewer than 3 samples")
    return dataset


def _same(found: Mapping[str, float], expected: Mapping[str, float], when: str) -> None:
    for name, value in expected.items():
        if name not in found or not abs(found[name] - value) <= _CLOSE * max(1.0, abs(value)):
            raise BrokenError(f"{name} is {found.get(name, 'missing')} where {when}: expected {value}, as before")


EVALUATOR_CHECKS: Final = (
    Check("result", "its headline is one of its numbers, and numbers are in range", _KIND, _result),
    Check("repeated", "the same model has the same numbers, whatever the global random state", _KIND, _repeated),
    Check("model kept", "weights, modes, gradients and hooks of the model are as before", _KIND, _model_kept),
    Check("batch sizes", "the size of a batch does not change the numbers: no last batch is lost", _KIND, _batch_sizes),
    Check("order", "the order of samples does not change the numbers: they are no means of means", _KIND, _order),
    Check("bad sample", "a bad sample is skipped, and not counted", _KIND, _bad_sample),
    Check("device and dtype", "it follows the model's dtype and device", _KIND, _dtype),
)
