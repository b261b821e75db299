"""Recipes: read with :func:`load`, which needs no torch."""

from mmx.recipe.load import load as load
from mmx.recipe.schema import Recipe as Recipe
