"""Which layouts are compared: those of an engine, and accumulation on one process. Never imports torch."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, cast

from pydantic import ValidationError

from mmx.config import EngineConfig, Layout
from mmx.errors import MissingPackageError, PluginError, RecipeError
from mmx.plugin.kinds import Entry
from mmx.plugin.registry import Registries
from mmx.recipe.schema import Recipe

Precision = Literal["fp32", "bf16"]

ACCUMULATE: Final = "accumulate4"
LOCAL: Final = "local"
"""The engine of one process."""
_ALONE: Final = Layout({"device": "cpu", "precision": "fp32"}, 1, 4)


@dataclass(frozen=True)
class Trial:
    """One layout that is compared with one process."""

    name: str
    engine: EngineConfig
    """With the layout's options."""
    processes: int
    micro_batches: int
    precision: Precision = "fp32"
    options: Mapping[str, str | int] = field(default_factory=dict[str, str | int])
    """Those that the layout names."""


def trials(recipe: Recipe, registries: Registries) -> list[Trial]:
    """Return the layouts there are, those in fp32 first.

    They are of the recipe's engine or, where it has none, of the first installed engine that has some.

    Raises:
        PluginError: an engine's layout has options that it does not take.
    """
    engines = registries["engine"]
    found = [_trial(ACCUMULATE, _ALONE, engines[LOCAL])]
    source = _source(recipe, registries)
    if source is not None:
        found += [_trial(name, layout, source) for name, layout in _layouts(source).items() if name != ACCUMULATE]
    return sorted(found, key=lambda trial: trial.precision != "fp32")


def chosen(known: Sequence[Trial], names: Sequence[str]) -> list[Trial]:
    """Return the layouts that are asked for, all if none are named.

    Raises:
        RecipeError: there is no layout of such a name.
    """
    for name in names:
        if name not in (trial.name for trial in known):
            raise RecipeError(_unknown(name, [trial.name for trial in known]))
    return [trial for trial in known if trial.name in names or not names]


def refuse_missing(wanted: Sequence[Trial]) -> None:
    """Check that the engines of the layouts are installed.

    Raises:
        MissingPackageError: one is not; the message has the command that installs it.
    """
    for trial in wanted:
        missing = trial.engine.missing()
        if missing:
            raise MissingPackageError(
                f"the layout {trial.name} is of the engine '{trial.engine.name}': {missing}\n"
                f"what needs nothing more: --layouts {ACCUMULATE}"
            )


def placed(recipe: Recipe, engine: EngineConfig, micro_batches: int = 1) -> Recipe:
    """Return a recipe with another engine."""
    train = recipe.train.model_copy(update={"micro_batches": micro_batches})
    return recipe.model_copy(update={"parallel": engine, "train": train})


def alone(registries: Registries, precision: Precision) -> EngineConfig:
    """Return the engine that the layouts are compared with: one process, plain torch, on the CPU."""
    return _trial(
        "one process", Layout({**_ALONE.options, "precision": precision}, 1), registries["engine"][LOCAL]
    ).engine


def _source(recipe: Recipe, registries: Registries) -> Entry | None:
    return next((entry for entry in _engines(recipe, registries) if _layouts(entry)), None)


def _engines(recipe: Recipe, registries: Registries) -> Iterator[Entry]:
    """Yield the engines there are, the recipe's own first; what imports the others' plugins comes last."""
    own = recipe.parallel.name
    yield registries["engine"][own]
    yield from (entry for entry in registries["engine"] if entry.name != own)


def _layouts(entry: Entry) -> Mapping[str, Layout]:
    return cast(type[EngineConfig], entry.config).layouts()


def _trial(name: str, layout: Layout, entry: Entry) -> Trial:
    try:
        # By way of JSON, as a recipe's table is read.
        read = entry.config.model_validate_json(json.dumps({"name": entry.name, **layout.options}))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise PluginError(f"{entry.describe()}: its layout '{name}' does not hold: {key}: {first['msg']}") from error
    precision = "bf16" if layout.options.get("precision") == "bf16" else "fp32"
    return Trial(name, cast(EngineConfig, read), layout.processes, layout.micro_batches, precision, layout.options)


def _unknown(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    return f"--layouts: no layout '{name}'{hint} (known: {', '.join(known)})\nhelp: mmx verify RECIPE --list"
