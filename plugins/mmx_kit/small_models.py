"""A small model for checks of formats of weights: built from the format's own tables, written, read and loaded."""

import json
import shutil
from pathlib import Path
from typing import Any, Final, cast

import torch
from torch import Tensor

from mmx.config import WeightsConfig
from mmx.models import build as model_build
from mmx.models.bundle import LoadedModel, assembled, parts_of
from mmx.parts.weights import MODEL_TABLES, ModelData, WeightsFormat
from mmx_kit.case import Case
from mmx_kit.check import BrokenError

_CPU: Final = torch.device("cpu")


def config_of(case: Case) -> WeightsConfig:
    """Return the options, as those of a format."""
    return cast(WeightsConfig, case.config)


def format_of(case: Case) -> WeightsFormat:
    """Build the format."""
    return cast(WeightsFormat, case.build())


def read(case: Case, folder: Path) -> ModelData:
    """Read a folder."""
    return format_of(case).read(folder)


def new_folder(case: Case, name: str) -> Path:
    """Return an empty folder of the case."""
    folder = case.folder / name.replace(" ", "-")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def written(case: Case) -> tuple[Path, ModelData]:
    """Write the small model that the options tell of, with random weights, and return its folder too."""
    tables = {name: dict(table) for name, table in config_of(case).small().items()}
    if set(tables) != set(MODEL_TABLES):
        raise BrokenError(f"small() gives {', '.join(tables) or 'no table'}: expected {', '.join(MODEL_TABLES)}")
    model = loaded(case, ModelData(tables, {}), fresh=True).subject.model
    draw = torch.Generator().manual_seed(0)
    tensors = {name: _random(tensor, draw) for name, tensor in model.state_dict().items()}
    whole = ModelData(tables, tensors)
    folder = new_folder(case, "written")
    format_of(case).write(folder, whole)
    return folder, whole


def _random(tensor: Tensor, draw: torch.Generator) -> Tensor:
    return torch.rand(tensor.shape, generator=draw).sub(0.4).to(tensor.dtype) if tensor.is_floating_point() else tensor


def loaded(case: Case, model: ModelData, fresh: bool = False) -> LoadedModel:
    """Build a model with its tensors; with those that it starts with where ``fresh``."""
    tables = cast("dict[str, Any]", json.loads(json.dumps(dict(model.tables))))
    if not fresh:
        return assembled(tables, case.registries, model.tensors, _CPU, "what was read", Path())
    parts = parts_of(tables, case.registries, "small()", Path())
    found = model_build.model_of(parts, case.registries, model_build.reading(parts, case.registries))[0]
    return assembled(tables, case.registries, found.state_dict(), _CPU, "small()", Path())
