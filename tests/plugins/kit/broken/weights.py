"""A format of weights that keeps its contract, and variations of it that do not."""

import itertools
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from typing_extensions import override

from broken.table import Broken, Twin
from mmx.config import WeightsConfig
from mmx.models.files import glance, read_json, read_tensors, write_model
from mmx.parts.weights import ModelData, WeightsFormat

TABLES: Mapping[str, Mapping[str, Any]] = {
    "image_encoder": {"name": "vit", "patch": 8, "width": 8, "layers": 1, "heads": 1, "activation": "gelu"},
    "text_encoder": {"name": "transformer", "width": 8, "layers": 1, "heads": 1},
    "fusion": {"name": "projection", "width": 6},
    "tokenizer": {"name": "clip", "context": 8, "merges": 0},
    "preprocess": {"size": 16, "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2], "resize": "squash"},
}


class PlainConfig(WeightsConfig):
    @classmethod
    @override
    def recognises(cls, folder: Path) -> bool:
        return "plain" in glance(folder, "plain.json")

    @override
    def small(self) -> Mapping[str, Mapping[str, Any]]:
        return TABLES


class Plain(WeightsFormat):
    """The twin: one file of tensors, and one that holds the tables."""

    def __init__(self, config: PlainConfig) -> None:
        self.config = config

    @override
    def read(self, folder: Path) -> ModelData:
        tensors, files = read_tensors(folder, "plain.safetensors")
        return ModelData(read_json(folder, "plain.json")["plain"], tensors, files=files)

    @override
    def write(self, folder: Path, model: ModelData) -> None:
        write_model(folder, "plain.safetensors", model.tensors, {"plain.json": {"plain": dict(model.tables)}})


class GreedyConfig(PlainConfig):
    @classmethod
    @override
    def recognises(cls, folder: Path) -> bool:
        return any(folder.glob("*.safetensors"))


class BlindConfig(PlainConfig):
    @classmethod
    @override
    def recognises(cls, folder: Path) -> bool:
        return False


class RaisingConfig(PlainConfig):
    @classmethod
    @override
    def recognises(cls, folder: Path) -> bool:
        path = folder / "plain.json"
        return path.exists() and b"plain" in path.read_bytes() and bool(read_json(folder, "plain.json"))


class SlowConfig(PlainConfig):
    @classmethod
    @override
    def recognises(cls, folder: Path) -> bool:
        path = folder / "plain.safetensors"
        return "plain" in glance(folder, "plain.json") and path.is_file() and path.stat().st_size > 8


class Halves(Plain):
    @override
    def write(self, folder: Path, model: ModelData) -> None:
        super().write(folder, replace(model, tensors={name: value.half() for name, value in model.tensors.items()}))


class Forgets(Plain):
    """Leaves out a tensor that it takes for a setting."""

    @override
    def write(self, folder: Path, model: ModelData) -> None:
        kept = {name: value for name, value in model.tensors.items() if not name.endswith("logit_scale")}
        super().write(folder, replace(model, tensors=kept))


class Pickles(Plain):
    @override
    def write(self, folder: Path, model: ModelData) -> None:
        super().write(folder, model)
        (folder / "tables.pkl").write_bytes(pickle.dumps(dict(model.tables)))


class LosesActivation(Plain):
    @override
    def read(self, folder: Path) -> ModelData:
        found = super().read(folder)
        image = {key: value for key, value in found.tables["image_encoder"].items() if key != "activation"}
        return replace(found, tables={**found.tables, "image_encoder": image})


class Silent(Plain):
    @override
    def read(self, folder: Path) -> ModelData:
        return replace(super().read(folder), untold={"preprocess.mean": "never looked for"})


class Tolerant(Plain):
    """Reads as much as there is."""

    @override
    def read(self, folder: Path) -> ModelData:
        try:
            return super().read(folder)
        except Exception:
            return ModelData(TABLES, {}, files=("plain.safetensors",))


class Crashes(Plain):
    @override
    def read(self, folder: Path) -> ModelData:
        (folder / "plain.safetensors").read_bytes()[8]
        return super().read(folder)


class Stamps(Plain):
    """Notes in the folder that it was read."""

    @override
    def read(self, folder: Path) -> ModelData:
        (folder / "read").touch()
        return super().read(folder)


class Scales(Plain):
    """Changes the tensors that it is given while it writes."""

    @override
    def write(self, folder: Path, model: ModelData) -> None:
        save_file({name: value.clone() for name, value in model.tensors.items()}, folder / "plain.safetensors")
        super().write(folder, model)
        next(iter(model.tensors.values())).mul_(2)


def _broken(check: str, *parts: type[Plain]) -> Iterator[Broken]:
    return (Broken("weights", part.__name__, f"{__name__}:{part.__name__}", PlainConfig, check) for part in parts)


def _told(check: str, *configs: type[PlainConfig]) -> Iterator[Broken]:
    return (Broken("weights", config.__name__, f"{__name__}:Plain", config, check) for config in configs)


WEIGHT_FORMAT = Twin("weights", "Plain", f"{__name__}:Plain", PlainConfig)
WEIGHTS = tuple(
    itertools.chain(
        _told("recognised", GreedyConfig, BlindConfig),
        _told("quick look", RaisingConfig, SlowConfig),
        _broken("tensors", Halves, Forgets, Pickles),
        _broken("same model", LosesActivation, Silent),
        _broken("damage", Tolerant, Crashes),
        _broken("left alone", Stamps, Scales),
    )
)
