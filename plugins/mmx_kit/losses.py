"""Checks of losses alone: what they declare, and what both kinds promise."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, TypeVar, cast, final

import torch
from torch import Tensor, nn
from typing_extensions import override

from mmx.learn.global_batch import Feature
from mmx.parts.batch import Batch
from mmx.parts.loss import BatchLoss, ItemLoss, Loss
from mmx_kit.assembly import Assembly, Tensors, assemble, named
from mmx_kit.case import Case
from mmx_kit.check import DETERMINISM, BrokenError, Check, NotApplicableError
from mmx_kit.compare import finite, same, shape
from mmx_kit.partners import ROWS
from mmx_kit.steps import random

KINDS: Final = ("loss",)
_ROUNDING: Final = 1e-5
_FACTOR: Final = 3.0
T = TypeVar("T")


def shapes(case: Case) -> None:
    """Check what it returns: one number (BatchLoss), or a sum for each row and a count of items (ItemLoss)."""
    made = assemble(case, stirred=False)
    if not isinstance(made.part, (BatchLoss, ItemLoss)):
        raise BrokenError(f"{type(made.part).__name__} is neither a BatchLoss nor an ItemLoss; derive from one of them")
    for dtype in (torch.float32, torch.float64):
        made.objective.to(dtype)
        found = made.outputs(made.batch())
        if isinstance(made.part, BatchLoss):
            _expect(found, "loss", dtype, ())
        else:
            _expect(found, "sums", dtype, (ROWS,))
            _count(found["count"])
        finite("its output", found)


def _expect(found: Tensors, name: str, dtype: torch.dtype, size: tuple[int, ...]) -> None:
    expected = shape(torch.empty(size, dtype=dtype, device="meta"))
    if shape(found[name]) != expected:
        raise BrokenError(f"'{name}' is {shape(found[name])}; expected {expected}")


def _count(found: object) -> None:
    if not isinstance(found, Tensor) or found.shape != () or found.is_floating_point() or found.dtype == torch.bool:
        raise BrokenError(f"count() gives {shape(found)}; expected one integer, the number of items in the batch")


@final
class Noting(dict[str, T]):
    """Views or facts that note which of them are read."""

    def __init__(self, kept: Mapping[str, T]) -> None:
        super().__init__(kept)
        self.read: set[str] = set()

    @override
    def __getitem__(self, name: str) -> T:
        self.read.add(name)
        return super().__getitem__(name)


def declared(case: Case) -> None:
    """Check that the views, pulls and teachers that it declares are those it reads."""
    made = assemble(case)
    part = cast(Loss, made.part)
    for name in ("image_views", "text_views", "facts", "teachers"):
        found = getattr(part, name)
        if not isinstance(found, tuple) or not all(isinstance(item, str) for item in found):
            raise BrokenError(f"{name} is {found!r}; expected a tuple of names")
    if isinstance(part, BatchLoss):
        _features_of(made, part)
    else:
        _views(made, cast(ItemLoss, part))


def _features_of(made: Assembly, part: BatchLoss) -> None:
    views = {"image": set(part.image_views), "text": set(part.text_views)}
    for pull in part.features():
        side = pull.kind.partition(".")[0]
        if side in views and pull.view not in views[side]:
            raise BrokenError(f"it pulls '{named(pull)}', but {side}_views do not name the view '{pull.view}'")
        if pull.by not in ("student", *part.teachers):
            raise BrokenError(f"it pulls '{named(pull)}', but `teachers` does not name '{pull.by}'")
    unread = set(part.features()) - _read_pulls(made, part)
    if unread:
        raise BrokenError(f"it pulls what it never reads: {', '.join(sorted(map(named, unread)))}; a tower runs for it")


def _read_pulls(made: Assembly, part: BatchLoss) -> set[Feature]:
    """Return what it reads in a step; run without the pull, it must say so."""
    batch = made.batch()
    inputs = made.inputs(batch)
    whole = made.whole(inputs, batch)
    whole._features = features = _NotingPulls(whole._features)
    try:
        made.compared(whole)
        with torch.no_grad():
            part.after_step(whole, made.model)
    except KeyError as error:
        raise BrokenError(f"it reads {error.args[0]!r}, which pulls() do not name") from error
    return features.read


@final
class _NotingPulls(dict[Feature, Tensor]):
    def __init__(self, kept: Mapping[Feature, Tensor]) -> None:
        super().__init__(kept)
        self.read: set[Feature] = set()

    @override
    def __getitem__(self, pull: Feature) -> Tensor:
        self.read.add(pull)
        return super().__getitem__(pull)


def _views(made: Assembly, part: ItemLoss) -> None:
    batch = made.batch()
    images, texts, facts = Noting(batch.images), Noting(batch.texts), Noting(batch.facts)
    noted = replace(batch, images=images, texts=texts, facts=facts)
    images.read.clear()  # a type checker may have looked into them
    texts.read.clear()
    facts.read.clear()
    try:
        part(made.model_outputs(noted))
        part.count(noted)
    except KeyError as error:
        raise BrokenError(f"it reads {error}, which image_views, text_views and facts do not name") from error
    told = (
        ("image_views", part.image_views, images),
        ("text_views", part.text_views, texts),
        ("facts", part.facts, facts),
    )
    for name, declares, read in told:
        unread = sorted(set(declares) - read.read)
        if unread:
            raise BrokenError(f"{name} name what it never reads: {', '.join(unread)}; data is prepared for it")


def no_towers(case: Case) -> None:
    """Check that a batch loss runs no tower: it is called with the features of all micro-batches."""
    made = assemble(case)
    if not isinstance(made.part, BatchLoss):
        raise NotApplicableError("an item loss runs towers, through the passes of each micro-batch")
    batch = made.batch()
    inputs = made.inputs(batch)
    ran: list[str] = []
    for name, tower in (("image encoder", made.model.image_encoder), ("text encoder", made.model.text_encoder)):
        _watch(tower, name, ran)
    whole = made.whole(inputs, batch)
    made.compared(whole)
    with torch.no_grad():
        made.part.after_step(whole, made.model)
    if ran:
        raise BrokenError(f"it runs the {ran[0]}; a batch loss reads what it pulls, and runs no tower")


def _watch(tower: nn.Module, name: str, ran: list[str]) -> None:
    def note(module: nn.Module, inputs: object) -> None:
        ran.append(name)

    tower.register_forward_pre_hook(note)


def weight(case: Case) -> None:
    """Check that the loss leaves its weight to the objective, which multiplies by it."""
    once, thrice = ({"weight": factor} for factor in (1.0, _FACTOR))
    one, other = (assemble(replace(case, config=case.changed(option))) for option in (once, thrice))
    one.objective.train(not random(one))
    other.objective.train(one.objective.training)
    batch = one.batch()
    what = f"with weight = {_FACTOR:g} instead of 1: its own output (the objective applies the weight)"
    same(what, other.outputs(batch), one.outputs(batch))


def items(case: Case) -> None:
    """Check an item loss's sums and count: of each row alone, known from the data, nothing where there is no item."""
    made = assemble(case)
    part = made.part
    if not isinstance(part, ItemLoss):
        raise NotApplicableError("a batch loss returns the loss itself, and counts no items")
    made.objective.eval()
    batch = made.batch()
    sums, count = _sums(made, part, batch)
    pieces = [_sums(made, part, piece) for piece in batch.chunk(3)]
    total = sum(int(each) for _, each in pieces)
    if total != int(count):
        raise BrokenError(f"count() is {int(count)} for the batch, but {total} in all for its three pieces")
    same("of three pieces of the batch:", {"sums": torch.cat([s for s, _ in pieces])}, {"sums": sums}, _ROUNDING)
    rows = [int(part.count(row)) for row in batch.chunk(ROWS)]
    empty = [index for index, found in enumerate(rows) if found == 0 and bool(sums[index] != 0)]
    if empty:
        raise BrokenError(f"row {empty[0]} has no item by count(), but the sum {float(sums[empty[0]]):.4g}")
    _from_data_alone(made, part, batch, int(count))
    _without_items(made, part, batch)


