"""Recipes that leave the data to whoever runs them: whether it is there, and the lines that give it."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from mmx.config import DatasetConfig
from mmx.plugin.kinds import Entry
from mmx.plugin.registry import Registries
from mmx.recipe.bundled import bundled
from mmx.recipe.describe import options
from mmx.recipe.schema import Recipe
from mmx.recipe.source import quote

TRY: Final = {"data.batch": 4, "train.steps": 2}
"""What is small enough to be tried on any machine."""
WIDTH: Final = 80
FINDS: Final = "mmx data inspect PATH says which of these reads what you have, and how."


@dataclass(frozen=True)
class Asked:
    """A recipe as it was asked for."""

    recipe: Path
    overrides: Sequence[str] = ()
    unset: Sequence[str] = ()


def absent(recipe: Recipe) -> str:
    """Say which training data is not there; empty if all seems to be there."""
    given = recipe.data.given()
    if not given:
        return "data.train: is not given: this recipe leaves the data to you"
    said = [f"data.{key}: {why}" for key, data in given.items() if (why := data.absent())]
    return "\n".join(said)


def where(asked: Asked, recipe: Recipe) -> str:
    """Return where the training data is named: a line, ``--set``, or the recipe where it is not."""
    named = [
        at for key, at in recipe.sources.items() if key.startswith(("data.train.", "data.sources.")) and at != "default"
    ]
    return named[-1] if named else str(asked.recipe)


def how_to_give(asked: Asked, recipe: Recipe, registries: Registries) -> str:
    """Return the lines that give a recipe data: one's own if it names none, and data that comes with a plugin."""
    own = [entry for entry in registries["dataset"] if not recipe.data.given() and not _config(entry).embedded]
    shipped = [entry for entry in registries["dataset"] if _config(entry).embedded]
    blocks: list[str] = []
    if own:
        tables = [_indented(_table(entry)) for entry in own]
        blocks += [*_where(asked.recipe), "\n\nor\n\n".join(tables), FINDS]
    for entry in shipped:
        blocks += ["\n".join(textwrap.wrap(f'To try it on the dataset "{entry.name}" ({entry.summary}):', WIDTH))]
        blocks += [_indented(_command(asked, recipe, entry))]
    return "\n\n".join(blocks)


def _config(entry: Entry) -> type[DatasetConfig]:
    return cast("type[DatasetConfig]", entry.config)


def _where(path: Path) -> Iterator[str]:
    """Say which file the lines belong in: a new one where the recipe is one of mmx."""
    name = path.stem
    if name in bundled() and (not path.is_file() or path.samefile(bundled()[name])):
        yield "For your own data, make a recipe, such as my.toml, of these lines:"
        yield _indented(f'extends = "{name}"')
    else:
        yield f"For your own data, add these lines to {path}:"


def _table(entry: Entry) -> str:
    rows = [row for row in options(entry.config) if row.needed and row.key != "name"]
    values = [f"{row.key} = {row.example}" if row.example else f"# {row.key} = ...  # {row.type}" for row in rows]
    return "\n".join(["[data.train]", f"name = {quote(entry.name)}", *values])


def _command(asked: Asked, recipe: Recipe, entry: Entry) -> str:
    """Return the command that takes a few steps; what was set by hand stays as it is."""
    kept = [text for text in asked.overrides if not _of_data(text)]
    sets = [*kept, f"data.train.name={entry.name}", *(f"{key}={value}" for key, value in _small(recipe))]
    unset = [text for text in asked.unset if not _of_data(text)]
    words = [f"mmx run {shlex.quote(str(asked.recipe))}"]
    words += [f"--set {shlex.quote(text)}" for text in sets] + [f"--unset {shlex.quote(text)}" for text in unset]
    return _broken(words)


def _of_data(text: str) -> bool:
    key = text.partition("=")[0].strip()
    return any(
        key == table or key.startswith(f"{table}.")
        for table in ("data.train", "data.sources", "data.mix", "data.turns")
    )


def _small(recipe: Recipe) -> Iterator[tuple[str, object]]:
    """Yield what must be changed for a few steps of a few samples, but for what was set by hand."""
    by_hand = {key for key, where in recipe.sources.items() if where == "--set"}
    batch, steps = recipe.data.batch, recipe.train.steps
    if batch > TRY["data.batch"] and "data.batch" not in by_hand:
        batch = TRY["data.batch"]
        yield "data.batch", batch
    if not by_hand & {"train.steps", "train.epochs"}:
        steps = TRY["train.steps"]
        yield "train.steps", steps
    if batch % recipe.train.micro_batches:
        yield "train.micro_batches", 1
    schedule = recipe.optim.schedule
    if steps is not None and schedule is not None and schedule.warmup_steps(steps) > steps:
        yield "optim.schedule.warmup", 0
    if recipe.data.workers and "data.workers" not in by_hand:
        yield "data.workers", 0


def _broken(words: Sequence[str]) -> str:
    """Join words into lines that a shell reads as one."""
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) + 7 > WIDTH:
            lines[-1] += " \\"
            lines.append(f"    {word}")
        else:
            lines[-1] += f" {word}"
    return "\n".join(lines)


def _indented(text: str) -> str:
    return textwrap.indent(text, "    ")
