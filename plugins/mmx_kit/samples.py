"""A tokenizer and a labelled dataset of the kit's own."""

from collections.abc import Sequence
from typing import Final, final

import numpy as np
import torch
from PIL import Image
from typing_extensions import override

from mmx.config import DatasetConfig, PartConfig
from mmx.parts.batch import Words
from mmx.parts.dataset import BadSampleError, Classes, Dataset, Sample
from mmx.parts.tokenizer import Tokenizer
from mmx_kit.partners import SIZES

_FIRST: Final = ord(" ") - 1
_COLOURS: Final = {"red": (200, 30, 40), "green": (20, 180, 60), "blue": (40, 60, 220)}
_SHAPES: Final = ("square", "bar", "frame", "cross")


@final
class PartnerTokenizer(Tokenizer):
    """One id for each printable ASCII character, 1 to 95; other characters are read as "?"."""

    vocabulary, context = SIZES.vocabulary, SIZES.context
    pad, start, end = SIZES.pad, SIZES.start, SIZES.end

    def __init__(self, config: PartConfig | None = None) -> None:
        self.config = config or PartConfig(name="partner")

    @override
    def encode(self, text: str) -> list[int]:
        ids = [ord(character if " " <= character <= "~" else "?") - _FIRST for character in text]
        return [self.start, *ids[: self.context - 2], self.end]

    @override
    def decode(self, ids: Sequence[int]) -> str:
        return "".join(chr(id + _FIRST) for id in ids if 0 < id <= ord("~") - _FIRST)

    @override
    def __call__(self, texts: Sequence[str]) -> Words:
        rows = [self.encode(text) for text in texts]
        ids = torch.tensor([row + [self.pad] * (self.context - len(row)) for row in rows], dtype=torch.int64)
        lengths = torch.tensor([[len(row)] for row in rows], dtype=torch.int64)
        return Words(ids.view(-1, self.context), torch.arange(self.context) < lengths.view(-1, 1))


@final
class PartnerDataset(Dataset):
    """12 drawings of 4 shapes in 3 colours, each with two captions; ``label`` and ``group`` are the shape."""

    def __init__(self, config: DatasetConfig | None = None) -> None:
        self.config = config or DatasetConfig(name="partner")

    @override
    def __len__(self) -> int:
        return len(_COLOURS) * len(_SHAPES)

    @override
    def key(self, index: int) -> str:
        colour, shape = self._at(index)
        return f"{colour}-{shape}"

    @override
    def read(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise BadSampleError(f"there is no sample {index}: there are {len(self)}")
        colour, shape = self._at(index)
        label = _SHAPES.index(shape)
        texts = (f"a {colour} {shape}", f"{shape}, {colour}")
        return Sample(self.key(index), _draw(shape, _COLOURS[colour]), texts, {"label": label, "group": label})

    @override
    def classes(self) -> Classes:
        return Classes(_SHAPES, templates=("a {}", "{}"), groups={"closed": (0, 2), "open": (1, 3)})

    def _at(self, index: int) -> tuple[str, str]:
        return list(_COLOURS)[index // len(_SHAPES)], _SHAPES[index % len(_SHAPES)]


def _draw(shape: str, colour: tuple[int, int, int]) -> Image.Image:
    """Draw a shape of one colour on a shade of grey."""
    pixels = np.full((SIZES.image, SIZES.image, 3), 90 + colour[0] // 4, np.uint8)
    match shape:
        case "square":
            pixels[8:24, 8:24] = colour
        case "bar":
            pixels[13:19, 2:30] = colour
        case "frame":
            pixels[4:28, 4:28] = colour
            pixels[9:23, 9:23] = 90
        case _:
            pixels[13:19, 4:28] = colour
            pixels[4:28, 13:19] = colour
    return Image.fromarray(pixels)
