"""Options of the format. This module does not import torch, so that folders are recognised without it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmx.config import WeightsConfig
from mmx.models.files import glance

DESCRIPTION = "this_part.json"
TABLES = ("image_encoder", "text_encoder", "fusion", "tokenizer", "preprocess")


class ThisPartConfig(WeightsConfig):
    """Options of the format ``this-part``: none."""

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        """Say whether a folder is of this format: by its description, which is read with limits and without errors."""
        return set(TABLES) <= set(glance(folder, DESCRIPTION))

    def small(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the tables of a small model, which the conformance kit writes and reads."""
        return {
            "image_encoder": {"name": "vit", "patch": 8, "width": 16, "layers": 1, "heads": 2},
            "text_encoder": {"name": "transformer", "width": 8, "layers": 1, "heads": 1},
            "fusion": {"name": "projection", "width": 8},
            "tokenizer": {"name": "clip", "context": 8, "merges": 0},
            "preprocess": {"size": 16, "resize": "squash"},
        }
