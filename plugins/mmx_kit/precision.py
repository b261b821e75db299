"""Checks of the numbers: gradients in fp64, and what bf16 leaves of the outputs."""

from collections.abc import Callable, Mapping
from typing import Final, cast

import torch
from torch import Tensor

from mmx.learn.accumulate import accumulate
from mmx.parts.batch import Batch
from mmx.parts.fusion import Fusion
from mmx.parts.loss import BatchLoss, ItemLoss, Loss
from mmx_kit.assembly import MODEL_KINDS, Assembly, Tensors, assemble, named
from mmx_kit.case import Case
from mmx_kit.check import DETERMINISM, BrokenError, Check
from mmx_kit.compare import distance, finite, seeded, shape
from mmx_kit.layouts import Alone
from mmx_kit.slopes import check_elements, check_slopes
from mmx_kit.steps import random
from mmx_kit.stops import Through, told_cuts
from mmx_kit.widened import Widened

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
    held = {named(pull) for pull in made.part.constants} if isinstance(made.part, BatchLoss) else set[str]()
    read = {f"input {name}": value for name, value in leaves.items() if name not in held}
    owner = made.model if isinstance(made.part, Loss) else made.part
    own: Tensors = {name: p for name, p in owner.named_parameters() if p.requires_grad}
    own |= {name: p for name, p in made.part.named_parameters() if p.requires_grad}

    def run() -> Tensors:
        with Widened():
            return made.run(inputs, batch)

    found = _compared(run, read, own)
    if isinstance(made.part, BatchLoss):
        _reach(run, read, found)
        _hold(run, {name: leaf for name, leaf in leaves.items() if name in held})


def _compared(run: Callable[[], Tensors], read: Tensors, own: Tensors) -> Mapping[str, Tensor | None]:
    few = {name: value for name, value in read.items() if value.numel() <= _ELEMENTS}
    try:
        found = check_slopes(run, read | own)
        if few:
            check_elements(run, few)
    except BrokenError as error:
        raise BrokenError(f"{error}{told_cuts(run)}") from error
    return found


def _features(made: Assembly, inputs: Tensors) -> Tensors:
    """Return, as leaves, the inputs that gradients flow into."""
    if isinstance(made.part, BatchLoss):
        wanted = [named(pull) for pull in made.part.features() if pull.by == "student" and pull.kind != "fact"]
    elif isinstance(made.part, Fusion):
        wanted = [name for name, value in inputs.items() if value.is_floating_point()]
    else:
        wanted = []
    return {name: inputs[name].double().clone().requires_grad_() for name in wanted}


def _reach(run: Callable[[], Tensors], read: Tensors, found: Mapping[str, Tensor | None]) -> None:
    """Check that gradients reach all pulls, or would without what is declared constant."""
    missed = {name: leaf for name, leaf in read.items() if not _any(found[name])}
    if missed:
        with seeded(0), Through():
            found = _gradients(run(), missed)
    for name in missed:
        if not _any(found[name]):
            raise BrokenError(
                f"no gradient reaches the pull '{name.removeprefix('input ')}'; if the loss reads it as a constant on "
                "purpose, list it in the class's `constants`"
            )


def _hold(run: Callable[[], Tensors], held: Tensors) -> None:
    """Check that no gradient reaches what the loss says that it reads as a constant."""
    for name, gradient in _gradients(run(), held).items():
        if _any(gradient):
            raise BrokenError(
                f"a gradient reaches the pull '{name}', which the class's `constants` say is read as a constant: "
                "detach it, or take it out of `constants`"
            )


def _gradients(outputs: Tensors, leaves: Tensors) -> Mapping[str, Tensor | None]:
    terms = [value.sum() for value in outputs.values() if value.requires_grad]
    if not leaves or not terms:
        return dict.fromkeys(leaves)
    found = torch.autograd.grad(torch.stack(terms).sum(), list(leaves.values()), allow_unused=True)
    return dict(zip(leaves, cast("tuple[Tensor | None, ...]", found), strict=True))


def _any(gradient: Tensor | None) -> bool:
    return gradient is not None and bool(gradient.any())


def half(case: Case) -> None:
    """Check that outputs stay near those of fp32 under autocast to bf16, and finite where the part is cast to it."""
    made = assemble(case)
    made.objective.train(not random(made))
    batch = made.batch()
    _near(made, batch)
    if isinstance(made.part, BatchLoss):
        _stays_precise(made)
    made.objective.to(torch.bfloat16)
    # A teacher stays in fp32 whatever the rest is cast to: only autocast brings both together.
    with torch.autocast("cpu", torch.bfloat16, enabled=isinstance(made.part, ItemLoss) and bool(made.part.teachers)):
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
    """Check that a batch loss keeps its heads and queues in fp32: an average all but stops in bf16."""
    made.part.to(torch.bfloat16)
    for name, value in made.part.state_dict().items():
        if value.is_floating_point() and value.dtype.itemsize < 4:
            raise BrokenError(
                f"'{name}' is in {shape(value)}; a batch loss keeps its state in fp32, also where an engine casts"
            )


PRECISION_CHECKS: Final = (
    Check(
        "gradients",
        "gradients equal finite differences in fp64, but for what is declared constant; those of losses and fusions "
        "by pooled features, in every element",
        MODEL_KINDS,
        slopes,
        DETERMINISM,
    ),
    Check("bf16", "under autocast, and cast, to bf16 it stays finite and near fp32", MODEL_KINDS, half, DETERMINISM),
)
