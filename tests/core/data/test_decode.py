"""Every kind of picture becomes RGB, or is refused with the reason."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmx.data.decode import LARGEST, decode
from mmx.parts.dataset import BadSampleError

RED, WHITE = (255, 0, 0), (255, 255, 255)


def encoded(picture: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def corner(data: bytes) -> tuple[int, ...]:
    pixel = decode(data, "k").getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return pixel


def palette(transparent: bool) -> bytes:
    picture = Image.new("P", (2, 2), 1)
    picture.putpalette([0, 0, 0, *RED])
    return encoded(picture, transparency=1) if transparent else encoded(picture)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (encoded(Image.new("RGB", (2, 2), RED)), RED),
        (encoded(Image.new("1", (2, 2), 1)), WHITE),
        (encoded(Image.new("L", (2, 2), 100)), (100, 100, 100)),
        (encoded(Image.new("LA", (2, 2), (0, 0))), WHITE),
        (encoded(Image.new("LA", (2, 2), (10, 255))), (10, 10, 10)),
        (encoded(Image.new("RGBA", (2, 2), (255, 0, 0, 0))), WHITE),
        (encoded(Image.new("RGBA", (2, 2), (255, 0, 0, 128))), (255, 127, 127)),
        (encoded(Image.new("RGB", (2, 2), RED), transparency=RED), WHITE),
        (palette(transparent=False), RED),
        (palette(transparent=True), WHITE),
        (encoded(Image.fromarray(np.full((2, 2), 0x8000, np.uint16))), (128, 128, 128)),
        (encoded(Image.new("RGB", (2, 2), RED), "WEBP", lossless=True), RED),
        (encoded(Image.new("RGB", (1, 1), RED)), RED),
    ],
)
def test_modes(data: bytes, expected: tuple[int, ...]) -> None:
    assert decode(data, "k").mode == "RGB"
    assert corner(data) == expected


def test_cmyk_jpeg() -> None:
    red = corner(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100))
    assert red[0] > 230 and red[1] < 30 and red[2] < 30


def test_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (2, 2), colour) for colour in (RED, (0, 0, 255))]
    for format in ("GIF", "WEBP"):
        data = encoded(frames[0], format, save_all=True, append_images=frames[1:], lossless=True)
        assert corner(data) == RED


def test_exif_rotation_is_applied() -> None:
    picture = Image.new("RGB", (4, 2), WHITE)
    picture.putpixel((0, 0), RED)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    turned = decode(encoded(picture, exif=exif), "k")
    assert turned.size == (2, 4)
    assert turned.getpixel((1, 0)) == RED


def bomb(width: int, height: int) -> bytes:
    """Return a PNG that is nothing but a header."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(LARGEST + 1, 1), (12_000, 9_000), (60_000, 60_000)])
def test_too_many_pixels_are_known_from_the_header(width: int, height: int) -> None:
    with pytest.raises(BadSampleError, match=f"k: the picture has more than {LARGEST} pixels"):
        decode(bomb(width, height), "k")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>not found</html>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        encoded(Image.new("RGB", (2, 2)), "BMP"),
        encoded(Image.new("RGB", (2, 2)), "TIFF"),
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    ],
)
def test_other_formats_are_refused(data: bytes) -> None:
    with pytest.raises(BadSampleError, match="k: not a JPEG, PNG, WEBP or GIF picture"):
        decode(data, "k")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF"])
def test_every_truncation_is_named(format: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8))
    data = encoded(noise, format)
    for end in range(0, len(data) - 16, 97):
        with pytest.raises(BadSampleError, match=r"^k: "):
            decode(data[:end], "k")