def _sums(made: Assembly, part: ItemLoss, batch: Batch) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        return part(made.model_outputs(batch, grad=False)), part.count(batch)


def _from_data_alone(made: Assembly, part: ItemLoss, batch: Batch, count: int) -> None:
    """Check that other weights and a forward pass before it do not change the count."""
    with torch.no_grad():
        for parameter in [*made.model.parameters(), *part.parameters()]:
            parameter.mul_(-0.5)
    _sums(made, part, batch)
    if int(part.count(batch)) != count:
        raise BrokenError(
            f"count() is {count}, but {int(part.count(batch))} with other weights; expected the data alone"
        )


def _without_items(made: Assembly, part: ItemLoss, batch: Batch) -> None:
    """Check a batch whose labels mark nothing, where the loss counts labels."""
    texts = {
        name: replace(words, labels=None if words.labels is None else torch.full_like(words.labels, -100))
        for name, words in batch.texts.items()
    }
    sums, count = _sums(made, part, replace(batch, texts=texts))
    if int(count) == 0 and not bool((sums == 0).all()):
        raise BrokenError(
            f"where no word is marked count() is 0, but the sums are {sums.tolist()}; expected 0 for each"
        )


LOSS_CHECKS: Final = (
    Check("shapes", "one number, or a sum for each row and a count of items", KINDS, shapes),
    Check("declared", "the views, pulls and teachers that it declares are those it reads", KINDS, declared),
    Check("towers", "a loss over the whole batch runs no tower", KINDS, no_towers),
    Check("weight", "it leaves its weight to the objective", KINDS, weight, DETERMINISM),
    Check("items", "sums and counts of a mean are of each row alone", KINDS, items, DETERMINISM),
)
