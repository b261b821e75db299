"""Options of CLIP's formats of weights, and how their folders are recognised. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from typing_extensions import override

from mmx.config import WeightsConfig
from mmx.models.files import glance

OPEN_CLIP: Final = "open_clip_config.json"
"""The description in a folder in open_clip's layout."""
TRANSFORMERS: Final = "config.json"
"""The description in a folder of transformers."""

_SMALL: Final[Mapping[str, Mapping[str, Any]]] = {
    "image_encoder": {"name": "vit", "patch": 8, "width": 16, "layers": 2, "heads": 2, "activation": "gelu"},
    "text_encoder": {"name": "transformer", "width": 8, "layers": 2, "heads": 1, "activation": "gelu"},
    "fusion": {"name": "projection", "width": 12},
    "tokenizer": {"name": "clip", "context": 16},
    "preprocess": {"size": 16, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4], "resize": "squash"},
}


class OpenClipWeightsConfig(WeightsConfig):
    """Options of the format ``open_clip``: none."""

    @classmethod
    @override
    def recognises(cls, folder: Path) -> bool:
        return "model_cfg" in glance(folder, OPEN_CLIP)

    @override
    def small(self) -> Mapping[str, Mapping[str, Any]]:
        return _SMALL


class TransformersWeightsConfig(WeightsConfig):
    """Options of the format ``transformers``: none."""

    @classmethod
    @override
    def recognises(cls, folder: Path) -> bool:
        return glance(folder, TRANSFORMERS).get("model_type") == "clip"

    @override
    def small(self) -> Mapping[str, Mapping[str, Any]]:
        return _SMALL
