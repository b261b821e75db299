"""The format ``open_clip``: ``open_clip_config.json`` and ``open_clip_model.safetensors``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, final

from typing_extensions import override

from mmx.errors import CheckpointError
from mmx.models.files import read_json, read_tensors, write_model
from mmx.parts.weights import ModelData, WeightsFormat
from mmx_clip.configs import ModifiedResNetConfig, TextTransformerConfig, VitConfig
from mmx_clip.convert import from_open_clip, to_open_clip
from mmx_clip.weights_configs import OPEN_CLIP, OpenClipWeightsConfig
from mmx_clip.weights_model import (
    VOCABULARY,
    ClipTables,
    Table,
    checked,
    clip_tables,
    refuse_others,
    table_of,
    triple,
    unfit,
    whole_number,
)

WEIGHTS: Final = "open_clip_model.safetensors"
_MODEL: Final = {"embed_dim": None, "quick_gelu": None, "vision_cfg": None, "text_cfg": None, "init_logit_scale": None}
_TOWER: Final = {"layers": None, "width": None, "mlp_ratio": None}
_VISION: Final = {
    **_TOWER,
    **{"image_size": None, "patch_size": None, "head_width": None, "patch_dropout": None, "pool_type": "tok"},
}
_TEXT: Final = {
    **_TOWER,
    **{"context_length": None, "vocab_size": None, "heads": None, "hf_tokenizer_name": None, "pool_type": "argmax"},
}
_RESIZE: Final = {"shortest": "crop", "squash": "squash", "longest": "pad"}
_WHITE: Final = (255, [255, 255, 255])
_STAGES: Final = 4


@final
class OpenClipWeights(WeightsFormat):
    """Folders of open_clip: its ``CLIP`` with a ViT or a ModifiedResNet tower and a text transformer.

    open_clip reads what is written here as ``local-dir:FOLDER``. A missing ``quick_gelu`` is false, as it is there; the
    tokenizer is the built-in one unless the description names another.
    """

    def __init__(self, config: OpenClipWeightsConfig) -> None:
        self.config = config

    @override
    def read(self, folder: Path) -> ModelData:
        description = read_json(folder, OPEN_CLIP)
        path = folder / OPEN_CLIP
        tables, untold = _model(table_of(description, "model_cfg", f"{path}"), path)
        preprocess, more = _preprocess(description.get("preprocess_cfg"), tables.pop("size"))
        state, files = read_tensors(folder, WEIGHTS)
        try:
            tensors = from_open_clip(state)
        except CheckpointError as error:
            raise CheckpointError(f"{folder / files[0]}: {error}") from error
        return ModelData({**tables, "preprocess": preprocess}, tensors, {**untold, **more}, files)

    @override
    def write(self, folder: Path, model: ModelData) -> None:
        tables = clip_tables(model.tables, "open_clip")
        stages = tables.image.blocks if isinstance(tables.image, ModifiedResNetConfig) else ()
        description = {"model_cfg": _described(tables), "preprocess_cfg": _described_preprocess(tables)}
        write_model(folder, WEIGHTS, to_open_clip(model.tensors, stages), {OPEN_CLIP: description})


def _model(values: Table, path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Return our tables and the side of the input, and what is not told."""
    where = f"{path}: model_cfg"
    vision, text = table_of(values, "vision_cfg", where), table_of(values, "text_cfg", where)
    refuse_others(values, _MODEL, where)
    refuse_others(vision, _VISION, f"{where}.vision_cfg")
    refuse_others(text, _TEXT, f"{where}.text_cfg")
    activation = "quick_gelu" if values.get("quick_gelu") else "gelu"
    width = whole_number(values, "embed_dim", where)
    resnet = isinstance(vision.get("layers"), list)
    image = _resnet(vision, width, where) if resnet else _vit(vision, activation, where)
    make = ModifiedResNetConfig if resnet else VitConfig
    size = vision.get("image_size", 224)
    size = size[0] if isinstance(size, list) and size[:1] * 2 == size else size
    if type(size) is not int:
        raise CheckpointError(f"{where}.vision_cfg: image_size is {size!r}; mmx reads squares")
    context, ids = whole_number(text, "context_length", where, 77), whole_number(text, "vocab_size", where, VOCABULARY)
    own = ids == VOCABULARY and not text.get("hf_tokenizer_name")
    tables: dict[str, Any] = {
        "image_encoder": checked(make, image, path),
        "text_encoder": checked(TextTransformerConfig, _text(text, activation, where), path),
        "fusion": {"name": "projection", "width": width, "project_image": not resnet},
        "size": size,
    }
    if own:
        return {**tables, "tokenizer": {"name": "clip", "context": context}}, {}
    other = text.get("hf_tokenizer_name") or f"one of {ids:,} ids"
    return tables, {"tokenizer.name": f"its tokenizer is not CLIP's, but {other}, with a context of {context}"}


