"""Checks of the numbers: gradients in fp64, and what bf16 leaves of the outputs."""

from typing import Final

import torch
from torch import Tensor

from mmx.learn.accumulate import accumulate
from mmx.parts.batch import Batch
from mmx.parts.fusion import Fusion
from mmx.parts.loss import Compare, Loss
from mmx.testing.assembly import MODEL_KINDS, Assembly, Tensors, assemble, named
from mmx.testing.case import Case
from mmx.testing.check import BrokenError, Check
from mmx.testing.compare import distance, finite, seeded, shape
from mmx.testing.layouts import Alone
from mmx.testing.slopes import check_elements, check_slopes
from mmx.testing.steps import random

_ELEMENTS: Final = 1000
"""As many are differentiated one by one; all tokens of all rows would take minutes."""
_NEAR: Final = 0.15
"""Of an output's length: what bf16, with 8 bits, may lose in a few layers."""


def slopes(case: Case) -> None:
    """Check gradients against finite differences in fp64: by parameters, and by features where the part reads them."""
    made = assemble(case)
    made.objective.double().train(not random(made))
    batch = made.batch()
    inputs = made.inputs(batch)
    leaves = _features(made, inputs)
    inputs |= leaves
    read = {f"input {name}": value for name, value in leaves.items()}
    owner = made.model if isinstance(made.part, Loss) else made.part
    own = {name: p for name, p in owner.named_parameters() if p.requires_grad}
    own |= {name: p for name, p in made.part.named_parameters() if p.requires_grad}
    found = check_slopes(lambda: made.run(inputs, batch), read | own, stops=isinstance(made.part, Loss))
    few = {name: value for name, value in read.items() if value.numel() <= _ELEMENTS}
    if few:
        check_elements(lambda: made.run(inputs, batch), few, stops=isinstance(made.part, Loss))
    if isinstance(made.part, Compare):
        _reach_pulls(made.part, found)


def _features(made: Assembly, inputs: Tensors) -> Tensors:
    """Return, as leaves, the inputs that gradients flow into."""
    if isinstance(made.part, Compare):
        wanted = [named(pull) for pull in made.part.pulls() if pull.by == "student" and pull.kind != "fact"]
    elif isinstance(made.part, Fusion):
        wanted = [name for name, value in inputs.items() if value.is_floating_point()]
    else:
        wanted = []
    return {name: inputs[name].double().clone().requires_grad_() for name in wanted}


def _reach_pulls(part: Compare, found: dict[str, Tensor | None]) -> None:
    constants = {named(pull) for pull in part.constants}
    for pull in part.pulls():
        if pull.by != "student" or pull.kind == "fact" or named(pull) in constants:
            continue
        gradient = found[f"input {named(pull)}"]
        if gradient is None or not gradient.any():
            raise BrokenError(
                f"no gradient reaches the pull '{named(pull)}'; if the loss reads it as a constant on purpose, "
                "list it in the class's `constants`"
            )


def half(case: Case) -> None:
    """Check that outputs stay near those of fp32 under autocast to bf16, and finite where the part is cast to it."""
    made = assemble(case)
    made.objective.train(not random(made))
    batch = made.batch()
    _near(made, batch)
    if isinstance(made.part, Compare):
        _stays_precise(made)
    made.objective.to(torch.bfloat16)
    with torch.no_grad():
        finite("cast to bf16", made.outputs(batch))
    accumulate(Alone(made.objective), made.objective, batch, 1)
    _finite_gradients("cast to bf16", made)
    made.objective.after_step(batch)


def _near(made: Assembly, batch: Batch) -> None:
    with seeded(0), torch.no_grad():
        exact = made.outputs(batch)
        inputs = made.inputs(batch)
    with seeded(0), torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rounded = made.run(inputs, batch)
    finite("under autocast to bf16", rounded)
    for name, value in exact.items():
        apart = distance(rounded[name], value)
        if apart > _NEAR:
            raise BrokenError(
                f"under autocast to bf16, '{name}' differs from that of fp32 by {apart:.3g} of its length, "
                f"where at most {_NEAR} was expected"
            )
    with torch.autocast("cpu", torch.bfloat16):
        accumulate(Alone(made.objective), made.objective, batch, 1)
    finite("under autocast to bf16: the loss", made.objective.parts)
    _finite_gradients("under autocast to bf16", made)


def _finite_gradients(what: str, made: Assembly) -> None:
    named_parameters = made.objective.named_parameters()
    finite(f"{what}: the gradient by", {name: p.grad for name, p in named_parameters if p.grad is not None})
    made.objective.zero_grad()


def _stays_precise(made: Assembly) -> None:
    """Check that a Compare loss keeps its heads and queues in fp32: an average all but stops in bf16."""
    made.part.to(torch.bfloat16)
    for name, value in made.part.state_dict().items():
        if value.is_floating_point() and value.dtype.itemsize < 4:
            raise BrokenError(
                f"'{name}' is in {shape(value)}; a Compare loss keeps its state in fp32, also where an engine casts"
            )


PRECISION_CHECKS: Final = (
    Check(
        "gradients",
        "gradients equal finite differences in fp64; those of losses and fusions by pooled features, in every element",
        MODEL_KINDS,
        slopes,
    ),
    Check("bf16", "under autocast, and cast, to bf16 it stays finite and near fp32", MODEL_KINDS, half),
)
