"""Every kind of picture file in one table: its pixels, worked out here without a decoder, or why it is refused."""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pytest
from PIL import Image, ImageOps

from mmx.data.decode import decode
from mmx.parts.dataset import BadSampleError

Pixels = np.ndarray[Any, np.dtype[Any]]

COLOURS: Final = [[(220, 30, 30), (30, 200, 40), (20, 40, 210)], [(240, 240, 240), (230, 210, 40), (90, 90, 90)]]
SCENE: Final[Pixels] = np.array(COLOURS, np.uint8).repeat(8, 0).repeat(8, 1)  # [16, 24, 3], no two blocks alike
NOISE: Final[Pixels] = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
GREY: Final[Pixels] = NOISE[:, :, 0]
MARK: Final = NOISE[3, 5]
WIDE: Final[Pixels] = np.random.default_rng(1).integers(0, 65_536, (16, 24, 3), dtype=np.uint16)
NEAREST: Final[Pixels] = np.rint(WIDE * (255 / 65_535)).astype(np.uint8)


def encoded(pixels: Pixels | Image.Image, format: str, **options: Any) -> bytes:
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    picture.save(buffer, format, **({"quality": 100, "subsampling": 0} if format == "JPEG" else {}), **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, rows: Pixels, depth: int, colour: int, *extra: bytes, interlaced: bytes = b"") -> bytes:
    """Return a PNG of rows whose pixels are packed to bytes already."""
    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, bool(interlaced))
    raw = interlaced or np.pad(rows.view(np.uint8), ((0, 0), (1, 0))).tobytes()
    body = [chunk(b"IHDR", header), *extra, chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def wide_png(pixels: Pixels, colour: int, *extra: bytes) -> bytes:
    return png(pixels.shape[1], pixels.astype(">u2").reshape(len(pixels), -1), 16, colour, *extra)


def shallow_png(levels: Pixels, depth: int, colour: int, *extra: bytes) -> bytes:
    """Return a PNG of 1, 2 or 4 bits a pixel."""
    bits = np.unpackbits(levels[:, :, None], axis=2)[:, :, -depth:].reshape(len(levels), -1)
    return png(levels.shape[1], np.packbits(bits, axis=1), depth, colour, *extra)


def adam7() -> bytes:
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    parts = [NOISE[top::down, left::across] for top, left, down, across in passes]
    rows = [np.pad(part.reshape(len(part), -1), ((0, 0), (1, 0))).tobytes() for part in parts]
    return png(24, NOISE.reshape(16, -1), 8, 2, interlaced=b"".join(rows))


def grey3(levels: Pixels) -> Pixels:
    return np.repeat(levels[:, :, None], 3, 2).astype(np.uint8)


def on_white(colours: Pixels, alpha: Pixels) -> Pixels:
    share = alpha[:, :, None] / 255
    return np.rint(colours * share + 255 * (1 - share)).astype(np.uint8)


def cleared(pixels: Pixels, where: Pixels) -> Pixels:
    return np.where(where[:, :, None], 255, pixels).astype(np.uint8)


def turned(pixels: Pixels, orientation: int) -> Pixels:
    """Return what a viewer shows by the eight numbers of the EXIF standard."""
    across = pixels.transpose(1, 0, 2)
    return [
        *(pixels, pixels[:, ::-1], pixels[::-1, ::-1], pixels[::-1]),
        *(across, across[:, ::-1], across[::-1, ::-1], across[::-1]),
    ][orientation - 1]


def exif(orientation: int, order: str = "<", kind: int = 3) -> bytes:
    entry = struct.pack(f"{order}HHIHH", 0x0112, kind, 1, orientation, 0)
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 8)
    return b"Exif\0\0" + head + struct.pack(f"{order}H", 1) + entry + bytes(4)


def cmyk(pixels: Pixels) -> Image.Image:
    return Image.frombytes("CMYK", (24, 16), np.ascontiguousarray(pixels).tobytes())


def ycck_jpeg() -> bytes:
    """Return a JPEG whose ink is stored as light and colour, as Adobe's programs do."""
    cyan, magenta, yellow = np.moveaxis(255.0 - SCENE, 2, 0)
    light = 0.299 * cyan + 0.587 * magenta + 0.114 * yellow
    stored = np.stack(
        [light, 128 + (yellow - light) / 1.772, 128 + (cyan - light) / 1.402, np.full_like(light, 255)], 2
    )
    data = bytearray(encoded(cmyk(255 - np.rint(stored).astype(np.uint8)), "JPEG"))
    data[data.index(b"Adobe") + 11] = 2
    return bytes(data)


