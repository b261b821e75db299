"""How long captions are for a tokenizer, and how many of them it cuts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from mmx.errors import RecipeError
from mmx.parts.tokenizer import Tokenizer
from mmx.plugin.registry import Registries

_LONG: Final = 1_000_000
"""Tokens that a caption is given room for."""


@dataclass(frozen=True)
class Ruler:
    """A tokenizer with room for any caption, and the context that it has by default."""

    name: str
    context: int
    tokenizer: Tokenizer
    exact: bool
    """Whether it could be given room; else lengths are those of captions that are cut already."""

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of captions, start and end included."""
        return [len(self.tokenizer.encode(text)) for text in texts]

    def cut(self, lengths: Sequence[int]) -> int:
        """Return how many captions of such lengths are cut; where that cannot be told, how many fill the context."""
        return sum(length > self.context - (not self.exact) for length in lengths)


def ruler(name: str, registries: Registries) -> Ruler:
    """Build a tokenizer of the registry by its name, with its default options.

    Raises:
        RecipeError: there is none of this name, or it needs options.
    """
    refusal = registries["tokenizer"].refusal(name)
    if refusal:
        raise RecipeError(f"--tokenizer {name}: {refusal.text}")
    kind = registries["tokenizer"][name].config
    try:
        config = kind(name=name)
    except ValueError as error:
        raise RecipeError(f"--tokenizer {name}: it cannot be built without options: {error}") from None
    tokenizer = cast(Tokenizer, registries.build("tokenizer", config))
    if "context" not in kind.model_fields:
        return Ruler(name, tokenizer.context, tokenizer, exact=False)
    long = registries.build("tokenizer", config.model_copy(update={"context": _LONG}))
    return Ruler(name, tokenizer.context, cast(Tokenizer, long), exact=True)
