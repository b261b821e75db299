"""From the bytes of a picture file to RGB. Shared with dataset plugins."""

from __future__ import annotations

import io
import struct
import threading
from typing import BinaryIO, Final, final

import numpy as np
from PIL import Image, ImageFile

from mmx.data.formats import FORMATS, TooLargeError, format_of, opened, sides
from mmx.parts.dataset import BadSampleError

LARGEST: Final = 64_000_000
"""Pixels of the largest picture that is decoded; known from its header, before memory is taken."""
_ORIENTATION: Final = 0x0112
_SHORT: Final = 3
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_NEAREST: Final = ((np.arange(65_536, dtype=np.uint32) + 128) // 257).astype(np.uint8)
"""Of 256 levels, the nearest to each of 65,536."""


def decode(data: bytes, key: str, largest: int = LARGEST, draft: int | None = None) -> Image.Image:
    """Return the picture in RGB: upright by its EXIF tag, the first frame of several, transparency laid on white.

    16-bit grey is rounded to 8 bits; of 16-bit colours the high byte is taken. Colour profiles are not applied. A file
    that lacks its end is refused; a JPEG whose damage is inside decodes to whatever its decoder makes of it.

    Args:
        data: the picture's file.
        key: names it in errors.
        largest: pixels of the largest picture that is decoded.
        draft: decode a JPEG at a fraction of its size, whose sides are at least this; not the same pixels.

    Raises:
        BadSampleError: it is damaged, too large, or of another format; the message names ``key``.
    """
    format = format_of(data[:16])
    if format is None:
        kinds = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        raise BadSampleError(f"{key}: not a {kinds} picture: its first bytes are {data[:12]!r}")
    try:
        with _STRICT:
            picture = opened(data, format, largest)
            if draft is not None:
                picture.draft("RGB", (draft, draft))
            found = upright_rgb(picture)
    except TooLargeError:
        raise BadSampleError(f"{key}: the picture has more than {largest} pixels") from None
    except MemoryError:  # no fault of the picture
        raise
    except Exception as error:  # Pillow raises many kinds for damaged bytes; each means that this one cannot be used
        raise BadSampleError(f"{key}: the picture cannot be decoded: {type(error).__name__}: {error}") from error
    found.info.clear()  # nobody is to turn it again
    return found


def size_of(file: BinaryIO | io.BufferedIOBase) -> tuple[int, int] | None:
    """Return a picture's width and height as stored, from its header alone; None if it is not a picture."""
    try:
        data = file.read()
        format = format_of(data[:16])
        return None if format is None else sides(data, format)
    except Exception:  # Pillow raises many kinds for damaged bytes
        return None


def upright_rgb(picture: Image.Image) -> Image.Image:
    """Return a picture that is open already in RGB: upright, 16 bits scaled to 8, transparency laid on white.

    One that is RGB and upright is itself returned.
    """
    rgb = _rgb(picture)
    exif = picture.info.get("exif")  # PNG may have it behind the pixels
    turn = _TURNS.get(_orientation(exif)) if isinstance(exif, bytes) else None
    return rgb if turn is None else rgb.transpose(turn)


def _rgb(picture: Image.Image) -> Image.Image:
    picture.load()
    if picture.mode.startswith("I;16"):  # Pillow's own conversion clips at 255 instead of scaling
        return _grey(picture)
    if picture.has_transparency_data:
        coloured = picture.convert("RGBA")
        white = Image.new("RGBA", coloured.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, coloured).convert("RGB")
    return picture if picture.mode == "RGB" else picture.convert("RGB")  # converting copies even what is RGB


def _grey(picture: Image.Image) -> Image.Image:
    levels = np.asarray(picture)
    grey = _NEAREST[levels]
    clear = picture.info.get("transparency")
    if clear is not None:
        grey[levels == clear] = 255
    return Image.fromarray(grey).convert("RGB")


def _orientation(exif: bytes) -> int:
    """Return how a picture is turned; 1, which is upright, where that cannot be read."""
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, start)
        for entry in range(entries):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, start + 2 + 12 * entry)
            if tag == _ORIENTATION:
                return value if kind == _SHORT else 1
    except struct.error:
        pass
    return 1


@final
class _Strict:
    """Inside, Pillow refuses truncated pictures instead of filling them up with grey, whatever else set it to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = False

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                ImageFile.LOAD_TRUNCATED_IMAGES = self._before


_STRICT: Final = _Strict()
