"""Two formats of model folders, for tests: the toy model's tensors under other names."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from typing_extensions import override

from mmx.config import WeightsConfig
from mmx.models.files import glance, read_json, read_tensors, write_model
from mmx.parts.weights import ModelData, WeightsFormat
from mmx.plugin.manager import Plugins
from mmx_toy.start import plugins

TABLES: Mapping[str, Mapping[str, Any]] = {
    **{name: {"name": "toy"} for name in ("image_encoder", "text_encoder", "fusion", "tokenizer")},
    "preprocess": {"size": 6, "resize": "squash"},
}


class FlatConfig(WeightsConfig):
    """Recognises folders with ``flat.json``."""

    @classmethod
    @override
    def recognises(cls, folder: Path) -> bool:
        return "flat" in glance(folder, "flat.json")


class ColdConfig(WeightsConfig):
    """Recognises folders with ``cold.json``."""

    @classmethod
    @override
    def recognises(cls, folder: Path) -> bool:
        return "cold" in glance(folder, "cold.json")


class Flat(WeightsFormat):
    """Tensors with a letter before their names; the description may leave out the preprocessing."""

    def __init__(self, config: FlatConfig | ColdConfig) -> None:
        self.config = config

    @override
    def read(self, folder: Path) -> ModelData:
        tensors, files = read_tensors(folder, "flat.safetensors")
        told = read_json(folder, "flat.json")["flat"]
        untold = {} if "resize" in told["preprocess"] else {"preprocess.resize": "flat.json does not say"}
        return ModelData(told, {name.removeprefix("x."): value for name, value in tensors.items()}, untold, files)

    @override
    def write(self, folder: Path, model: ModelData) -> None:
        tensors = {f"x.{name}": value for name, value in model.tensors.items()}
        write_model(folder, "flat.safetensors", tensors, {"flat.json": {"flat": dict(model.tables)}})


def with_formats() -> Plugins:
    """Return the toy plugins and the two formats."""
    found = plugins()
    add = found.registries.owned_by("formats")
    add("weights", "flat", config=FlatConfig, part=f"{__name__}:Flat", summary="flat.json beside flat.safetensors")
    add("weights", "cold", config=ColdConfig, part=f"{__name__}:Flat", summary="cold.json")
    return found


def flat(folder: Path, tensors: Mapping[str, Any], tables: Mapping[str, Any] = TABLES) -> Path:
    """Write a folder of the format ``flat``."""
    folder.mkdir()
    Flat(FlatConfig(name="flat")).write(folder, ModelData(json.loads(json.dumps(dict(tables))), tensors))
    return folder
