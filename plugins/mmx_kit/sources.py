"""Pictures and captions, common and odd, that transforms and tokenizers are tried on."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from PIL import Image

from mmx.data.pixels import preprocess
from mmx.parts.transform import PixelRow, WordRow
from mmx_kit.partners import PREPROCESS
from mmx_kit.samples import PartnerTokenizer

CAPTIONS: Final = ("a red dog", "two cats", "blue")
"""Captions that any tokenizer can read; short, so that one of bytes keeps them whole."""
SECONDS: Final = {"one second sample": ("a green cat", "green"), "another second sample": ("a white house",)}
"""Captions of second samples."""
ODD_TEXTS: Final[Mapping[str, str]] = {
    "an empty text": "",
    "white space": " \t\n ",
    "a text of 20,000 words": "dog " * 20_000,
    "a word of 20,000 letters": "d" * 20_000,
    "Chinese and an emoji": "\u4e00\u53ea\u72d7 \U0001f415\u200d\U0001f9ba",
    "a NUL character": "a\x00dog",
    "combining accents": "e\u0301" * 30,
}


def pictures() -> dict[str, Image.Image]:
    """Return pictures of noise, each of another size."""
    draw = np.random.default_rng(0)
    sides = {"a wide picture": (30, 48), "a tall picture": (50, 33), "a small picture": (9, 8)}
    return {name: Image.fromarray(draw.integers(256, size=(*size, 3), dtype=np.uint8)) for name, size in sides.items()}


def odd_pictures() -> dict[str, Image.Image]:
    """Return pictures that a dataset may give and a careless transform does not expect."""
    wide = pictures()["a wide picture"]
    return {
        "a picture of one pixel": Image.new("RGB", (1, 1), (9, 99, 199)),
        "a picture 300 pixels wide and 2 high": wide.resize((300, 2)),
        "a picture with transparency (RGBA)": wide.convert("RGBA"),
        "a grey picture (L)": wide.convert("L"),
        "a picture with a palette (P)": wide.convert("P"),
        "a black and white picture (1)": wide.convert("1"),
    }


def image_sources(derived: bool) -> "dict[str, Image.Image] | dict[str, PixelRow]":
    """Return common sources of an image view: pictures, or rows of the view that it is made from."""
    found = pictures()
    return {name: PixelRow(preprocess(picture, PREPROCESS)) for name, picture in found.items()} if derived else found


def text_sources(derived: bool) -> "dict[str, tuple[str, ...]] | dict[str, WordRow]":
    """Return common sources of a text view: captions, or rows of the view that it is made from."""
    if not derived:
        return {"one caption": CAPTIONS[:1], "three captions": CAPTIONS, "another caption": CAPTIONS[1:2]}
    words = PartnerTokenizer()(CAPTIONS)
    return {f"the row of {text!r}": WordRow(words.ids[i], words.mask[i]) for i, text in enumerate(CAPTIONS)}


def odd_texts(derived: bool) -> "dict[str, tuple[str, ...]] | dict[str, WordRow]":
    """Return text sources that a dataset may give and a careless transform does not expect."""
    if not derived:
        return {name: (text,) for name, text in ODD_TEXTS.items()} | {"no caption": ()}
    words = PartnerTokenizer()(list(ODD_TEXTS.values()))
    return {f"the row of {name}": WordRow(words.ids[i], words.mask[i]) for i, name in enumerate(ODD_TEXTS)}
