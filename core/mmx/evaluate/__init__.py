"""Evaluation: samples through the data workers of training, encoded once, shared out over ranks, memory bounded."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mmx.evaluate.encodings import Encodings as Encodings
    from mmx.evaluate.encodings import encode as encode
    from mmx.evaluate.reading import EncodePass as EncodePass
    from mmx.evaluate.samples import Samples as Samples
    from mmx.evaluate.texts import class_vectors as class_vectors
    from mmx.evaluate.texts import embed_texts as embed_texts

_MODULES: Final = {
    "EncodePass": "reading",
    "Encodings": "encodings",
    "Samples": "samples",
    "class_vectors": "texts",
    "embed_texts": "texts",
    "encode": "encodings",
}


def __getattr__(name: str) -> object:
    """Import a name when it is asked for: results are read, and models looked for, without torch."""
    if name in _MODULES:
        return getattr(import_module(f"mmx.evaluate.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'mmx.evaluate' has no attribute '{name}'")
