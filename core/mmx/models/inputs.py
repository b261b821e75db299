"""Checks what a user hands to a trained model: whatever is not a list of pictures or texts is named."""

from collections.abc import Iterable
from typing import cast

from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from mmx.data.decode import upright_rgb
from mmx.data.pixels import preprocess
from mmx.errors import DataError
from mmx.parts.dataset import BadSampleError
from mmx.parts.transform import Preprocess


def strings(texts: object) -> list[str]:
    """Return texts as a list.

    Raises:
        DataError: it is not a list of strings; a single string is not one.
    """
    if isinstance(texts, str):
        raise DataError(f"embed_texts takes a list of strings, not one string: embed_texts([{_shown(texts)}])")
    items = _items(texts, "embed_texts", "strings")
    for index, text in enumerate(items):
        if not isinstance(text, str):
            raise DataError(f"embed_texts: item {index} is {_kind(text)}, expected a string: {_shown(text)}")
    return cast(list[str], items)


def pixel_rows(pictures: object, how: Preprocess) -> list[UInt8[Tensor, "3 s s"]]:
    """Return pictures as the model wants them.

    Raises:
        DataError: it is not a list of PIL images, or one of them cannot be read.
    """
    if isinstance(pictures, Image.Image):
        raise DataError("embed_images takes a list of pictures, not one picture: embed_images([picture])")
    items = _items(pictures, "embed_images", "PIL images")
    return [_row(index, picture, how) for index, picture in enumerate(items)]


def _row(index: int, picture: object, how: Preprocess) -> UInt8[Tensor, "3 s s"]:
    if not isinstance(picture, Image.Image):
        raise DataError(
            f"embed_images: item {index} is {_kind(picture)}, expected a PIL image: {_shown(picture)}\n"
            "PIL.Image.open(path) reads a file, PIL.Image.fromarray(pixels) takes uint8 pixels [h, w, 3]"
        )
    try:
        return preprocess(upright_rgb(picture), how)
    except (BadSampleError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        file = getattr(picture, "filename", "")
        raise DataError(f"embed_images: item {index}{f' ({file})' if file else ''} cannot be read: {error}") from error


def _items(given: object, function: str, what: str) -> list[object]:
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise DataError(f"{function} takes a list of {what}; what it got is {_kind(given)}: {_shown(given)}")
    return list(cast(Iterable[object], given))


def _kind(value: object) -> str:
    kind = type(value)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    return f"of type {name}"


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
