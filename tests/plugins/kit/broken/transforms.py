"""An image transform and a text transform that keep their contract, and variations of them that do not."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from typing_extensions import override

from broken.table import Broken, Twin
from mmx.config import TransformConfig
from mmx.data.pixels import preprocess
from mmx.parts.dataset import BadSampleError
from mmx.parts.tokenizer import Tokenizer
from mmx.parts.transform import (
    ImageTransform,
    PairedTextTransform,
    PixelRow,
    Preprocess,
    TextTransform,
    WordRow,
)


class RollConfig(TransformConfig):
    furthest_roll: int = 5
    """Pixels that a picture is rolled by at most."""


class Roll(ImageTransform):
    """The twin: rolls a picture by a random number of pixels."""

    def __init__(self, config: RollConfig, how: Preprocess) -> None:
        self.furthest = config.furthest_roll
        self.how = how

    @override
    def __call__(self, source: "Image.Image | PixelRow", draw: torch.Generator) -> PixelRow:
        pixels = source.pixels if isinstance(source, PixelRow) else self.pixels(source)
        return PixelRow(pixels.roll(self.amount(draw), 2))

    def pixels(self, picture: Image.Image) -> Tensor:
        return preprocess(picture, self.how)

    def amount(self, draw: torch.Generator) -> int:
        return int(torch.randint(self.furthest + 1, (), generator=draw))


class FloatPixels(Roll):
    @override
    def pixels(self, picture: Image.Image) -> Tensor:
        return super().pixels(picture) / 255


class OwnSize(Roll):
    """Leaves pictures at their sizes, which cannot be stacked."""

    @override
    def pixels(self, picture: Image.Image) -> Tensor:
        return torch.as_tensor(np.array(picture.convert("RGB"))).permute(2, 0, 1)


class GlobalDraw(Roll):
    """Draws from torch's global generator instead of ``draw``."""

    @override
    def amount(self, draw: torch.Generator) -> int:
        return int(torch.randint(self.furthest + 1, ()))


class NumpyDraw(Roll):
    @override
    def amount(self, draw: torch.Generator) -> int:
        return int(np.random.randint(self.furthest + 1))


class Alternating(Roll):
    def __init__(self, config: RollConfig, how: Preprocess) -> None:
        super().__init__(config, how)
        self.calls = 0

    @override
    def amount(self, draw: torch.Generator) -> int:
        self.calls += 1
        return super().amount(draw) + self.calls % 2


class Shrinking(Roll):
    """Shrinks the picture that it was given."""

    @override
    def pixels(self, picture: Image.Image) -> Tensor:
        picture.thumbnail((8, 8))
        return super().pixels(picture)


class DrawsInto(Roll):
    @override
    def pixels(self, picture: Image.Image) -> Tensor:
        picture.paste((0, 0, 0), (0, 0, 4, 4))
        return super().pixels(picture)


class Blank(Roll):
    @override
    def pixels(self, picture: Image.Image) -> Tensor:
        return torch.zeros_like(super().pixels(picture))


class FirstOfAll(Roll):
    """Remembers a picture's pixels under a key that all pictures share."""

    def __init__(self, config: RollConfig, how: Preprocess) -> None:
        super().__init__(config, how)
        self.known: dict[str, Tensor] = {}

    @override
    def pixels(self, picture: Image.Image) -> Tensor:
        return self.known.setdefault(str(getattr(picture, "filename", "")), super().pixels(picture))


class NoConversion(Roll):
    @override
    def pixels(self, picture: Image.Image) -> Tensor:
        rgb: Any = torch.as_tensor(np.array(picture)).permute(2, 0, 1)
        return super().pixels(Image.fromarray(rgb.permute(1, 2, 0).numpy()))


