"""A recipe as TOML text."""

from __future__ import annotations

import tomli_w

from mmx.recipe.schema import Recipe


def to_toml(recipe: Recipe) -> str:
    """Return the recipe with every value filled in; it loads back as an equal one."""
    return tomli_w.dumps(recipe.resolved())
