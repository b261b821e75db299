"""Checks of every part that is a module: towers, fusions and losses."""

import contextlib
from typing import Final, cast

import torch
from torch import Tensor, nn

from mmx.errors import MmxError
from mmx.parts.batch import Batch, Pixels
from mmx.parts.encoder import ImageEncoder
from mmx.parts.loss import BatchLoss, ItemLoss
from mmx_kit.assembly import MODEL_KINDS, Assembly, Tensors, assemble, encoded
from mmx_kit.case import Case
from mmx_kit.check import DETERMINISM, BrokenError, Check
from mmx_kit.compare import same, seeded, shape
from mmx_kit.draws import refuse_draws
from mmx_kit.steps import take_steps

_ROUNDING: Final = 1e-6
"""Of the largest number: what fp32 may lose where the order of a sum differs."""


def determinism(case: Case) -> None:
    """Check that weights, dropout and outputs are functions of the seed."""
    refuse_draws(case)
    one, other = (assemble(case, seed=5, stirred=False) for _ in range(2))
    same("built twice from one seed: its state", _state(other), _state(one))
    batch = one.batch()
    for mode, training in (("training", True), ("evaluation", False)):
        one.objective.train(training)
        other.objective.train(training)
        first = drawn(one, batch, seed=3)
        what = f"run twice in {mode} mode from one seed, it seems to draw or to count on: its output"
        same(what, drawn(one, batch, seed=3), first)
        same(f"built and run twice in {mode} mode from one seed: its output", drawn(other, batch, seed=3), first)
    same("run in evaluation mode from two seeds: its output", drawn(one, batch, seed=4), first)


def drawn(made: Assembly, batch: Batch, seed: int) -> Tensors:
    """Return the outputs, drawn from a seed; the part's state, such as BatchNorm's statistics, is put back."""
    before = _state(made)
    with seeded(seed), torch.no_grad():
        found = {name: value.clone() for name, value in made.outputs(batch).items()}
    made.part.load_state_dict(before)
    return found


def _state(made: Assembly) -> Tensors:
    return {name: value.detach().clone() for name, value in made.part.state_dict().items()}


def state(case: Case) -> None:
    """Check that the state dict holds all that the part has learnt or counted, and loads into a fresh instance."""
    one, other = assemble(case, seed=1), assemble(case, seed=77)
    take_steps(one, [one.batch(step=step) for step in range(2)])
    foreign = [name for name, value in one.part.state_dict().items() if not isinstance(value, Tensor)]  # pyright: ignore[reportUnnecessaryIsInstance]
    if foreign:
        raise BrokenError(f"its state dict holds what is not a tensor: {', '.join(foreign)}")
    try:
        other.objective.load_state_dict({name: v.clone() for name, v in one.objective.state_dict().items()})
    except RuntimeError as error:
        raise BrokenError(f"its state after two steps does not load into a fresh instance: {error}") from error
    same("after loading its state into a fresh instance: the state", _state(other), _state(one))
    batch = one.batch(step=2)
    for mode, training in (("evaluation", False), ("training", True)):
        one.objective.train(training)
        other.objective.train(training)
        what = f"after loading its state into a fresh instance: the output in {mode} mode"
        same(what, drawn(other, batch, seed=3), drawn(one, batch, seed=3), _ROUNDING)
    for made in (one, other):
        with seeded(6):
            take_steps(made, [batch])
    same("a step after loading its state into a fresh instance: the state", _state(other), _state(one), _ROUNDING)


def kept_inputs(case: Case) -> None:
    """Check that the part leaves what it is given as it was."""
    made = assemble(case)
    batch = made.batch()
    inputs = made.inputs(batch)
    before = {name: value.clone() for name, value in inputs.items()}
    others = {name: value.clone() for name, value in made.model.state_dict().items()}
    with torch.no_grad():
        buffers = _buffers(made)
        made.run(inputs, batch)
        if isinstance(made.part, BatchLoss):
            same("forward changes its own state, which only after_step may move", _buffers(made), buffers)
            made.part.after_step(made.whole(inputs, batch), made.model)
    same("it changes what it is given", inputs, before)
    if isinstance(made.part, (BatchLoss, ItemLoss)):
        same("it changes the model", dict(made.model.state_dict()), others)
    if isinstance(made.part, ItemLoss):
        _shared(made, made.part, batch)