class NeedsTwoPixels(Roll):
    @override
    def pixels(self, picture: Image.Image) -> Tensor:
        return super().pixels(picture.resize((32, 32 * (picture.height - 1) // (picture.width - 1))))


class HoldsFunction(Roll):
    def __init__(self, config: RollConfig, how: Preprocess) -> None:
        super().__init__(config, how)
        self.resize = lambda picture: preprocess(picture, how)


class PickConfig(TransformConfig):
    spoken_prefix: str = ""
    """Text that is put before a caption."""


class Pick(TextTransform):
    """The twin: one caption at random, with labels that predict each next id."""

    def __init__(self, config: PickConfig, tokenizer: Tokenizer) -> None:
        self.prefix = config.spoken_prefix
        self.tokenizer = tokenizer

    @override
    def __call__(self, source: "tuple[str, ...] | WordRow", draw: torch.Generator) -> WordRow:
        if isinstance(source, WordRow):
            return source
        words = self.tokenizer([self.prefix + self.chosen(source, draw)])
        return self.row(words.ids[0], words.mask[0])

    def chosen(self, texts: tuple[str, ...], draw: torch.Generator) -> str:
        if not texts:
            raise BadSampleError("has no caption")
        return texts[int(torch.randint(len(texts), (), generator=draw))]

    def row(self, ids: Tensor, mask: Tensor) -> WordRow:
        following = torch.cat([ids[1:], ids[:1]])
        return WordRow(ids, mask, torch.where(mask & mask.roll(-1), following, -100))


class LosesEnd(Pick):
    @override
    def row(self, ids: Tensor, mask: Tensor) -> WordRow:
        ids = torch.where(ids == self.tokenizer.end, 5, ids)
        return super().row(ids, mask)


class PadsLeft(Pick):
    @override
    def row(self, ids: Tensor, mask: Tensor) -> WordRow:
        places = int((~mask).sum())
        return super().row(ids.roll(places), mask.roll(places))


class LabelsPadding(Pick):
    @override
    def row(self, ids: Tensor, mask: Tensor) -> WordRow:
        return WordRow(ids, mask, torch.cat([ids[1:], ids[:1]]))


class GlobalChoice(Pick):
    @override
    def chosen(self, texts: tuple[str, ...], draw: torch.Generator) -> str:
        return super().chosen(texts, torch.default_generator)


class Cycling(Pick):
    def __init__(self, config: PickConfig, tokenizer: Tokenizer) -> None:
        super().__init__(config, tokenizer)
        self.calls = itertools.count()

    @override
    def chosen(self, texts: tuple[str, ...], draw: torch.Generator) -> str:
        return texts[next(self.calls) % len(texts)] if texts else super().chosen(texts, draw)


class Silent(Pick):
    @override
    def chosen(self, texts: tuple[str, ...], draw: torch.Generator) -> str:
        return "text"


class FirstCaption(Pick):
    @override
    def chosen(self, texts: tuple[str, ...], draw: torch.Generator) -> str:
        return texts[0]


class FirstWord(Pick):
    @override
    def chosen(self, texts: tuple[str, ...], draw: torch.Generator) -> str:
        return super().chosen(texts, draw).split()[0]


class OrOther(PairedTextTransform):
    """The twin: the caption of a second sample as often as not."""

    def __init__(self, config: PickConfig, tokenizer: Tokenizer) -> None:
        self.pick = Pick(config, tokenizer)

    @override
    def wants(self, draw: torch.Generator) -> bool:
        return bool(torch.rand((), generator=draw) < 0.5)

    @override
    def paired(self, source: "tuple[str, ...] | WordRow", second: tuple[str, ...], draw: torch.Generator) -> WordRow:
        return replace(self.pick(second, draw), facts={"own": 0})

    @override
    def __call__(self, source: "tuple[str, ...] | WordRow", draw: torch.Generator) -> WordRow:
        return replace(self.pick(source, draw), facts={"own": 1})


class NoOther(OrOther):
    """Takes the caption of the first sample all the same."""

    @override
    def paired(self, source: "tuple[str, ...] | WordRow", second: tuple[str, ...], draw: torch.Generator) -> WordRow:
        return super().paired(source, source if isinstance(source, tuple) else second, draw)


class SometimesFact(OrOther):
    """Gives the fact in one of the two cases only."""

    @override
    def paired(self, source: "tuple[str, ...] | WordRow", second: tuple[str, ...], draw: torch.Generator) -> WordRow:
        return self.pick(second, draw)


def _broken(kind: str, config: type[TransformConfig], check: str, *parts: type) -> Iterator[Broken]:
    return (Broken(kind, part.__name__, f"{__name__}:{part.__name__}", config, check) for part in parts)


IMAGE_TRANSFORM = Twin("image_transform", "Roll", f"{__name__}:Roll", RollConfig)
TEXT_TRANSFORM = Twin("text_transform", "Pick", f"{__name__}:Pick", PickConfig)
PAIRED_TRANSFORM = Twin("text_transform", "OrOther", f"{__name__}:OrOther", PickConfig)
TRANSFORMS = tuple(
    itertools.chain(
        _broken("image_transform", RollConfig, "rows", FloatPixels, OwnSize),
        _broken("image_transform", RollConfig, "draws", GlobalDraw, NumpyDraw, Alternating),
        _broken("image_transform", RollConfig, "source kept", Shrinking, DrawsInto),
        _broken("image_transform", RollConfig, "source read", Blank, FirstOfAll),
        _broken("image_transform", RollConfig, "odd sources", NoConversion, NeedsTwoPixels),
        _broken("image_transform", RollConfig, "spawned workers", HoldsFunction),
        _broken("image_transform", RollConfig, "global state", GlobalDraw, NumpyDraw),
        _broken("text_transform", PickConfig, "rows", LosesEnd, PadsLeft, LabelsPadding),
        _broken("text_transform", PickConfig, "draws", GlobalChoice, Cycling),
        _broken("text_transform", PickConfig, "source read", Silent),
        _broken("text_transform", PickConfig, "odd sources", FirstCaption, FirstWord),
        _broken("text_transform", PickConfig, "second sample", NoOther, SometimesFact),
        _broken("text_transform", PickConfig, "global state", GlobalChoice),
    )
)
