"""Tars of drawn pictures with captions and scores, some of them damaged, and indexes of them."""

import io
import json
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mmx_shards.format.build import build
from mmx_shards.format.index import NAME
from mmx_shards.format.roles import Extensions
from mmx_storage.files import Files


@dataclass(frozen=True)
class Member:
    """One file of a tar."""

    name: str
    data: bytes


def picture(number: int, side: int = 10, format: str = "PNG") -> bytes:
    """Return the file of a noisy picture, ``side`` pixels high and two more wide; the same for a number every time."""
    pixels = np.random.default_rng(number).integers(0, 120, (side, side + 2, 3), dtype=np.uint8)
    pixels[..., number % 3] += 130
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, format)
    return data.getvalue()


def pair(key: str, image: bytes, caption: bytes, score: float) -> list[Member]:
    """Return the members of a sample; the picture's extension is that of its format, jpg or png."""
    extension = "png" if image.startswith(b"\x89PNG") else "jpg"
    fields = json.dumps({"score": score}).encode()
    return [Member(f"{key}.{extension}", image), Member(f"{key}.txt", caption), Member(f"{key}.json", fields)]


def write(path: Path, members: Iterable[Member]) -> None:
    """Write a tar."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.size = len(member.data)
            tar.addfile(info, io.BytesIO(member.data))


def index(paths: Sequence[Path]) -> Path:
    """Make the index of tars beside them, as ``mmx data index`` does."""
    place = paths[0].parent / NAME
    build(Files([str(path) for path in paths]), Extensions(), place, 1)
    return place
