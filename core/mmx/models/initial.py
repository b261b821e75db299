"""Weights that a run starts from: read once, put into the model that was built, and written down."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from torch import nn

from mmx.checkpoint.atomic import write_bytes
from mmx.checkpoint.state import fill
from mmx.checkpoint.stored import Picked
from mmx.config import EncoderConfig
from mmx.errors import CheckpointError
from mmx.models.find import FoundModel
from mmx.models.load import digests, read_model, widened
from mmx.models.wanted import TOWERS, WHOLE, found_models
from mmx.parts.weights import ModelData
from mmx.plugin.manager import Plugins
from mmx.recipe.schema import Recipe

Say = Callable[[str], None]
RECORD: Final = "weights.json"
_COMMON: Final = frozenset(EncoderConfig.model_fields) - {"name"}
"""Options of towers that say nothing of what a tower computes."""


@dataclass(frozen=True)
class Origin:
    """Where weights came from."""

    table: str
    """The recipe's table: ``weights``, ``image_encoder.weights`` or ``text_encoder.weights``."""
    model: str
    """As the recipe names it."""
    folder: str
    """The absolute path that it was read from."""
    format: str
    files: dict[str, str]
    """The sha256 of each file that was read, by its path in the folder."""
    tensors: int
    """How many of the model's tensors came from it."""


def initialise(model: nn.Module, recipe: Recipe, plugins: Plugins, say: Say) -> list[Origin]:
    """Put the weights that a recipe starts from into its model. Each tensor has one source at most.

    Args:
        model: what was built of the recipe, on any device.
        recipe: names the sources in ``weights`` and in the towers' own ``weights``.
        plugins: those that have the formats.
        say: is told what was read, and which of the model's options differ from those that the weights were made with.

    Raises:
        CheckpointError: a source is not there, cannot be read or does not fit; the message starts with its key.
    """
    found = found_models(recipe, plugins.registries)
    origins: list[Origin] = []
    for key, one in found.items():
        pieces = _pieces(key, found)
        try:
            data = read_model(one, plugins, say)
            origins.append(_fill(model, one, data, key, pieces))
        except CheckpointError as error:
            raise CheckpointError(f"{key}.from: {error}") from error
        for line in (_told(origins[-1]), widened(data.tensors), *_differences(data, recipe, pieces)):
            if line:
                say(f"{key}: {line}")
    return origins


def record(folder: Path, origins: list[Origin]) -> None:
    """Write down in a run's folder where its first weights came from.

    Raises:
        CheckpointError: it cannot be written.
    """
    rows = [asdict(origin) for origin in origins]
    try:
        write_bytes(folder / RECORD, (json.dumps(rows, indent=2, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise CheckpointError(f"cannot write {folder / RECORD}: {error.strerror}") from error


def _pieces(key: str, found: Mapping[str, FoundModel]) -> tuple[str, ...]:
    """Return the pieces of the model that a table is for: a tower, or all that no other table is for."""
    if key != WHOLE:
        return (key.removesuffix(f".{WHOLE}"),)
    return tuple(name for name in (*TOWERS, "fusion") if f"{name}.{WHOLE}" not in found)


def _fill(model: nn.Module, found: FoundModel, data: ModelData, key: str, pieces: tuple[str, ...]) -> Origin:
    own = {name: tensor for name, tensor in model.state_dict().items() if name.startswith(_prefixes(pieces))}
    left = _prefixes(name for name in TOWERS if name not in pieces)
    used = (
        name
        for name in data.tensors
        if not name.startswith(left) and (key == WHOLE or name.startswith(_prefixes(pieces)))
    )
    fill(own, Picked({name: (data.tensors, name) for name in used}), f"the weights of {found.path}")
    return Origin(key, found.given, str(found.path.absolute()), found.format, digests(found, data), len(own))


def _prefixes(pieces: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{name}." for name in pieces)


def _told(origin: Origin) -> str:
    return f"{origin.tensors} tensors from {origin.model} ({origin.format})"


def _differences(data: ModelData, recipe: Recipe, pieces: tuple[str, ...]) -> Iterator[str]:
    """Yield a line on each option that the weights were made with and that the recipe has otherwise."""
    resolved = recipe.resolved()
    reads = {"image_encoder": "preprocess", "text_encoder": "tokenizer"}
    for table in (*pieces, *(reads[name] for name in pieces if name in reads)):
        own: Mapping[str, Any] = resolved[table]
        for key, value in data.tables.get(table, {}).items():
            plain = json.loads(json.dumps(value))
            if key not in _COMMON and own.get(key) != plain:
                yield f"made with {table}.{key} = {json.dumps(value)}; the recipe has {json.dumps(own.get(key))}"
