"""From samples to pieces of pixels and captions; this runs in data workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, final

import torch
from PIL import Image
from typing_extensions import override

from mmx.data.heartbeat import NOTHING, beat
from mmx.data.order import Asked, Ticket
from mmx.data.pixels import preprocess, square
from mmx.data.stages import stage, taken
from mmx.data.views import ImageView, Reader, Row, Skipped
from mmx.parts.batch import Pixels
from mmx.parts.dataset import Dataset, Fact
from mmx.parts.transform import ImageTransform, PixelRow, Preprocess

_VIEW: Final = "image"


@final
@dataclass(frozen=True)
class Samples:
    """Some samples of a dataset, in its order: pixels on the model's device, captions and facts as they were read."""

    indices: Sequence[int]
    """Where they are in the dataset."""
    keys: Sequence[str]
    captions: Sequence[Sequence[str]]
    """All captions of each."""
    facts: Sequence[Mapping[str, Fact]]
    """Numbers of each, such as ``label``."""
    pixels: Pixels | None
    """As the model wants them; None where they were not asked for, or no sample is good."""
    bad: Sequence[Skipped] = ()
    """Those of this piece that cannot be used."""

    def to(self, device: torch.device) -> Samples:
        """Return them with pixels on a device."""
        return self if self.pixels is None else replace(self, pixels=self.pixels.to(device))

    def pin_memory(self) -> Samples:
        """Pin the pixels (the data loader calls this where there is a GPU)."""
        return self if self.pixels is None else replace(self, pixels=self.pixels.pin())


@final
class Preprocessed(ImageTransform):
    """A picture as the model wants it, as inference does it."""

    def __init__(self, how: Preprocess) -> None:
        self.how = how

    @override
    def __call__(self, source: Image.Image | PixelRow, draw: torch.Generator) -> PixelRow:
        if isinstance(source, PixelRow):
            return PixelRow(square(source.pixels, self.how))
        return PixelRow(preprocess(source, self.how))


@final
class SampleReader:
    """Reads samples for an evaluation; picklable.

    Args:
        dataset: what is read.
        how: what becomes of pictures; None leaves them out.
        captions: whether a sample needs a caption.
    """

    def __init__(self, dataset: Dataset, how: Preprocess | None, captions: bool = False) -> None:
        self.dataset = dataset
        self.images = how is not None
        self.captions = captions
        self._reader = Reader(dataset, {} if how is None else {_VIEW: ImageView(Preprocessed(how), None)}, {}, seed=0)

    def step(self, asked: Asked) -> Samples:
        """Read some samples; those that cannot be used come back by name, with the reason."""
        with stage("read"):
            self.dataset.ahead([*(ticket.index for ticket in asked.tickets), *asked.ahead])
        read = [(ticket.index, self._read(ticket)) for ticket in asked.tickets]
        beat(NOTHING)
        good = [(index, row) for index, row in read if isinstance(row, Row)]
        pixels = torch.stack([row.images[_VIEW].pixels for _, row in good]) if good and self.images else None
        taken()  # nobody asks what it was spent on; a later step must not count it
        return Samples(
            indices=[index for index, _ in good],
            keys=[row.key for _, row in good],
            captions=[row.captions for _, row in good],
            facts=[row.facts for _, row in good],
            pixels=None if pixels is None else Pixels(pixels),
            bad=[row for _, row in read if isinstance(row, Skipped)],
        )

    def _read(self, ticket: Ticket) -> Row | Skipped:
        row = self._reader[ticket]
        if self.captions and isinstance(row, Row) and not any(map(str.strip, row.captions)):
            return Skipped(row.key, "has no caption")
        return row
