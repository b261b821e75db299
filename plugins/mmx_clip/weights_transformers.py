"""The format ``transformers``: folders that its ``CLIPModel`` reads and writes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, final

from typing_extensions import override

from mmx.errors import CheckpointError
from mmx.models.files import read_json, read_tensors, write_model
from mmx.parts.weights import ModelData, WeightsFormat
from mmx_clip.configs import TextTransformerConfig, TransformerConfig, VitConfig
from mmx_clip.convert import from_transformers, to_transformers
from mmx_clip.weights_configs import TRANSFORMERS, TransformersWeightsConfig
from mmx_clip.weights_files import described_preprocess, preprocess_of, tokenizer_files, tokenizer_of
from mmx_clip.weights_model import (
    VOCABULARY,
    ClipTables,
    Table,
    checked,
    clip_tables,
    hidden,
    mlp_ratio,
    table_of,
    unfit,
    whole_number,
)

WEIGHTS: Final = "model.safetensors"
_EPSILON: Final = 1e-5


@final
class TransformersWeights(WeightsFormat):
    """Folders of transformers' ``CLIPModel``. What its description leaves out has that class's defaults."""

    def __init__(self, config: TransformersWeightsConfig) -> None:
        self.config = config

    @override
    def read(self, folder: Path) -> ModelData:
        values, path = read_json(folder, TRANSFORMERS), folder / TRANSFORMERS
        vision = table_of({"vision_config": {}, **values}, "vision_config", f"{path}")
        text = table_of({"text_config": {}, **values}, "text_config", f"{path}")
        size, context = whole_number(vision, "image_size", f"{path}", 224), _context(text, path)
        preprocess, untold = preprocess_of(folder, size)
        tokenizer = tokenizer_of(folder, text)
        tables: dict[str, Any] = {
            "image_encoder": checked(VitConfig, _vision(vision, path), path),
            "text_encoder": checked(TextTransformerConfig, _text(text, path), path),
            "fusion": {"name": "projection", "width": whole_number(values, "projection_dim", f"{path}", 512)},
            "preprocess": preprocess,
        }
        if tokenizer:
            untold = {"tokenizer.name": f"{tokenizer}; its context is {context}", **untold}
        else:
            tables["tokenizer"] = {"name": "clip", "context": context}
        state, files = read_tensors(folder, WEIGHTS)
        try:
            return ModelData(tables, from_transformers(state), untold, files)
        except CheckpointError as error:
            raise CheckpointError(f"{folder / files[0]}: {error}") from error

    @override
    def write(self, folder: Path, model: ModelData) -> None:
        tables = clip_tables(model.tables, "transformers' CLIPModel")
        texts = {TRANSFORMERS: _described(tables), **described_preprocess(tables.preprocess)}
        write_model(folder, WEIGHTS, to_transformers(model.tensors), texts)
        tokenizer_files(folder, tables.tokenizer.context)


def _context(text: Table, path: Path) -> int:
    return whole_number(text, "max_position_embeddings", f"{path}", 77)


def _vision(values: Table, path: Path) -> dict[str, Any]:
    _refuse(values, f"{path}: vision_config")
    if values.get("num_channels", 3) != 3:
        raise CheckpointError(f"{path}: vision_config: num_channels is {values['num_channels']!r}; mmx reads 3, RGB")
    return {
        "name": "vit",
        "patch": whole_number(values, "patch_size", f"{path}", 32),
        **_tower(values, {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}, path),
    }


def _text(values: Table, path: Path) -> dict[str, Any]:
    _refuse(values, f"{path}: text_config")
    sizes = {"hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8}
    return {"name": "transformer", **_tower(values, sizes, path)}


def _tower(values: Table, defaults: Mapping[str, int], path: Path) -> dict[str, Any]:
    width, inner, heads = (whole_number(values, key, f"{path}", default) for key, default in defaults.items())
    return {
        "width": width,
        "layers": whole_number(values, "num_hidden_layers", f"{path}", 12),
        "heads": heads,
        "mlp_ratio": mlp_ratio(width, inner),
        "activation": values.get("hidden_act", "quick_gelu"),
    }


def _refuse(values: Table, where: str) -> None:
    if values.get("layer_norm_eps", _EPSILON) != _EPSILON:
        raise CheckpointError(f"{where}: layer_norm_eps is {values['layer_norm_eps']!r}; mmx computes with {_EPSILON}")
    if values.get("attention_dropout"):
        raise CheckpointError(f"{where}: attention_dropout is {values['attention_dropout']!r}; mmx's towers have none")


def _described(model: ClipTables) -> dict[str, Any]:
    image, text = model.image, model.text
    if not isinstance(image, VitConfig):
        raise unfit("transformers' CLIPModel", f"image_encoder.name = '{image.name}'", "a vit")
    start, end = VOCABULARY - 2, VOCABULARY - 1
    ids = {"vocab_size": VOCABULARY, "bos_token_id": start, "eos_token_id": end, "pad_token_id": end}
    context = {"max_position_embeddings": model.tokenizer.context}
    vision = {"image_size": model.preprocess.size, "patch_size": image.patch, "num_channels": 3}
    return {
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        "projection_dim": model.fusion.width,
        "text_config": {"model_type": "clip_text_model", **_described_tower(text, model), **context, **ids},
        "vision_config": {"model_type": "clip_vision_model", **_described_tower(image, model), **vision},
    }


def _described_tower(config: TransformerConfig, model: ClipTables) -> dict[str, Any]:
    return {
        "hidden_size": config.width,
        "intermediate_size": hidden(config),
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "hidden_act": config.activation,
        "layer_norm_eps": _EPSILON,
        "projection_dim": model.fusion.width,
    }
