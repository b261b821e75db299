"""The kinds of part, and one registered part."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module
from typing import Final, cast

from mmx.config import (
    DatasetConfig,
    EncoderConfig,
    EngineConfig,
    EvaluatorConfig,
    LossConfig,
    PartConfig,
    TrackerConfig,
    TransformConfig,
)
from mmx.errors import PluginError

KINDS: Final[dict[str, str]] = {
    "image_encoder": "mmx.parts.encoder:ImageEncoder",
    "text_encoder": "mmx.parts.encoder:TextEncoder",
    "fusion": "mmx.parts.fusion:Fusion",
    "loss": "mmx.parts.loss:Loss",
    "dataset": "mmx.parts.dataset:Dataset",
    "image_transform": "mmx.parts.transform:ImageTransform",
    "text_transform": "mmx.parts.transform:TextTransform",
    "tokenizer": "mmx.parts.tokenizer:Tokenizer",
    "evaluator": "mmx.parts.evaluator:Evaluator",
    "engine": "mmx.parts.engine:Engine",
    "tracker": "mmx.parts.tracker:Tracker",
}
"""Every kind of part, and the contract it fulfils. The contracts import torch, so they are named, not imported."""

CONFIGS: Final[dict[str, type[PartConfig]]] = {
    "image_encoder": EncoderConfig,
    "text_encoder": EncoderConfig,
    "loss": LossConfig,
    "dataset": DatasetConfig,
    "image_transform": TransformConfig,
    "text_transform": TransformConfig,
    "evaluator": EvaluatorConfig,
    "engine": EngineConfig,
    "tracker": TrackerConfig,
}
"""What a part's options derive from, by kind; PartConfig where a kind is not listed."""

NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
REFERENCE: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Entry:
    """One registered part: its name, what it is, its options, and where the part itself is found."""

    kind: str
    name: str
    summary: str
    config: type[PartConfig]
    part: str
    """``module:Class``, imported when the part is built."""
    owner: str
    """The distribution (or file) whose plugin registered the part."""

    def load(self) -> type:
        """Import the part and check that it fulfils the contract of its kind."""
        found = _locate(self.part, self.describe())
        contract = cast(type, _locate(KINDS[self.kind], "the core"))
        if not (isinstance(found, type) and issubclass(found, contract)):
            raise PluginError(f"{self.describe()}: {self.part} is not a subclass of {KINDS[self.kind]}")
        return found

    def describe(self) -> str:
        """Name the part and its owner, for messages."""
        return f"{self.kind} '{self.name}' of {self.owner}"


def _locate(reference: str, owner: str) -> object:
    module, _, attribute = reference.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except Exception as error:
        raise PluginError(f"{owner}: cannot import {reference}: {type(error).__name__}: {error}") from error
