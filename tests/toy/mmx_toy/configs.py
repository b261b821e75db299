"""Options of the toy parts."""

from __future__ import annotations

from typing import Literal

from typing_extensions import override

from mmx.config import (
    DatasetConfig,
    EncoderConfig,
    EvaluatorConfig,
    LossConfig,
    PartConfig,
    TrackerConfig,
    TransformConfig,
)


class Pictures(DatasetConfig):
    """Generated pictures with two captions each."""

    samples: int = 44
    """How many there are."""
    bad: tuple[int, ...] = ()
    """Indices that cannot be read."""
    wrong: tuple[int, ...] = ()
    """Indices at which the dataset breaks its contract, by an exception of its own."""
    lost: bool = False
    """Whether the dataset as a whole cannot be read."""
    blind: bool = False
    """Whether samples have no picture."""
    seconds: float = 0.0
    """How long it takes to read one."""
    deaf: bool = False
    """Whether reading never comes back, but for a kill."""
    samples_are: Literal["pairs", "images", "texts"] = "pairs"
    """What samples have."""

    @override
    def modalities(self) -> tuple[str, ...]:
        return {"images": ("image",), "texts": ("text",)}.get(self.samples_are, ("image", "text"))


class Tower(EncoderConfig):
    """A tower of three blocks."""

    width: int = 8
    """``w``."""
    dropout: float = 0.1
    """Probability of dropping a value."""
    batch_norm: bool = False
    """Whether the middle block normalises over the batch."""


class Fusion(PartConfig):
    """Two projections."""

    width: int = 6
    """``d``."""
    expects: int | None = None
    """The image width it insists on."""
    wrong: bool = False
    """Whether its image projection has a wrong size, so that a forward pass fails."""


class Loss(LossConfig):
    """A contrastive loss."""

    image: str = "clean"
    """The image view."""
    text: str = "clean"
    """The text view."""
    queue: int = 8
    """Rows of earlier batches that are negatives too."""
    fail: Literal["loss", "gradient", ""] = ""
    """What is not finite."""
    at: int = -1
    """In which step, counted from 0."""


class Single(LossConfig):
    """A loss of one modality."""

    image: str | None = None
    """The image view."""
    text: str | None = None
    """The text view."""


class Letters(PartConfig):
    """A tokenizer of letters."""

    context: int = 12
    """Positions."""


class Shake(TransformConfig):
    """A random transform."""

    strength: float = 0.5
    """0 leaves the sample as it is."""


class Match(EvaluatorConfig):
    """Matches pictures and captions."""

    seconds: float = 0.0
    """How long it takes at least."""
    fail: bool = False
    """Whether it fails."""
    draws: bool = True
    """Whether it draws random numbers, and so disturbs a run that does not restore them."""


class Broken(TrackerConfig):
    """Fails in every hook."""

    closes: bool = False
    """Whether it can at least be closed."""
