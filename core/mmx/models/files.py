"""The files of a model's folder: JSON and safetensors, read with limits. Pickled Python is never opened.

Formats (parts of the kind ``weights``) read and write through this. torch is imported where tensors are made.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from mmx.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

PICKLED: Final = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")
"""Endings of files of pickled Python, which run what they hold when they are opened."""
CONVERT: Final = (
    "it is a file of pickled Python, which runs what it holds and is never opened here; convert it where you trust it: "
    "torch.load(FILE, weights_only=True), then safetensors.torch.save_file"
)
JSON_LIMIT: Final = 1 << 26
"""Bytes that a JSON file may have at most."""
HEADER_LIMIT: Final = 1 << 25
"""Bytes that the header of a safetensors file may have at most: a name, a dtype and a shape for each tensor."""


def plain_file(folder: Path, name: str) -> Path:
    """Return the path of a file in a model's folder.

    A link may lead to a place in the folder, or to the ``blobs`` beside ``snapshots`` that a hub's cache is made of.

    Raises:
        CheckpointError: it is not there, is no plain file, or lies outside of the folder.
    """
    path = folder / name
    if Path(name).name != name:
        raise CheckpointError(f"{folder} names the file {name!r}, which is not the name of a file in it")
    if not os.path.lexists(path):
        raise CheckpointError(f"{path} is not there{_pickled(folder)}")
    real = Path(os.path.realpath(path))
    if not any(real.is_relative_to(Path(os.path.realpath(place))) for place in _places(folder)):
        raise CheckpointError(f"{path} is a link to {real}, outside of the folder; copy the file into the folder")
    if not real.is_file():
        raise CheckpointError(f"{path} is not a file")
    return path


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        CheckpointError: it is not there, is too large, or is not a JSON object.
    """
    path = plain_file(folder, name)
    try:
        if path.stat().st_size > JSON_LIMIT:
            raise CheckpointError(f"{path} has more than {JSON_LIMIT:,} bytes; a description is small")
        values = json.loads(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} is not a JSON object")
    return cast("dict[str, Any]", values)


def glance(folder: Path, name: str) -> dict[str, Any]:
    """Return the JSON object in a file, empty where there is none that can be read: for a format that looks at a folder."""
    try:
        return read_json(folder, name)
    except CheckpointError:
        return {}


def read_tensors(folder: Path, name: str = "model.safetensors") -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the tensors of a safetensors file, or of those that an index beside its name lists, and the files' names.

    Raises:
        CheckpointError: a file is not there or is damaged, or a tensor is not in the file that the index says.
    """
    index = f"{name}.index.json"
    if os.path.lexists(folder / name) or not os.path.lexists(folder / index):
        return _tensors(plain_file(folder, name)), (name,)
    placed = read_json(folder, index).get("weight_map")
    if not (isinstance(placed, dict) and placed and all(isinstance(one, str) for one in placed.values())):
        raise CheckpointError(f"{folder / index} has no weight_map from tensors to files")
    where = cast("dict[str, str]", placed)
    files = tuple(sorted(set(where.values())))
    held = {file: _tensors(plain_file(folder, file)) for file in files}
    lost = [key for key, file in where.items() if key not in held[file]]
    if lost:
        raise CheckpointError(f"{folder / where[lost[0]]} has no tensor {lost[0]!r}, which {index} says is in it")
    return {key: held[file][key] for key, file in where.items()}, files


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error


def write_model(
    folder: Path, weights: str, tensors: Mapping[str, Tensor], texts: Mapping[str, Mapping[str, Any]]
) -> None:
    """Write tensors as a safetensors file, and JSON files beside it.

    Args:
        folder: where they go.
        weights: the name of the safetensors file.
        tensors: by name.
        texts: the objects of the JSON files, by name.

    Raises:
        CheckpointError: they cannot be written.
    """
    from safetensors.torch import save_file

    try:
        save_file(
            {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, folder / weights, {"format": "pt"}
        )
        for name, values in texts.items():
            (folder / name).write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise CheckpointError(f"the model cannot be written to {folder}: {error.strerror or error}") from error


def pickled_in(folder: Path) -> list[str]:
    """Return the names of files of pickled Python in a folder."""
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(PICKLED))
    except OSError:
        return []


def _pickled(folder: Path) -> str:
    found = pickled_in(folder)
    return f"; {found[0]} is: {CONVERT}" if found else ""


def _places(folder: Path) -> tuple[Path, ...]:
    here = folder.absolute()
    return (here, here.parents[1] / "blobs") if here.parent.name == "snapshots" else (here,)


def _tensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    _check_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise CheckpointError(f"{path} is not a safetensors file: {error}") from error


def _check_header(path: Path) -> None:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    if len(start) < 8:
        raise CheckpointError(f"{path} is not a safetensors file: it has {len(start)} bytes")
    length = struct.unpack("<Q", start)[0]
    if length > min(size - 8, HEADER_LIMIT):
        raise CheckpointError(
            f"{path} is not a safetensors file: its header says that it has {length:,} bytes, of a file of {size:,} "
            f"(at most {HEADER_LIMIT:,})"
        )
