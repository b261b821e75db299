"""Small shards."""

import io
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image

Make = Callable[..., Path]


def picture(red: int = 200, format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (red, 0, 0)).save(buffer, format)
    return buffer.getvalue()


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that writes a tar of named members."""

    def write(name: str, members: Sequence[tuple[str, bytes]], format: int = tarfile.USTAR_FORMAT) -> Path:
        path = tmp_path / name
        with tarfile.open(path, "w", format=format) as tar:
            for member, data in members:
                info = tarfile.TarInfo(member)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return path

    return write


@pytest.fixture
def pairs() -> list[tuple[str, bytes]]:
    """Return the members of three good samples."""
    found: list[tuple[str, bytes]] = []
    for index in range(3):
        found += [(f"{index:03d}.png", picture(100 + index)), (f"{index:03d}.txt", f" caption {index}\n".encode())]
    return found
