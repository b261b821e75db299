"""The checkpoints of a run, as its recipe keeps them."""

from mmx.checkpoint.store import Store
from mmx.recipe.schema import Recipe
from mmx.runs.layout import RunFolder


def store_of(folder: RunFolder, recipe: Recipe) -> Store:
    """Return a run's checkpoints, kept as the recipe says."""
    return folder.store(recipe.checkpoint.keep_last, recipe.checkpoint.keep_best)
