"""A dataset that draws its pictures, as a plugin file: what it holds is in a file of JSON lines."""

from __future__ import annotations

import io
import json
import os
import time
from functools import cached_property
from pathlib import Path
from typing import Any, Self, final

from PIL import Image
from typing_extensions import override

from mmx.config import StoredConfig
from mmx.data.stored import StoredDataset
from mmx.parts.dataset import BadSampleError, Raw
from mmx.plugin.hookspecs import hookimpl
from mmx.plugin.registry import Registrar


class ToyConfig(StoredConfig):
    """Options of the dataset ``toy``."""

    path: str
    """The file."""
    upper: bool = False
    """Whether captions are in capitals."""

    @override
    @classmethod
    def at(cls, name: str, path: str) -> Self | None:
        return cls(name=name, path=path) if path.endswith(".toy") else None


@final
class Toy(StoredDataset):
    """Pictures of one colour each. Each takes ``MMX_TOY_WAIT`` seconds to read."""

    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        self.config = config
        self.told: list[int] = []

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in Path(self.config.path).read_text().splitlines()]

    @override
    def __len__(self) -> int:
        return len(self.rows)

    @override
    def key(self, index: int) -> str:
        return self.rows[index]["key"]

    @override
    def ahead(self, indices: Any) -> None:
        self.told += indices

    @override
    def raw(self, index: int) -> Raw:
        time.sleep(float(os.environ.get("MMX_TOY_WAIT", "0")))
        row = self.rows[index]
        if not row["texts"]:
            raise BadSampleError(f"{row['key']}: has no caption{row.get('why', '')}")
        texts = tuple(text.upper() if self.config.upper else text for text in row["texts"])
        return Raw(row["key"], picture(row), texts, row.get("fields", {}), row.get("facts", {}))


def picture(row: dict[str, Any]) -> bytes:
    """Draw a row's picture."""
    kind = row.get("format", "PNG")
    if kind == "broken":
        return b"not a picture"
    file = io.BytesIO()
    Image.new("RGB", tuple(row.get("size", (8, 6))), tuple(row.get("colour", (255, 0, 0)))).save(file, kind)
    return file.getvalue()


@hookimpl
def mmx_register(register: Registrar) -> None:
    """Register the dataset."""
    register("dataset", "toy", config=ToyConfig, part="toy_pairs:Toy", summary="drawn pictures of one colour")
