"""Small shards."""

import io
import json
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Members = Sequence[tuple[str, bytes]]
Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that writes a tar of named members."""

    def write(name: str, members: Members, format: int = tarfile.USTAR_FORMAT) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w", format=format) as tar:
            for member, data in members:
                info = tarfile.TarInfo(member)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return path

    return write


@pytest.fixture
def triples() -> Callable[..., list[tuple[str, bytes]]]:
    """Return a function that makes the members of good samples: picture, caption, JSON."""

    def some(count: int = 3, start: int = 0, **fields: Any) -> list[tuple[str, bytes]]:
        found: list[tuple[str, bytes]] = []
        for number in range(start, start + count):
            picture = io.BytesIO()
            Image.new("RGB", (4 + number, 3), (100 + number, 0, 0)).save(picture, "PNG")
            facts = {"similarity": number / 10, "url": "x", **fields}
            found += [
                (f"{number:03d}.png", picture.getvalue()),
                (f"{number:03d}.txt", f"caption {number}".encode()),
                (f"{number:03d}.json", json.dumps(facts).encode()),
            ]
        return found

    return some