def _vit(values: Table, activation: str, where: str) -> dict[str, Any]:
    width, head = whole_number(values, "width", where, 768), whole_number(values, "head_width", where, 64)
    return {
        "name": "vit",
        "patch": whole_number(values, "patch_size", where, 16),
        "width": width,
        "layers": whole_number(values, "layers", where, 12),
        "heads": max(1, width // head),
        "mlp_ratio": values.get("mlp_ratio", 4.0),
        "activation": activation,
    }


def _resnet(values: Table, embed: int, where: str) -> dict[str, Any]:
    width, head = whole_number(values, "width", where, 64), whole_number(values, "head_width", where, 64)
    return {
        "name": "modified_resnet",
        "blocks": values["layers"],
        "strides": [1, 2, 2, 2],
        "width": width,
        "heads": max(1, 32 * width // head),
        "output": embed,
    }


def _text(values: Table, activation: str, where: str) -> dict[str, Any]:
    return {
        "name": "transformer",
        "width": whole_number(values, "width", where, 512),
        "layers": whole_number(values, "layers", where, 12),
        "heads": whole_number(values, "heads", where, 8),
        "mlp_ratio": values.get("mlp_ratio", 4.0),
        "activation": activation,
    }


def _preprocess(values: object, size: int) -> tuple[dict[str, Any], dict[str, str]]:
    table: Mapping[str, Any] = values if isinstance(values, dict) else {}
    found: dict[str, Any] = {"size": size}
    untold: dict[str, str] = {}
    for key in ("mean", "std"):
        numbers = triple(table.get(key))
        if numbers is None:
            untold[f"preprocess.{key}"] = f"{OPEN_CLIP} has no preprocess_cfg.{key} of three numbers"
        else:
            found[key] = numbers
    resize, filter_ = table.get("resize_mode", "shortest"), table.get("interpolation", "bicubic")
    if not table:
        untold["preprocess.resize"] = f"{OPEN_CLIP} has no preprocess_cfg"
    elif resize not in _RESIZE or filter_ != "bicubic":
        untold["preprocess.resize"] = f"it resizes by {resize!r} with {filter_!r}; mmx by crop, squash or pad, bicubic"
    elif resize == "longest" and table.get("fill_color", 0) not in _WHITE:
        untold["preprocess.resize"] = (
            f"it pads with the colour {table.get('fill_color', 0)!r}; mmx pads with white, 255"
        )
    else:
        found["resize"] = _RESIZE[resize]
    return found, untold


def _described(model: ClipTables) -> dict[str, Any]:
    image, text = model.image, model.text
    if isinstance(image, VitConfig):
        if image.activation != text.activation:
            raise unfit("open_clip", "two activations", "one of both towers")
        tower: dict[str, Any] = {"layers": image.layers, "head_width": image.width // image.heads}
        vision = {**tower, "patch_size": image.patch, "mlp_ratio": image.mlp_ratio}
    else:
        vision = _described_resnet(image, model)
    return {
        "embed_dim": model.fusion.width,
        "quick_gelu": text.activation == "quick_gelu",
        "vision_cfg": {"image_size": model.preprocess.size, "width": image.width, **vision},
        "text_cfg": {
            **{"context_length": model.tokenizer.context, "vocab_size": VOCABULARY, "width": text.width},
            **{"heads": text.heads, "layers": text.layers, "mlp_ratio": text.mlp_ratio},
        },
    }


def _described_resnet(image: ModifiedResNetConfig, model: ClipTables) -> dict[str, Any]:
    form = (image.stem, image.stem_stride, image.block, image.strides, image.pool, len(image.blocks))
    if form != ("clip", 4, "bottleneck", (1, 2, 2, 2), "attention", _STAGES) or model.fusion.project_image:
        raise unfit("open_clip", "this form of modified_resnet", "CLIP's of four stages, with project_image = false")
    if 32 * image.width % image.heads:
        raise unfit("open_clip", f"image_encoder.heads = {image.heads}", "heads that divide 32 times the width")
    return {"layers": list(image.blocks), "head_width": 32 * image.width // image.heads, "patch_size": None}


def _described_preprocess(model: ClipTables) -> dict[str, Any]:
    how = model.preprocess
    names = {ours: theirs for theirs, ours in _RESIZE.items()}
    return {
        **{"size": how.size, "mode": "RGB", "mean": list(how.mean), "std": list(how.std)},
        **{
            "interpolation": "bicubic",
            "resize_mode": names[how.resize],
            "fill_color": 255 if how.resize == "pad" else 0,
        },
    }
