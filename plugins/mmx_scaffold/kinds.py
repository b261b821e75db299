"""The kinds of part that a plugin can be started with."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mmx.errors import RecipeError
from mmx.plugin import kinds as core
from mmx.recipe.describe import a


@dataclass(frozen=True)
class Kind:
    """A kind, and what its template is."""

    kind: str
    """As in :data:`mmx.plugin.kinds.KINDS`; also the template's folder."""
    file: str
    """The module of the part."""
    summary: str
    """One line: what the template's part does."""


KINDS: Final[Mapping[str, Kind]] = {
    kind.kind: kind
    for kind in (
        Kind("image_encoder", "encoder", "a small convolutional tower of ConvNeXt blocks"),
        Kind("text_encoder", "encoder", "a bag of words: the mean of tokens that pass an MLP"),
        Kind("fusion", "fusion", "two linear maps into one space, and a learned temperature"),
        Kind("loss", "loss", "sigmoid loss of every picture with every text of the global batch"),
        Kind("dataset", "dataset", "a folder of pictures with captions in text files beside them"),
        Kind("evaluator", "evaluator", "image-text retrieval: recall at k in both directions"),
        Kind("image_transform", "transform", "cutout: a square at a random place is painted over"),
        Kind("text_transform", "transform", "random deletion: words of a caption are left out by chance"),
        Kind("tokenizer", "tokenizer", "the UTF-8 bytes of a text, 259 ids"),
        Kind("optimizer", "optimizer", "AdaGrad: each element's rate falls with the gradients it has seen"),
        Kind("schedule", "schedule", "a rate that falls with a power of the steps"),
        Kind("filter", "filter", "of samples with the same caption, only the first few stay"),
        Kind("tracker", "tracker", "a CSV table of steps in the run folder"),
        Kind("weights", "format", "model folders: tables in a JSON file beside tensors with names of their own"),
    )
}
SHORT: Final[Mapping[str, str]] = {"encoder": "image_encoder", "transform": "image_transform"}
"""What the first of two kinds is also called."""


def kind_of(name: str) -> Kind:
    """Return a kind by its name or its short name.

    Raises:
        RecipeError: there is none; the message has all names.
    """
    known = [*KINDS, *SHORT]
    if name in known:
        return KINDS[SHORT.get(name, name)]
    if name in core.KINDS:
        raise RecipeError(
            f"{a(name)} has no template; {core.KINDS[name].contract.partition(':')[0]} says what it must be"
        )
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    raise RecipeError(f"no plugin can be started with a '{name}'{hint}\nkinds: {', '.join(KINDS)}")
