"""Numbers of samples from the index, without reading a shard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mmx.errors import RecipeError
from mmx.parts.dataset import MEASURES
from mmx_shards.format.roles import IMAGE, LARGEST
from mmx_shards.format.rows import Facts, Rows


def columns(
    names: Sequence[str], rows: Rows, facts: Facts, spans: Sequence[slice]
) -> Mapping[str, NDArray[np.float64]]:
    """Return numbers by name; NaN where a sample has none, or cannot be used at all.

    Args:
        names: of ``MEASURES``, or of numbers in the samples' JSON.
        rows: of the index.
        facts: of the same.
        spans: the rows of each shard of the dataset.

    Raises:
        RecipeError: the index has no such numbers.
    """
    unknown = [name for name in names if name not in (*MEASURES, *facts.numbers)]
    if unknown:
        numbers = ", ".join(facts.numbers) or "none"
        raise RecipeError(f"no sample has the number '{unknown[0]}' (numbers there are: {numbers})")
    found = {name: np.full(sum(span.stop - span.start for span in spans), np.nan) for name in names}
    start = 0
    for span in spans:
        here = slice(start, start + span.stop - span.start)
        images = rows.places[span, 2 * IMAGE : 2 * IMAGE + 2]
        usable = (images[:, 0] >= 0) & (images[:, 1] <= LARGEST[IMAGE]) & (facts.characters[span] >= 0)
        for name in names:
            found[name][here] = np.where(usable, _column(name, facts, span), np.nan)
        start = here.stop
    return found


def _column(name: str, facts: Facts, span: slice) -> NDArray[np.float64]:
    if name == "characters":
        return facts.characters[span].astype(np.float64)
    if name not in MEASURES:
        return facts.numbers[name][span]
    sides = facts.sides[span, MEASURES.index(name)].astype(np.float64)
    # A picture whose header cannot be read has no sides, but a field of that name may stand in the JSON beside it.
    return np.where(sides > 0, sides, facts.numbers[name][span] if name in facts.numbers else np.nan)
