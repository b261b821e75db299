"""The contract of weights: formats of model folders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from torch import Tensor

MODEL_TABLES: Final = ("image_encoder", "text_encoder", "fusion", "tokenizer", "preprocess")
"""The tables of a recipe that describe a model by itself."""


@dataclass(frozen=True)
class ModelData:
    """A model as a folder holds it: what it is made of, and its weights."""

    tables: Mapping[str, Mapping[str, Any]]
    """The tables ``image_encoder``, ``text_encoder``, ``fusion``, ``tokenizer`` and ``preprocess`` as a recipe has them,
    as far as the folder tells them."""
    tensors: Mapping[str, Tensor] = field(repr=False)
    """The model's state by its names, such as ``text_encoder.norm.weight``, on the CPU, in the dtype that was stored."""
    untold: Mapping[str, str] = field(default_factory=dict[str, str])
    """Why the folder does not tell a key (``preprocess.mean``) or table that a model needs; whoever uses it gives it."""
    files: tuple[str, ...] = ()
    """Names of the files in the folder that the tensors were read from."""


class WeightsFormat(ABC):
    """Reads and writes the model folders of one format. Built as ``Class(config)``.

    That a folder is of the format is told by the options' class, ``WeightsConfig.recognises``, without torch. Nothing is
    unpickled: files of pickled Python are never opened.
    """

    @abstractmethod
    def read(self, folder: Path) -> ModelData:
        """Return the model in a folder that is of this format. Numbers are only moved, never changed.

        Raises:
            CheckpointError: a file is missing or damaged, or the model cannot be expressed; the message names it.
        """

    @abstractmethod
    def write(self, folder: Path, model: ModelData) -> None:
        """Write a model into an empty folder, so that ``read`` and the programs that the format is of get it back.

        Args:
            folder: is there and is empty.
            model: has all five tables, complete, and every tensor of the model.

        Raises:
            CheckpointError: the format cannot express the model; the message says what of it. Nothing was written.
        """
