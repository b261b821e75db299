"""Small datasets of pairs."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from PIL import Image

Write = Callable[[Mapping[str, bytes | str]], Path]
Picture = Callable[[int], bytes]


def _picture(red: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3), (red, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def picture() -> Picture:
    """Return a function that draws a picture of one colour."""
    return _picture


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes files below a folder of the dataset's own, and returns that folder."""

    def files(contents: Mapping[str, bytes | str]) -> Path:
        folder = tmp_path / "data"
        for name, content in contents.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return folder

    return files
