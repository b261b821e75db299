"""A picture on its way into a shard: as it is stored wherever that will do, else made smaller or encoded anew."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final, Literal

from PIL import Image

from mmx.data.decode import LARGEST, decode
from mmx.data.formats import format_of
from mmx.parts.dataset import BadSampleError

Format = Literal["keep", "jpg", "webp", "png"]
EXTENSIONS: Final = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif"}
"""Extensions of pictures by the name of their format."""
_ENCODERS: Final = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}


@dataclass(frozen=True)
class Recode:
    """What is asked of pictures."""

    size: int | None = None
    """Pixels that the shorter side has at most."""
    format: Format = "keep"
    quality: int = 90
    """Of JPEG and WebP, 1 to 100."""


@dataclass(frozen=True)
class Stored:
    """A picture's file."""

    data: bytes
    extension: str
    width: int
    height: int
    before: tuple[int, int] | None
    """Width and height before it was made smaller, None if it was not."""


def recoded(data: bytes, key: str, how: Recode, largest: int = LARGEST) -> Stored:
    """Return a picture as it goes into a shard. It is decoded in any case, to know that it can be.

    Raises:
        BadSampleError: it cannot, or not be encoded.
    """
    picture = decode(data, key, largest)
    extension = EXTENSIONS[format_of(data[:16]) or ""]
    smaller = _smaller(picture, how.size)
    wanted = extension if how.format == "keep" else how.format
    if smaller is None and wanted == extension:
        return Stored(data, extension, *picture.size, before=None)
    wanted = wanted if wanted in _ENCODERS else "png"
    made = smaller or picture
    try:
        encoded = _encoded(made, wanted, how.quality)
    except (OSError, ValueError) as error:  # such as a side of more pixels than the format can have
        raise BadSampleError(f"{key}: cannot be encoded as {wanted}: {error}") from error
    return Stored(encoded, wanted, *made.size, before=picture.size if smaller else None)


def _smaller(picture: Image.Image, size: int | None) -> Image.Image | None:
    """Return a picture whose shorter side is ``size``, None where it is no larger."""
    shorter = min(picture.size)
    if size is None or shorter <= size:
        return None
    width, height = (max(1, round(side * size / shorter)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BICUBIC)


def _encoded(picture: Image.Image, extension: str, quality: int) -> bytes:
    file = io.BytesIO()
    options = {} if extension == "png" else {"quality": quality}
    picture.save(file, _ENCODERS[extension], **options)
    return file.getvalue()
