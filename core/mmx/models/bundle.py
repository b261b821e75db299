"""The folder ``model/``: weights and everything needed to use them, loadable alone."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

import torch
from PIL import Image
from pydantic import ValidationError
from torch import Tensor

from mmx.checkpoint.atomic import replace, write_bytes
from mmx.checkpoint.state import load_weights
from mmx.checkpoint.stored import open_tensors
from mmx.checkpoint.tensors import content_of
from mmx.config import EncoderConfig, PartConfig
from mmx.errors import CheckpointError
from mmx.models import build as model_build
from mmx.models.inputs import pixel_rows, strings
from mmx.parts.batch import Pixels
from mmx.parts.evaluator import EvalModel
from mmx.parts.lazy import Tensors
from mmx.parts.weights import MODEL_TABLES
from mmx.plugin.registry import Registries
from mmx.recipe.schema import PreprocessTable, Recipe

FORMAT: Final = 1


@final
@dataclass(frozen=True)
class LoadedModel:
    """A trained model with its tokenizer and preprocessing, ready to embed pictures and texts."""

    subject: EvalModel
    tables: Mapping[str, Any] = field(repr=False)
    """The recipe's tables the model was built from."""

    @torch.no_grad()
    def embed_images(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Return unit-length embeddings ``b d`` of pictures of any size and mode; ``0 d`` of an empty list.

        Raises:
            DataError: it is not a list of PIL images, or one of them cannot be read; the message says which.
        """
        rows = pixel_rows(pictures, self.subject.preprocess)
        if not rows:
            return self.embed_images([Image.new("RGB", (1, 1))])[:0]
        device = self.subject.model.mean.device
        return self.subject.model.embed_image(Pixels(torch.stack(rows).to(device)))

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Return unit-length embeddings ``b d`` of texts; ``0 d`` of an empty list.

        Raises:
            DataError: it is not a list of strings; the message says what it is.
        """
        words = strings(texts)
        if not words:
            return self.embed_texts([""])[:0]
        return self.subject.model.embed_text(self.subject.tokenizer(words).to(self.subject.model.mean.device))


def save_bundle(folder: Path, recipe: Recipe, weights: Tensors, step: int) -> None:
    """Write ``model.safetensors``, one tensor at a time, and ``model.json``, each under a temporary name first.

    Raises:
        CheckpointError: they cannot be written.
    """
    resolved = recipe.resolved()
    content = content_of("model", weights)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = replace(folder / "model.safetensors", content.pieces())
        for name in recipe.tokenizer.needed_files():
            write_bytes(folder / name, recipe.tokenizer.needed_file(name).read_bytes())
        facts = {"format": FORMAT, "step": step, "sha256": written.sha256}
        description = {**facts, **model_tables(resolved)}
        write_bytes(folder / "model.json", (json.dumps(description, indent=2) + "\n").encode())
    except OSError as error:
        raise CheckpointError(
            f"the model cannot be written to {folder}: {error.strerror}; mend this, then resume"
        ) from error


def model_tables(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables of a recipe that describe its model; where its first weights came from is no part of it."""
    towers = ("image_encoder", "text_encoder")
    return {
        name: {k: v for k, v in resolved[name].items() if name not in towers or k != "weights"} for name in MODEL_TABLES
    }


def read_bundle(folder: Path) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
    """Return what a model folder says of the model, and its weights, which stay in their file until they are asked for.

    Raises:
        CheckpointError: it is not one, is of a newer format, or its weights are not those that it describes.
    """
    try:
        tables = json.loads((folder / "model.json").read_bytes())
        written, weights = open_tensors(folder / "model.safetensors")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder} is not a model folder (model.json and model.safetensors): {error}") from error
    if not isinstance(tables, dict):
        raise CheckpointError(f"{folder / 'model.json'} does not describe a model: it is not a JSON object")
    if tables.get("format") != FORMAT:
        raise CheckpointError(
            f"{folder / 'model.json'} has format {tables.get('format')}; this mmx reads format {FORMAT}"
        )
    if tables.get("sha256") != written.sha256:
        raise CheckpointError(
            f"{folder / 'model.safetensors'} was changed: it is not the file that model.json describes"
        )
    if isinstance(weights, str):
        raise CheckpointError(f"{folder / 'model.safetensors'} cannot be read: {weights}")
    return tables, weights


def load_bundle(folder: Path, registries: Registries, device: torch.device) -> LoadedModel:
    """Load a model folder.

    Raises:
        CheckpointError: it is not one, is of a newer format, or its weights do not fit its description.
    """
    tables, weights = read_bundle(folder)
    return assembled(tables, registries, weights, device, f"{folder / 'model.json'}", folder)


def assembled(
    tables: Mapping[str, Any],
    registries: Registries,
    weights: Mapping[str, Tensor],
    device: torch.device,
    described: str,
    copies: Path,
) -> LoadedModel:
    """Build the model that tables describe, with these weights.

    ``described`` is what messages call the tables; the folder ``copies`` has copies of the files that parts need.

    Raises:
        CheckpointError: the tables do not describe a model, or the weights do not fit it.
    """
    return _assemble(parts_of(tables, registries, described, copies), tables, registries, weights, device)


def loaded_from(
    recipe: Recipe, registries: Registries, weights: Mapping[str, Tensor], device: torch.device
) -> LoadedModel:
    """Build the model of a recipe with these weights."""
    return _assemble(recipe, recipe.resolved(), registries, weights, device)


def _assemble(
    parts: model_build.ModelParts,
    tables: Mapping[str, Any],
    registries: Registries,
    weights: Mapping[str, Tensor],
    device: torch.device,
) -> LoadedModel:
    read = model_build.reading(parts, registries)
    model, _ = model_build.model_of(parts, registries, read)
    load_weights(model, weights)
    return LoadedModel(EvalModel(model.to(device).eval(), read.tokenizer, read.preprocess), tables)


@dataclass(frozen=True)
class _Parts:
    image_encoder: EncoderConfig
    text_encoder: EncoderConfig
    fusion: PartConfig
    tokenizer: PartConfig
    preprocess: PreprocessTable


def parts_of(tables: Mapping[str, Any], registries: Registries, described: str, copies: Path) -> _Parts:
    """Return the options that tables hold.

    Args:
        tables: of a recipe.
        registries: the parts there are.
        described: what messages call the tables.
        copies: the folder that has copies of the files that parts need.

    Raises:
        CheckpointError: the tables do not describe a model.
    """

    def config(kind: str) -> Any:
        text = json.dumps(tables[kind])
        return registries[kind][tables[kind]["name"]].config.model_validate_json(text)

    try:
        kinds: dict[str, Any] = {
            kind: config(kind) for kind in ("image_encoder", "text_encoder", "fusion", "tokenizer")
        }
        kinds["tokenizer"].use_copies(copies)
        return _Parts(**kinds, preprocess=PreprocessTable.model_validate_json(json.dumps(tables["preprocess"])))
    except (KeyError, TypeError, ValidationError) as error:
        raise CheckpointError(f"{described} does not describe a model: {error}") from error
