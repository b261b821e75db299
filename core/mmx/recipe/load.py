"""Reading a recipe: file, ``extends``, overrides, defaults, and all its problems at once. Never imports torch."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

from pydantic import ValidationError

from mmx.errors import DataError, MmxError, PluginError, RecipeError
from mmx.plugin.registry import Registries
from mmx.recipe.bundled import find_recipe
from mmx.recipe.cross import findings
from mmx.recipe.document import Document, read_document
from mmx.recipe.overrides import override
from mmx.recipe.problems import Problem, explain, problem, report, topic
from mmx.recipe.schema import Recipe
from mmx.recipe.source import KeyPath, at, dotted

USUAL: Final = ("terminal", "report")
"""Trackers that every run has where they are installed; ``trackers.report.enabled = false`` turns one off."""


def load(
    path: Path | str | None,
    overrides: Sequence[str],
    unset: Sequence[str],
    registries: Registries,
) -> Recipe:
    """Read and check a recipe.

    Args:
        path: its file, or the name of a bundled one; None starts from nothing but the overrides.
        overrides: ``KEY=VALUE`` each.
        unset: keys to leave out.
        registries: the parts there are.

    Raises:
        RecipeError: something is wrong with it; the message has all problems.
        PluginError: all that is wrong is that plugins cannot be used.
    """
    document = read(path, overrides, unset)
    found = examine(document, registries)
    if isinstance(found, Recipe):
        return found
    raise failure(found, document.label)


def failure(problems: Sequence[Problem], label: str, advice: str = "") -> MmxError:
    """Return the error to raise for problems: plugins or the data are to blame if each of them is about those.

    Args:
        problems: what is wrong, at least one.
        label: what the recipe is called.
        advice: more to say below them.
    """
    error = RecipeError
    if all(item.plugin for item in problems):
        error = PluginError
    elif all(item.data for item in problems):
        error = DataError
    text = report(problems, label)
    return error(f"{text}\n\n{advice}" if advice else text)


def read(path: Path | str | None, overrides: Sequence[str] = (), unset: Sequence[str] = ()) -> Document:
    """Read a recipe as written, before it is checked.

    Raises:
        RecipeError: a file cannot be read or parsed, or an override is malformed.
    """
    document = Document() if path is None else read_document(find_recipe(path).path)
    return override(document, overrides, unset)


def examine(document: Document, registries: Registries) -> Recipe | list[Problem]:
    """Check a document: the recipe, or everything that is wrong with it."""
    complete = _complete(document, registries)
    try:
        text = json.dumps(complete.values)
        recipe = Recipe.model_validate_json(text, context=registries)
    except ValidationError as error:
        return explain(error, complete, registries)
    problems = [
        problem(complete, path, text, table=topic(path, complete.values, registries) if path[0] == "parallel" else "")
        for path, text in findings(recipe)
    ]
    if problems:
        return problems
    recipe.sources.update(_sources(recipe.resolved(), document))
    return recipe


def _complete(document: Document, registries: Registries) -> Document:
    """Fill in the defaults that depend on what else is there."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(document.label).stem).strip("-._")[:100]
    values = {"name": stem or "recipe", "parallel": {}, **document.values}
    if isinstance(values["parallel"], dict):
        values["parallel"] = {"engine": "local", **cast(dict[str, Any], values["parallel"])}
    trackers = values.get("trackers", {})
    if isinstance(trackers, dict):
        values["trackers"] = {**_usual(cast(dict[str, Any], trackers), registries), **cast(dict[str, Any], trackers)}
    checkpoint = values.get("checkpoint", {})
    if isinstance(checkpoint, dict) and not values.get("evaluators"):
        values["checkpoint"] = {"keep_best": False, **cast(dict[str, Any], checkpoint)}
    return Document(values, document.origins, document.label)


def _usual(given: Mapping[str, Any], registries: Registries) -> dict[str, Any]:
    """Return the trackers that every run has and that the recipe does not name itself."""
    named = {table.get("name") for table in given.values() if isinstance(table, dict)}
    return {name: {} for name in USUAL if name in registries["tracker"].names() and name not in named}


def _sources(resolved: Mapping[str, Any], document: Document) -> dict[str, str]:
    return {dotted(path): _written(path, document) or "default" for path in _leaves(resolved, ())}


def _written(path: KeyPath, document: Document) -> str:
    """Return the origin of a value, or that of the list or table it was set with; empty if it was not written."""
    if at(document.values, path) is None:
        return ""
    return str(document.origin(path))


def _leaves(value: object, path: KeyPath) -> Iterator[KeyPath]:
    """Yield the paths of values; a list is one value unless it holds tables."""
    if isinstance(value, Mapping):
        for key, item in cast(Mapping[str, object], value).items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in cast(list[object], value)):
        for index, item in enumerate(cast(list[object], value)):
            yield from _leaves(item, (*path, index))
    else:
        yield path
