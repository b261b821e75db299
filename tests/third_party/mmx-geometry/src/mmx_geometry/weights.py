"""A folder with the model's tables in ``geometry.json``, and its tensors under names of the format's own."""

from pathlib import Path
from typing import Final, final

from typing_extensions import override

from mmx.errors import CheckpointError
from mmx.models.files import read_json, read_tensors, write_model
from mmx.parts.weights import ModelData, WeightsFormat
from mmx_geometry.configs import DESCRIPTION, TABLES, GeometryFormatConfig

FILE: Final = "geometry.safetensors"
NAMES: Final = {"image_encoder": "eye", "text_encoder": "ear", "fusion": "space"}
"""What the format calls the pieces of a model."""


@final
class GeometryFormat(WeightsFormat):
    """Tensors are called as in mmx, but for the first word of their names."""

    def __init__(self, config: GeometryFormatConfig) -> None:
        self.config = config

    @override
    def read(self, folder: Path) -> ModelData:
        described = read_json(folder, DESCRIPTION)
        tensors, files = read_tensors(folder, FILE)
        ours = {theirs: name for name, theirs in NAMES.items()}
        unknown = [name for name in tensors if name.partition(".")[0] not in ours]
        if unknown:
            raise CheckpointError(f"{folder / FILE}: the tensor {unknown[0]} belongs to none of {', '.join(ours)}")
        found = {_renamed(name, ours): tensor for name, tensor in tensors.items()}
        return ModelData({name: described[name] for name in TABLES}, found, files=files)

    @override
    def write(self, folder: Path, model: ModelData) -> None:
        tensors = {_renamed(name, NAMES): tensor for name, tensor in model.tensors.items()}
        write_model(folder, FILE, tensors, {DESCRIPTION: dict(model.tables)})


def _renamed(name: str, names: dict[str, str]) -> str:
    first, dot, rest = name.partition(".")
    return names[first] + dot + rest