def palette_picture() -> Image.Image:
    picture = Image.fromarray((np.indices((16, 24)).sum(0) % 4).astype(np.uint8), "L").convert("L")
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    return picture


PALETTE: Final[Pixels] = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]], np.uint8)
STRIPES: Final[Pixels] = (np.indices((16, 24)).sum(0) % 4).astype(np.uint8)
PLTE: Final = chunk(b"PLTE", PALETTE.tobytes())
ALPHA: Final[Pixels] = GREY[::-1]


def pngs() -> Iterator[tuple[str, bytes, Pixels]]:
    flat = NOISE.reshape(16, -1)
    yield "png", encoded(NOISE, "PNG"), NOISE
    yield "png-interlaced", adam7(), NOISE
    yield "png-grey", encoded(GREY, "PNG"), grey3(GREY)
    for depth in (1, 2, 4):
        levels, top = GREY >> (8 - depth), 2**depth - 1
        grey = grey3(levels * (255 // top))
        yield f"png-grey-{depth}-bit", shallow_png(levels, depth, 0), grey
        key = chunk(b"tRNS", struct.pack(">H", top - 1))
        yield f"png-grey-{depth}-bit-key", shallow_png(levels, depth, 0, key), cleared(grey, levels == top - 1)
    yield "png-grey-16-bit", wide_png(WIDE[:, :, :1], 0), grey3(NEAREST[:, :, 0])
    key = chunk(b"tRNS", struct.pack(">H", WIDE[3, 5, 0]))
    hole = WIDE[:, :, 0] == WIDE[3, 5, 0]
    yield "png-grey-16-bit-key", wide_png(WIDE[:, :, :1], 0, key), cleared(grey3(NEAREST[:, :, 0]), hole)
    yield "png-16-bit", wide_png(WIDE, 2), (WIDE >> 8).astype(np.uint8)
    key = chunk(b"tRNS", struct.pack(">HHH", *WIDE[3, 5]))
    hole = (WIDE == WIDE[3, 5]).all(2)
    yield "png-16-bit-key", wide_png(WIDE, 2, key), cleared(WIDE >> 8, hole)
    yield (
        "png-16-bit-alpha",
        wide_png(np.dstack([WIDE, WIDE[::-1, :, :1]]), 6),
        on_white(WIDE >> 8, WIDE[::-1, :, 0] >> 8),
    )
    both = np.dstack([WIDE[:, :, :1], WIDE[::-1, :, :1]])
    yield "png-grey-16-bit-alpha", wide_png(both, 4), on_white(grey3(WIDE[:, :, 0] >> 8), WIDE[::-1, :, 0] >> 8)
    yield "png-grey-alpha", png(24, np.dstack([GREY, ALPHA]).reshape(16, -1), 8, 4), on_white(grey3(GREY), ALPHA)
    yield "png-alpha", png(24, np.dstack([NOISE, ALPHA]).reshape(16, -1), 8, 6), on_white(NOISE, ALPHA)
    key = chunk(b"tRNS", struct.pack(">HHH", *MARK))
    yield "png-key", png(24, flat, 8, 2, key), cleared(NOISE, (NOISE == MARK).all(2))
    yield "png-palette", shallow_png(STRIPES, 2, 3, PLTE), PALETTE[STRIPES]
    yield "png-palette-8-bit", png(24, STRIPES, 8, 3, PLTE), PALETTE[STRIPES]
    key = chunk(b"tRNS", b"\xff\x00")
    yield "png-palette-key", png(24, STRIPES, 8, 3, PLTE, key), cleared(PALETTE[STRIPES], STRIPES == 1)
    alphas = np.array([255, 40, 0, 200], np.uint8)
    shares = png(24, STRIPES, 8, 3, PLTE, chunk(b"tRNS", alphas.tobytes()))
    yield "png-palette-alpha", shares, on_white(PALETTE[STRIPES], alphas[STRIPES])
    yield "png-animated", encoded(NOISE, "PNG", save_all=True, append_images=[Image.fromarray(SCENE)]), NOISE
    yield "png-animation-damaged", png(24, flat, 8, 2, chunk(b"acTL", bytes(8)), chunk(b"fcTL", b"?")), NOISE
    yield "png-profile", encoded(NOISE, "PNG", icc_profile=bytes(500)), NOISE
    yield "png-profile-damaged", png(24, flat, 8, 2, chunk(b"iCCP", b"no end")), NOISE
    yield "png-text-that-is-no-key", png(24, flat, 8, 2, chunk(b"tEXt", b"transparency\0of glass")), NOISE


def others() -> Iterator[tuple[str, bytes, Pixels]]:
    later = [Image.fromarray(NOISE)]
    yield "jpeg", encoded(SCENE, "JPEG"), SCENE
    yield "jpeg-progressive", encoded(SCENE, "JPEG", progressive=True), SCENE
    yield "jpeg-grey", encoded(SCENE[:, :, 0], "JPEG"), grey3(SCENE[:, :, 0])
    yield "jpeg-stored-as-rgb", encoded(SCENE, "JPEG", keep_rgb=True), SCENE
    yield "jpeg-profile", encoded(SCENE, "JPEG", icc_profile=bytes(70_000)), SCENE
    yield (
        "jpeg-two-pictures",
        encoded(SCENE, "MPO", quality=100, subsampling=0, save_all=True, append_images=later),
        SCENE,
    )
    yield "jpeg-more-after-its-end", encoded(SCENE, "JPEG") + b"<html>" * 9, SCENE
    ink = np.dstack([255 - SCENE, np.full((16, 24), 51, np.uint8)])
    yield "jpeg-cmyk", encoded(cmyk(ink), "JPEG"), np.rint(SCENE * 0.8).astype(np.uint8)
    yield "jpeg-ycck", ycck_jpeg(), SCENE
    yield "webp", encoded(NOISE, "WEBP", lossless=True), NOISE
    yield "webp-alpha", encoded(np.dstack([NOISE, ALPHA]), "WEBP", lossless=True, exact=True), on_white(NOISE, ALPHA)
    yield (
        "webp-animated",
        encoded(NOISE, "WEBP", lossless=True, save_all=True, append_images=[palette_picture()]),
        NOISE,
    )
    yield "webp-profile", encoded(NOISE, "WEBP", lossless=True, icc_profile=bytes(500)), NOISE
    paper = palette_picture()
    yield "gif", encoded(paper, "GIF"), PALETTE[STRIPES]
    yield "gif-key", encoded(paper, "GIF", transparency=2), cleared(PALETTE[STRIPES], STRIPES == 2)
    yield "gif-grey", encoded(GREY, "GIF"), grey3(GREY)
    yield "gif-animated", encoded(paper, "GIF", save_all=True, append_images=later, disposal=2), PALETTE[STRIPES]
    for format in ("PNG", "WEBP", "GIF", "JPEG"):
        pixel = np.full((1, 1, 3), 77, np.uint8)
        yield f"{format.lower()}-1x1", encoded(pixel, format, **({"lossless": True} if format == "WEBP" else {})), pixel
    tall = np.arange(20_000, dtype=np.uint16).astype(np.uint8)[:, None]
    yield "png-1x20000", encoded(tall, "PNG"), grey3(tall)
    yield "jpeg-65500x1", encoded(np.full((1, 65_500), 50, np.uint8), "JPEG"), np.full((1, 65_500, 3), 50, np.uint8)


def upright() -> Iterator[tuple[str, bytes, Pixels]]:
    for orientation in range(1, 9):
        expected = turned(SCENE, orientation)
        for format in ("JPEG", "PNG", "WEBP"):
            options = {"lossless": True} if format == "WEBP" else {}
            yield (
                f"{format.lower()}-exif-{orientation}",
                encoded(SCENE, format, exif=exif(orientation), **options),
                expected,
            )
        yield f"jpeg-exif-{orientation}-big-endian", encoded(SCENE, "JPEG", exif=exif(orientation, ">")), expected
    damaged = {
        "cut": exif(6)[:20],
        "not-a-number": exif(6, kind=2),
        "of-no-order": b"Exif\0\0XX*\0",
        "empty": b"Exif\0\0",
    }
    damaged |= {
        "unknown": exif(9),
        "far": b"Exif\0\0II*\0\xff\xff\xff\xff",
        "long": exif(6)[:14] + b"\xff\xff" + bytes(99),
    }
    for name, tags in damaged.items():
        yield f"jpeg-exif-{name}", encoded(SCENE, "JPEG", exif=tags), SCENE


ZOO: Final = {name: (data, pixels) for name, data, pixels in (*pngs(), *others(), *upright())}


def apart(picture: Image.Image, expected: Pixels) -> int:
    """Return the largest difference, in levels."""
    found = np.asarray(picture)
    return 999 if found.shape != expected.shape else int(np.abs(found.astype(int) - expected.astype(int)).max())


@pytest.mark.parametrize("name", ZOO)
def test_the_right_pixels(name: str) -> None:
    data, expected = ZOO[name]
    picture = decode(data, "k")
    assert picture.mode == "RGB"
    lossy = 5 if "jpeg" in name else 1 if "alpha" in name else 0  # laying on white rounds
    assert apart(picture, expected) <= lossy


def test_there_are_many() -> None:
    assert len(ZOO) >= 40


def test_a_picture_that_was_turned_is_not_turned_again() -> None:
    for format in ("JPEG", "PNG", "WEBP"):
        picture = decode(encoded(SCENE, format, exif=exif(6)), "k")
        assert np.array_equal(np.asarray(ImageOps.exif_transpose(picture)), np.asarray(picture))


WRONG: Final = ["png-grey-16-bit", "jpeg-exif-6", "webp-exif-2", "png-alpha", "png-palette-key", "png-key", "gif-key"]


@pytest.mark.parametrize("name", [*WRONG, "png-16-bit-alpha", "webp-alpha"])
def test_the_usual_way_gets_them_wrong(name: str) -> None:
    data, expected = ZOO[name]
    assert apart(Image.open(io.BytesIO(data)).convert("RGB"), expected) > 100


def test_the_usual_way_turns_16_bits_white() -> None:
    picture = Image.open(io.BytesIO(wide_png(WIDE[:, :, :1], 0))).convert("RGB")
    assert np.asarray(picture).mean() > 250


def frame(precision: int, height: int, width: int, layers: int) -> bytes:
    """Return the header of a JPEG, and a scan without data."""
    parts = b"".join(bytes([layer + 1, 0x11, 0]) for layer in range(layers))
    header = struct.pack(">BHHB", precision, height, width, layers) + parts
    scan = bytes([layers]) + b"".join(bytes([layer + 1, 0]) for layer in range(layers)) + b"\0\x3f\0"
    segments = [(b"\xff\xc0", header), (b"\xff\xda", scan)]
    return (
        b"\xff\xd8" + b"".join(mark + struct.pack(">H", len(data) + 2) + data for mark, data in segments) + b"\xff\xd9"
    )


FOREIGN: Final = "not a JPEG, PNG, WEBP or GIF picture"
DAMAGED: Final = "the picture cannot be decoded: "
EPS: Final = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n%%EOF\n"
LAUGHS: Final = b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><svg>&b;</svg>'
REFUSED: Final[dict[str, tuple[bytes, str]]] = {
    **{
        format.lower(): (encoded(SCENE, format), FOREIGN)
        for format in ("BMP", "TIFF", "ICO", "PPM", "PDF", "EPS", "TGA", "PCX", "SGI", "ICNS", "DDS")
    },
    "nothing": (b"", FOREIGN),
    "zeros": (bytes(99), FOREIGN),
    "html": (b"<html>not found</html>", FOREIGN),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', FOREIGN),
    "xml": (LAUGHS, FOREIGN),
    "eps-bare": (EPS, FOREIGN),
    "psd": (b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 9, 9, 8, 3) + bytes(99), FOREIGN),
    "heic": (b"\0\0\0\x18ftypheic" + bytes(99), FOREIGN),
    "wav": (b"RIFF\0\0\0\0WAVEfmt " + bytes(99), FOREIGN),
    "jpeg-nothing": (b"\xff\xd8\xff", DAMAGED),
    "jpeg-12-bit": (frame(12, 8, 8, 3), DAMAGED),
    "jpeg-two-layers": (frame(8, 8, 8, 2), DAMAGED),
    "jpeg-no-tables": (frame(8, 8, 8, 3), DAMAGED),
    "jpeg-no-height": (frame(8, 0, 8, 3), DAMAGED),
    "jpeg-says-65535x65535": (frame(8, 65_535, 65_535, 3), "more than 64000000 pixels"),
    "png-nothing": (b"\x89PNG\r\n\x1a\n", DAMAGED),
    "png-no-width": (png(0, NOISE.reshape(16, -1), 8, 2), DAMAGED),
    "png-of-no-kind": (png(24, NOISE.reshape(16, -1), 8, 5), DAMAGED),
    "png-header-damaged": (encoded(NOISE, "PNG").replace(b"\0\0\0\x18", b"\0\0\0\x17", 1), DAMAGED),
    "png-says-more-rows": (png(24, NOISE.reshape(16, -1), 8, 2, interlaced=bytes(9)), DAMAGED),
    "png-no-palette": (png(24, STRIPES, 8, 3), DAMAGED),
    "webp-nothing": (b"RIFF\0\0\0\0WEBPVP8 ", DAMAGED),
    "webp-zeros": (b"RIFF\x63\0\0\0WEBPVP8 " + bytes(99), DAMAGED),
    "gif-nothing": (b"GIF89a", DAMAGED),
    "gif-no-frame": (b"GIF89a\1\0\1\0\0\0\0;", DAMAGED),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name: str) -> None:
    data, reason = REFUSED[name]
    with pytest.raises(BadSampleError, match=f"^k: .*{reason}"):
        decode(data, "k")
