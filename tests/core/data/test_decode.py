"""Every kind of picture becomes RGB, or is refused with the reason."""

import io
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from mmx.data.decode import decode, size_of
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


def test_exif_rotation_is_applied() -> None:
    picture = Image.new("RGB", (4, 2), WHITE)
    picture.putpixel((0, 0), RED)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    turned = decode(encoded(picture, exif=exif), "k")
    assert turned.size == (2, 4)
    assert turned.getpixel((1, 0)) == RED


def test_exif_behind_the_pixels_of_a_png_counts_too() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.new("RGB", (4, 2), WHITE), exif=exif)
    at = data.index(b"eXIf") - 4
    chunk = data[at : at + 12 + int.from_bytes(data[at : at + 4])]
    moved = data.replace(chunk, b"").replace(end := data[data.index(b"IEND") - 4 :], chunk + end)
    assert moved.index(b"eXIf") > moved.index(b"IDAT") and decode(moved, "k").size == (2, 4)


def test_memory_that_runs_out_is_no_fault_of_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(MemoryError):
        decode(encoded(Image.new("RGB", (4, 2), WHITE)), "k")


FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 40, 3), dtype=np.uint8))
FILES = [
    *(pytest.param(encoded(NOISE, format), id=format) for format in FORMATS),
    pytest.param(encoded(NOISE, "JPEG", progressive=True), id="progressive"),
]


@pytest.mark.parametrize("data", FILES)
def test_every_truncation_is_named(data: bytes) -> None:
    for end in range(0, len(data) - 16, 13):
        with pytest.raises(BadSampleError, match=r"^k: "):
            decode(data[:end], "k")


@pytest.mark.parametrize("data", FILES)
def test_flipped_bits_decode_or_are_named(data: bytes) -> None:
    draw = np.random.default_rng(0)
    named = 0
    for _ in range(300):
        flipped = bytearray(data)
        for at in draw.integers(0, len(data), 3):
            flipped[at] ^= 1 << int(draw.integers(8))
        try:
            assert decode(bytes(flipped), "k", 10_000_000).mode == "RGB"
        except BadSampleError as error:
            assert str(error).startswith("k: ")
            named += 1
    assert named


@pytest.mark.parametrize("data", FILES)
def test_truncated_pictures_are_refused_although_another_plugin_lets_them_through(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = data[: len(data) * 2 // 3]
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    if data[:4] != b"RIFF":
        assert Image.open(io.BytesIO(half)).convert("RGB").size == NOISE.size  # the fault is there
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: outcome(half), range(40)))
    assert all(reason.startswith("k: the picture cannot be decoded") for reason in found)
    assert ImageFile.LOAD_TRUNCATED_IMAGES  # for others, all is as it was


def outcome(data: bytes) -> str:
    try:
        return f"decoded {decode(data, 'k').size}"
    except BadSampleError as error:
        return str(error)


@pytest.mark.parametrize(
    ("size", "draft", "expected"),
    [
        ((512, 512), 64, (64, 64)),
        ((640, 400), 100, (160, 100)),  # a quarter; an eighth would be 80 by 50
        ((640, 399), 100, (320, 200)),
        ((401, 803), 100, (101, 201)),
        ((99, 300), 100, (99, 300)),
        ((4000, 101), 100, (4000, 101)),
    ],
)
@pytest.mark.parametrize("progressive", [False, True])
def test_draft_keeps_sides_at_least_as_long(
    size: tuple[int, int], draft: int, expected: tuple[int, int], progressive: bool
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.new("RGB", size, WHITE)
    picture.paste(RED, (0, 0, size[0] // 2, size[1]))
    assert decode(encoded(picture, "JPEG", progressive=progressive), "k", draft=draft).size == expected
    turned = decode(encoded(picture, "JPEG", exif=exif, progressive=progressive), "k", draft=draft)
    assert turned.size == expected[::-1]
    pixels = np.asarray(turned).astype(int)
    assert np.abs(pixels[2, 2] - RED).max() < 6 and np.abs(pixels[-2, 2] - WHITE).max() < 6


def test_what_is_decoded_can_be_sent_to_another_process() -> None:
    for data in (encoded(NOISE, "JPEG"), encoded(NOISE, "PNG"), encoded(NOISE, "WEBP", lossless=True)):
        picture = decode(data, "k")
        assert np.array_equal(np.asarray(pickle.loads(pickle.dumps(picture))), np.asarray(picture))


def test_draft_leaves_other_formats_alone() -> None:
    for format in ("PNG", "WEBP", "GIF"):
        assert decode(encoded(NOISE, format), "k", draft=4).size == NOISE.size


def test_warnings_as_errors_change_nothing() -> None:
    damaged = encoded(NOISE, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x1a\x01\5\0\xff\0\0\0\xff\xff\0\0")
    with pytest.warns(UserWarning):
        Image.open(io.BytesIO(damaged)).load()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(damaged, "k").size == NOISE.size


@pytest.mark.parametrize("data", FILES)
def test_size_of_reads_the_header(data: bytes) -> None:
    assert size_of(io.BytesIO(data)) == NOISE.size
    assert size_of(io.BytesIO(data[: len(data) - 100])) == NOISE.size
    assert size_of(io.BytesIO(data[:5])) is None


def test_size_of_other_files_and_modes() -> None:
    assert size_of(io.BytesIO(b"")) is None
    assert size_of(io.BytesIO(encoded(NOISE, "BMP"))) is None
    assert size_of(io.BytesIO(encoded(NOISE, "WEBP", lossless=True))) == NOISE.size
    clear = NOISE.convert("RGBA")
    clear.putalpha(9)
    assert size_of(io.BytesIO(encoded(clear, "WEBP"))) == NOISE.size
    frames = [NOISE, Image.new("RGB", NOISE.size)]
    for format in ("WEBP", "GIF"):
        animated = encoded(frames[0], format, save_all=True, append_images=frames[1:], comment=b"slow")
        assert size_of(io.BytesIO(animated)) == NOISE.size
