"""Picture files opened by their first bytes, and no larger than they say; pixels are not decoded here."""

from __future__ import annotations

import io
import struct
from typing import Final, final

from PIL import GifImagePlugin, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin
from typing_extensions import override

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF")
"""What is opened. Pillow's other openers are not tried: some start other programs."""
_WORK: Final = 6_400_000_000
"""Pixels times scans of the JPEG that is decoded; each scan costs time for all pixels, but may have few bytes."""


class TooLargeError(Exception):
    """A picture has more pixels than are wanted, by its header."""


def format_of(head: bytes) -> str | None:
    """Return which of ``FORMATS`` a file has by its first 16 bytes; None if it has another."""
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    return "GIF" if head.startswith((b"GIF87a", b"GIF89a")) else None


def sides(data: bytes, format: str) -> tuple[int, int]:
    """Return width and height as stored, from the header alone. Raises many kinds of errors if that is damaged."""
    match format:
        case "JPEG":
            return _Jpeg(io.BytesIO(data)).size
        case "PNG":
            width, height = struct.unpack_from(">II", data, 16)
            return width, height
        case "WEBP":
            return _webp_sides(data)
        case _:
            return _gif_sides(data)


def opened(data: bytes, format: str, largest: int) -> ImageFile.ImageFile:
    """Return a picture that is not decoded yet. Raises many kinds of errors if its header is damaged.

    Raises:
        TooLargeError: it has more than ``largest`` pixels; no memory was taken for them.
    """
    if format != "JPEG":  # the others may take memory when they are opened
        _check(sides(data, format), largest)
    match format:
        case "JPEG":
            picture = _jpeg(data)
        case "PNG":
            picture = _png(data)
        case "WEBP":
            picture = WebPImagePlugin.WebPImageFile(io.BytesIO(data))
        case _:
            picture = GifImagePlugin.GifImageFile(io.BytesIO(data))
    _check(picture.size, largest)
    return picture


def _check(size: tuple[int, int], largest: int) -> None:
    if size[0] * size[1] > largest:
        raise TooLargeError


@final
class _Jpeg(JpegImagePlugin.JpegImageFile):
    @override
    def _read_dpi_from_exif(self) -> None:
        """Leave EXIF alone: Pillow would warn of damage in tags that nobody asks for."""


def _jpeg(data: bytes) -> _Jpeg:
    file = io.BytesIO(data)
    picture = _Jpeg(file)
    first = data.rfind(b"\xff\xda", 0, file.tell())
    if "progressive" in picture.info or data[first + 4] < picture.layers:  # then more scans follow the first
        scans = data.count(b"\xff\xda")
        if scans * picture.width * picture.height > _WORK:
            raise ValueError(f"{scans} scans")
    return picture


def _png(data: bytes) -> PngImagePlugin.PngImageFile:
    """Leave out the chunks that the first picture does not need, such as texts that unpack to far more."""
    view, kept, at = memoryview(data), [memoryview(data)[:8]], 8
    while at < len(data):
        end = at + 12 + int.from_bytes(view[at : at + 4])
        kind = data[at + 4 : at + 8]
        if kind[:1].isupper() or kind in (b"tRNS", b"eXIf"):
            kept.append(view[at:end])
        at = end
    picture = PngImagePlugin.PngImageFile(io.BytesIO(b"".join(kept)))
    depth, clear = data[24], picture.info.get("transparency")
    if clear is not None and picture.mode == "L":  # Pillow scales the levels of pixels, but not these
        picture.info["transparency"] = (clear & (2**depth - 1)) * 255 // (2**depth - 1)
    elif clear is not None and picture.mode == "RGB":
        picture.info["transparency"] = tuple(level >> (depth - 8) & 255 for level in clear)
    return picture


def _webp_sides(data: bytes) -> tuple[int, int]:
    match data[12:16]:
        case b"VP8X":
            return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", data, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case _:
            width, height = struct.unpack_from("<HH", data, 26)
            return width & 0x3FFF, height & 0x3FFF


def _gif_sides(data: bytes) -> tuple[int, int]:
    """Return those of the screen, or of what holds the first frame too."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    while (mark := data[at : at + 1]) not in (b"", b",", b";"):
        at += 1
        if mark == b"!":
            at += 1
            while length := data[at]:
                at += 1 + length
            at += 1
    if mark != b",":
        return width, height
    left, top, across, down = struct.unpack_from("<HHHH", data, at + 1)
    return max(width, left + across), max(height, top + down)
