"""What a deep check finds, with the line of the recipe that each finding is about."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeVar, final

from mmx.errors import DataError, MmxError, PluginError
from mmx.recipe.document import Document
from mmx.recipe.problems import Problem, problem
from mmx.recipe.schema import Recipe
from mmx.recipe.source import KeyPath

T = TypeVar("T")
KEY: Final = re.compile(r"([a-z_]+(?:\.[A-Za-z0-9_-]+)+)[ :]")
"""A key that a message starts with."""


def located(error: MmxError, recipe: Recipe) -> MmxError:
    """Return an error about a key with the line that the key was written in, or as it is where there is none."""
    named = KEY.match(str(error))
    where = recipe.sources.get(named[1], "default") if named else "default"
    return error if where == "default" else type(error)(f"{where}: {error}")


@final
class Findings:
    """Collects the errors of pieces that do not need each other."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []

    def attempt(self, path: KeyPath, make: Callable[[], T]) -> T | None:
        """Return what a piece of the check makes; None if it fails, which is noted.

        Args:
            path: the key that an error is about if its message does not start with one.
            make: what may fail.
        """
        try:
            return make()
        except MmxError as error:
            self.note(path, str(error), plugin=isinstance(error, PluginError), data=isinstance(error, DataError))
            return None

    def note(self, path: KeyPath, text: str, *, plugin: bool = False, data: bool = False) -> None:
        """Note that something is wrong at a key."""
        named = KEY.match(text)
        if named is not None and named[1].partition(".")[0] in Recipe.model_fields:
            path = tuple(named[1].split("."))
            text = text.removeprefix(f"{named[1]}: ")
        self.problems.append(problem(self.document, path, text, plugin=plugin, data=data))