def _buffers(made: Assembly) -> Tensors:
    """Return the buffers that only an optimizer step may move: all but BatchNorm's statistics."""
    return {
        f"{path}.{name}".lstrip("."): value.clone()
        for path, module in made.part.named_modules()
        if not isinstance(module, nn.modules.batchnorm._BatchNorm)
        for name, value in module.named_buffers(recurse=False)
    }


def _shared(made: Assembly, part: ItemLoss, batch: Batch) -> None:
    """Check what an item loss gets from passes, which other losses read too."""
    outputs = made.model_outputs(batch, grad=False)
    kept: Tensors = {}
    for view in part.image_views:
        kept |= encoded(f"image {view} ", outputs.image(view))
    for view in part.text_views:
        kept |= encoded(f"text {view} ", outputs.text(view))
    before = {name: value.clone() for name, value in kept.items()}
    with torch.no_grad():
        part(outputs)
    same("it changes what other losses read too", kept, before)


def reached(case: Case) -> None:
    """Check that every trainable parameter has an effect on some output."""
    made = assemble(case)
    batch = made.batch()
    outputs = made.outputs(batch)
    if isinstance(made.part, ImageEncoder):
        outputs |= _hidden(made.part, made.inputs(batch)["pixels"], outputs)
    wanted = {name: p for name, p in made.part.named_parameters() if p.requires_grad}
    terms = [value.float().sum() for value in outputs.values() if value.requires_grad]
    if not wanted:
        return
    if not terms:
        raise BrokenError(f"it has trainable parameters, but no output has a gradient: {', '.join(wanted)}")
    scalar = torch.stack(terms).sum()
    gradients = torch.autograd.grad(scalar, list(wanted.values()), allow_unused=True)
    found = cast("tuple[Tensor | None, ...]", gradients)
    missed = [name for name, gradient in zip(wanted, found, strict=True) if gradient is None]
    if missed:
        raise BrokenError(
            f"no output has a gradient by these trainable parameters: {', '.join(missed)}; "
            "remove them, or say that they are not trained with requires_grad_(False)"
        )


def _hidden(part: ImageEncoder, pixels: Tensor, outputs: Tensors) -> Tensors:
    """Return what a tower that reads hidden patches makes of them; nothing where it does not."""
    count = outputs["tokens"].shape[1] if "tokens" in outputs else 16
    for patches in (count, count - 1):  # a class token may be among the tokens
        hidden = torch.arange(patches).expand(len(pixels), patches) % 2 == 0
        with contextlib.suppress(MmxError, NotImplementedError, RuntimeError, ValueError, IndexError):
            return encoded("hidden.", part(Pixels(pixels, hidden)))
    return {}


def meta(case: Case) -> None:
    """Check that shapes come out without memory, as ``mmx recipe check --deep`` computes them."""
    real = assemble(case, stirred=False)
    batch = real.batch()
    expected = {name: shape(value) for name, value in real.outputs(batch).items()}
    where = torch.device("meta")
    try:
        with where:
            outputs = assemble(case, stirred=False).outputs(batch.to(where))
    except MmxError:
        raise
    except Exception as error:
        raise BrokenError(
            f'on the device "meta", where `mmx recipe check --deep` runs it, it fails: {type(error).__name__}: {error}'
        ) from error
    placed = [name for name, value in outputs.items() if not value.is_meta]
    if placed:
        raise BrokenError(f'on the device "meta" these outputs are on another device: {", ".join(placed)}')
    for name, value in outputs.items():
        if shape(value) != expected.get(name):
            raise BrokenError(f"on the device \"meta\" '{name}' is {shape(value)}, elsewhere {expected.get(name)}")


MODULE_CHECKS: Final = (
    Check(
        DETERMINISM,
        "weights and outputs are functions of the seed; it draws from no global generator but for dropout",
        MODEL_KINDS,
        determinism,
    ),
    Check(
        "state", "the state dict holds all its state, and loads into a fresh instance", MODEL_KINDS, state, DETERMINISM
    ),
    Check("inputs", "it leaves what it is given as it was", MODEL_KINDS, kept_inputs),
    Check("reached", "every trainable parameter has an effect", MODEL_KINDS, reached),
    Check("meta", "it runs without memory, as `mmx recipe check --deep` does", MODEL_KINDS, meta),
)
