"""Options of the embedded dataset."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mmx.config import DatasetConfig

Style = Literal["noto", "twemoji", "openmoji", "fluent"]


class EmojiConfig(DatasetConfig):
    """The embedded drawings. Pictures are 48 px; captions are a concept's name, and its tags if asked for."""

    embedded: ClassVar[bool] = True

    split: Literal["train", "test"] = "train"
    """"train" has no drawing of a held-out concept; "test" has every drawing of its styles."""
    styles: Annotated[tuple[Style, ...], Field(min_length=1, strict=False)] = ("noto", "twemoji", "openmoji")
    """The artists whose drawings are used."""
    captions: Literal["name", "name_and_tags"] = "name"
    """A sample's captions: its name, or its name and each of its tags."""
    holdout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the concepts that no training drawing shows, in any style."""
    holdout_seed: int = 0
    """Which concepts those are; not the recipe's seed, so that runs of other seeds hold out the same."""
