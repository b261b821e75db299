import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmx.plugin.manager import Plugins
from mmx_data.source import Source, find

TOY = Path(__file__).with_name("toy_pairs.py")
Row = dict[str, Any]
Write = Callable[..., Path]


@pytest.fixture
def toy() -> Path:
    """The plugin file of the dataset ``toy``."""
    return TOY


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write rows into a file that the dataset ``toy`` reads."""

    def written(*rows: Row, name: str = "data.toy") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps({"texts": ["a red thing"], **row}) + "\n" for row in rows))
        return path

    return written


@pytest.fixture
def source() -> Callable[[Path], Source]:
    """Find what reads a file."""

    def found(path: Path, *sets: str) -> Source:
        return find(str(path), Plugins(files=[TOY]).registries, sets=sets)

    return found


@pytest.fixture
def many(write: Write) -> Path:
    """Twenty-three samples of several kinds, two of them bad."""
    rows: list[Row] = [
        {
            "key": f"{index:03d}",
            "format": ("PNG", "JPEG", "WEBP", "GIF")[index % 4],
            "size": [20 + index, 30],
            "colour": [10 * index, 0, 100],
            "texts": [f"thing {index}", f"object {index}"] if index % 3 == 0 else [f"thing {index}"],
            "fields": {"score": index / 10, "url": f"https://example.com/{index}"},
        }
        for index in range(23)
    ]
    rows[5]["format"] = "broken"
    rows[11]["texts"] = []
    return write(*rows)
