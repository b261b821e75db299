"""Checks of fields against each other, made once each field is valid by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias, cast

from mmx.config import PartConfig, TransformConfig
from mmx.recipe.feeds import feed_findings
from mmx.recipe.schema import Recipe
from mmx.recipe.source import KeyPath

Finding: TypeAlias = tuple[KeyPath, str]
"""A key, and what is wrong with it."""


def findings(recipe: Recipe) -> Iterator[Finding]:
    """Yield everything that does not fit together."""
    yield from _length(recipe)
    yield from _optim(recipe)
    yield from _batch(recipe)
    yield from _mix(recipe)
    yield from _parallel(recipe)
    yield from _evaluation(recipe)
    yield from _views("images", recipe.data.images)
    yield from _views("texts", recipe.data.texts)
    yield from feed_findings(recipe)


def _length(recipe: Recipe) -> Iterator[Finding]:
    train = recipe.train
    if train.steps is None and train.epochs is None:
        yield ("train",), "give its length: steps = 1000, or epochs = 10"
    if train.steps is not None and train.epochs is not None:
        yield ("train", "epochs"), "give either steps or epochs, not both"


def _optim(recipe: Recipe) -> Iterator[Finding]:
    optim, engine = recipe.optim, recipe.parallel
    for key, text in optim.schedule.refusals(optim.lr, recipe.train.steps) if optim.schedule else ():
        yield ("optim", "schedule", key), text
    for option in () if optim.elementwise else engine.cuts():
        yield (
            ("parallel", option),
            f"divides tensors, and the optimizer '{optim.name}' takes each step from the whole of them: leave it out, or "
            'choose another optimizer, such as optim.name = "adamw"',
        )


def _batch(recipe: Recipe) -> Iterator[Finding]:
    pieces = recipe.train.micro_batches
    for key, batch in recipe.data.batches().items():
        if not batch % pieces:
            continue
        fits = [count for count in range(1, min(batch, 65) + 1) if batch % count == 0]
        near = min(fits, key=lambda count: abs(count - pieces))
        yield ("train", "micro_batches"), f"should divide {key} = {batch}, as {near} does, not {pieces}"


def _mix(recipe: Recipe) -> Iterator[Finding]:
    data = recipe.data
    if data.train is not None and data.sources:
        yield (
            ("data", "train"),
            "give either train or sources, not both; --unset data.train or --unset data.sources takes one out",
        )
    if data.mix is None:
        return
    if (data.mix.weights is None) == (data.mix.repeat is None):
        yield ("data", "mix"), "give one of weights (shares of what is read) and repeat (passes in an epoch)"
        return
    how, amounts = ("repeat", data.mix.repeat) if data.mix.weights is None else ("weights", data.mix.weights)
    known = ", ".join(data.sources) or "none"
    for name in amounts or {}:
        if name not in data.sources:
            yield ("data", "mix", how, name), f"there is no [data.sources.{name}] (sources: {known})"
    for name in data.sources if how == "weights" else ():
        if name not in (amounts or {}):
            yield ("data", "mix", how), f"has no weight for the source '{name}'; give each source one"


def _parallel(recipe: Recipe) -> Iterator[Finding]:
    for where, batch in recipe.data.batches().items():
        for key, text in recipe.parallel.refusals(batch, recipe.train.micro_batches):
            yield ("parallel", key), text.replace("data.batch", where)


def _evaluation(recipe: Recipe) -> Iterator[Finding]:
    if recipe.checkpoint.keep_best and not recipe.evaluators:
        yield ("checkpoint", "keep_best"), "needs an evaluator to tell which checkpoint is best; add [evaluators.NAME]"


def _views(table: str, views: Mapping[str, PartConfig]) -> Iterator[Finding]:
    source = {name: cast(TransformConfig, view).of for name, view in views.items()}
    for name, of in source.items():
        path: KeyPath = ("data", table, name, "of")
        if of is not None and of not in source:
            yield path, f"there is no view '{of}' in [data.{table}] (views: {', '.join(source)})"
        elif _circle(name, source):
            yield path, f"the view is made from itself: {' of '.join(_circle(name, source))}"


def _circle(name: str, source: Mapping[str, str | None]) -> list[str]:
    """Return the way from a view back to itself, empty if there is none."""
    way, at = [name], source.get(name)
    while at is not None and at not in way:
        way.append(at)
        at = source.get(at)
    return [*way, name] if at == name else []
