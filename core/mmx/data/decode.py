"""From the bytes of a picture file to RGB. Shared with dataset plugins."""

from __future__ import annotations

import io
import warnings
from typing import BinaryIO, Final

import numpy as np
from PIL import Image, ImageOps

from mmx.parts.dataset import BadSampleError

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF")
"""What is opened. Pillow's other openers are not tried: some start other programs."""
LARGEST: Final = 89_478_485
"""Pixels of the largest picture that is decoded; known from its header, before memory is taken."""
_ORIENTATION: Final = 0x0112


def decode(data: bytes, key: str, largest: int = LARGEST, draft: int | None = None) -> Image.Image:
    """Return the picture in RGB: upright by its EXIF tag, the first frame of several, transparency laid on white.

    Args:
        data: the picture's file.
        key: names it in errors.
        largest: pixels of the largest picture that is decoded.
        draft: decode a JPEG at a fraction of its size, whose sides are at least this; not the same pixels.

    Raises:
        BadSampleError: it is damaged, too large, or of another format; the message names ``key``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", module="PIL")
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
            if picture.width * picture.height > largest:
                raise Image.DecompressionBombWarning
            if draft is not None:
                picture.draft("RGB", (draft, draft))
            return upright_rgb(picture)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise BadSampleError(f"{key}: the picture has more than {largest} pixels") from None
    except Image.UnidentifiedImageError:
        raise BadSampleError(f"{key}: not a {', '.join(FORMATS[:-1])} or {FORMATS[-1]} picture") from None
    except Exception as error:  # Pillow raises many kinds for damaged bytes; each means that this one cannot be used
        raise BadSampleError(f"{key}: the picture cannot be decoded: {type(error).__name__}: {error}") from error


def size_of(file: BinaryIO) -> tuple[int, int] | None:
    """Return a picture's width and height as stored, from its header alone; None if it is not a picture."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Image.open(file, formats=FORMATS).size
    except Exception:  # Pillow raises many kinds for damaged bytes
        return None


def upright_rgb(picture: Image.Image) -> Image.Image:
    """Return a picture that is open already in RGB: upright, 16 bits scaled to 8, transparency laid on white."""
    return _rgb(_upright(picture))


def _upright(picture: Image.Image) -> Image.Image:
    if picture.getexif().get(_ORIENTATION, 1) == 1:
        return picture
    return ImageOps.exif_transpose(picture)


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16"):  # Pillow's own conversion clips at 255 instead of scaling
        picture.load()
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        coloured = picture.convert("RGBA")
        white = Image.new("RGBA", coloured.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, coloured).convert("RGB")
    return picture.convert("RGB")
